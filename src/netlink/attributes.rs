//! Netlink's framing, both ways: messages, and the attributes inside
//! (`linux/netlink.h`). Whatever does not fit its length ends the reading.

/// Length of `struct nlmsghdr`.
const MESSAGE_HEADER: usize = 16;
pub(super) const ATTRIBUTE_HEADER: usize = 4;
/// The upper bits of an attribute's type are flags.
const TYPE_MASK: u16 = 0x3fff;
const NESTED: u16 = 0x8000;

/// One message of a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// `nlmsg_type`.
    pub(super) kind: u16,
    /// `nlmsg_flags`.
    pub(super) flags: u16,
    /// `nlmsg_seq`, of the request that it answers.
    pub(super) sequence: u32,
    /// `nlmsg_pid`, the address of the socket that it answers, or that did what it tells.
    pub(super) port: u32,
    /// What follows the header.
    pub(super) payload: &'a [u8],
}

/// The messages of a datagram.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let message = Message {
            kind: u16_at(bytes, 4)?,
            flags: u16_at(bytes, 6)?,
            sequence: u32_at(bytes, 8)?,
            port: u32_at(bytes, 12)?,
            payload: bytes.get(MESSAGE_HEADER..length)?,
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in a message or in another attribute: type and contents.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE_MASK;
        let value = bytes.get(ATTRIBUTE_HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Writes a message; its length covers what `write` adds.
pub(super) fn message(
    out: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    sequence: u32,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&flags.to_ne_bytes());
    out.extend_from_slice(&sequence.to_ne_bytes());
    // The kernel's own port.
    out.extend_from_slice(&[0; 4]);
    write(out);
    end_message(out, start);
}

/// Lets the message at `start` end here.
pub(super) fn end_message(out: &mut [u8], start: usize) {
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

/// Gives a message its number.
pub(super) fn number_message(message: &mut [u8], sequence: u32) {
    message[8..12].copy_from_slice(&sequence.to_ne_bytes());
}

/// Writes an attribute, filled up to 32 bits.
pub(super) fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    write_attribute(out, kind, |out| out.extend_from_slice(value));
}

/// Writes an attribute that holds those that `write` adds.
pub(super) fn nested(out: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
    write_attribute(out, kind | NESTED, write);
}

/// Writes an attribute with the bytes that `write` adds, filled up to 32 bits.
pub(super) fn write_attribute(out: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&kind.to_ne_bytes());
    write(out);
    end_attribute(out, start);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Lets the attribute at `start` end here. None is longer than its 16 bits can tell: names and
/// comments are short, and lists of elements end before (`LIST_MAX`). One that were would be
/// refused by the kernel, as what is behind it makes no sense.
pub(super) fn end_attribute(out: &mut [u8], start: usize) {
    let length = out.len() - start;
    debug_assert!(u16::try_from(length).is_ok(), "{length} bytes");
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    out[start..start + 2].copy_from_slice(&length.to_ne_bytes());
}

/// Writes an attribute of text, with its closing NUL.
pub(super) fn text(out: &mut Vec<u8>, kind: u16, text: &str) {
    write_attribute(out, kind, |out| {
        out.extend_from_slice(text.as_bytes());
        out.push(0);
    });
}

/// The text of an attribute, with or without its closing NUL.
pub(super) fn read_text(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    String::from_utf8(bytes.to_vec()).ok()
}

/// The kernel's constants are C's int in libc and 16 bits wide in messages.
pub(super) fn narrow(value: libc::c_int) -> u16 {
    debug_assert!(
        (0..=0xffff).contains(&value),
        "{value} is no 16-bit constant"
    );
    u16::try_from(value).unwrap_or(0)
}

/// A number in host byte order.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A number in host byte order.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut bytes = Vec::new();
        message(&mut bytes, 7, 1, 42, |out| {
            attribute(out, 3, &[9]);
            nested(out, 4, |out| attribute(out, 5, &[1, 2, 3, 4]));
        });
        message(&mut bytes, 8, 0, 43, |_| {});
        let all: Vec<Message<'_>> = messages(&bytes).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].kind, all[0].flags, all[0].sequence), (7, 1, 42));
        let inside: Vec<(u16, &[u8])> = attributes(all[0].payload).collect();
        assert_eq!(inside.len(), 2);
        assert_eq!(inside[0], (3, &[9][..]));
        assert_eq!(
            attributes(inside[1].1).next(),
            Some((5, &[1, 2, 3, 4][..])),
            "the flag of nested attributes is no part of the type"
        );
    }

    #[test]
    fn broken_lengths_end_the_reading() {
        let mut bytes = Vec::new();
        message(&mut bytes, 7, 0, 1, |out| attribute(out, 3, &[1, 2, 3, 4]));
        for length in 0..bytes.len() {
            assert_eq!(messages(&bytes[..length]).count(), 0);
        }
        assert_eq!(
            attributes(&[3, 0, 1, 0]).count(),
            0,
            "shorter than a header"
        );
        assert_eq!(attributes(&[0, 0, 1, 0]).count(), 0, "no progress");
        assert_eq!(messages(&[0; 32]).count(), 0, "no progress");
    }
}
