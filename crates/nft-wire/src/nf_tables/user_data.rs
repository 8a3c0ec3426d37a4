//! What user space keeps for itself with an object and the kernel stores unread. nft and
//! libnftnl write entries of a type and a length of one byte each, and the value.

use crate::writer::{TooLong, Writer};

/// Writes an entry; more than 255 bytes are an error of the writer.
pub fn entry(out: &mut Writer, kind: u8, value: &[u8]) {
    let Ok(length) = u8::try_from(value.len()) else {
        let length = value.len();
        out.fail(TooLong::UserData { kind, length });
        return;
    };
    out.raw(&[kind, length]);
    out.raw(value);
}

/// Writes an entry with a number, which nft keeps in host byte order.
pub fn number(out: &mut Writer, kind: u8, value: u32) {
    entry(out, kind, &value.to_ne_bytes());
}

/// Writes an entry of text with its closing NUL.
pub fn text(out: &mut Writer, kind: u8, text: &str) {
    let mut value = Vec::with_capacity(text.len() + 1);
    value.extend_from_slice(text.as_bytes());
    value.push(0);
    entry(out, kind, &value);
}

/// Entries in another entry.
pub fn nested(out: &mut Writer, kind: u8, write: impl FnOnce(&mut Writer)) {
    let mut inside = Writer::new();
    write(&mut inside);
    match inside.finish() {
        Ok(value) => entry(out, kind, &value),
        Err(error) => out.fail(error),
    }
}

/// The entries: type and value. Whatever does not fit its length ends the reading.
pub fn entries(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (kind, length) = (*bytes.first()?, usize::from(*bytes.get(1)?));
        let value = bytes.get(2..2 + length)?;
        bytes = bytes.get(2 + length..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The text of the first entry of a type.
pub fn text_of(bytes: &[u8], kind: u8) -> Option<String> {
    let mut all = entries(bytes);
    let (_, value) = all.find(|(found, _)| *found == kind)?;
    crate::read_text(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written_and_none_is_cut() {
        let mut out = Writer::new();
        text(&mut out, 7, "a comment");
        nested(&mut out, 3, |out| number(out, 0, 12));
        let bytes = out.finish().expect("short entries");
        assert_eq!(text_of(&bytes, 7).as_deref(), Some("a comment"));
        let (_, inside) = entries(&bytes).nth(1).expect("two entries");
        let number = 12u32.to_ne_bytes();
        assert_eq!(entries(inside).next(), Some((0, &number[..])));
        for length in 0..bytes.len() {
            assert!(entries(&bytes[..length]).count() < 2);
        }
        let mut out = Writer::new();
        entry(&mut out, 1, &[0; 256]);
        let error = out.finish().expect_err("one byte too many");
        assert_eq!(
            error,
            TooLong::UserData {
                kind: 1,
                length: 256
            }
        );
    }
}
