//! Netlink's framing as it is written. What is too long for its length field is left out and
//! remembered, so that encoders need no error path of their own and nobody sends half of it.

use crate::framing::ATTRIBUTE_HEADER;

/// The flag of an attribute that holds others (`NLA_F_NESTED`).
const NESTED: u16 = 0x8000;
/// `nlmsg_len`, `nlmsg_flags` and `nlmsg_seq` of `struct nlmsghdr`.
const LENGTH_AT: usize = 0;
const FLAGS_AT: usize = 6;
const SEQUENCE_AT: usize = 8;

/// Something did not fit the field that tells its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    /// An attribute, whose length has 16 bits.
    #[error("an attribute of type {kind} with {length} bytes, of which there can be 65535")]
    Attribute {
        /// `nla_type`.
        kind: u16,
        /// In bytes, header included.
        length: usize,
    },
    /// An entry of an object's user data, whose length has 8 bits.
    #[error("an entry of type {kind} with {length} bytes of user data, of which there can be 255")]
    UserData {
        /// What nft's entries are told apart by.
        kind: u8,
        /// In bytes, without its header.
        length: usize,
    },
    /// A message, whose length has 32 bits.
    #[error("a message with {0} bytes, of which there can be 4294967295")]
    Message(usize),
}

/// Messages as they are written, one behind the other.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    too_long: Option<TooLong>,
}

impl Writer {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing yet, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            too_long: None,
        }
    }

    /// What is written, which has everything unless there is an [`error`](Self::error).
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes there are, which is where the next message or attribute starts.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is written yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What was too long first.
    pub fn error(&self) -> Option<TooLong> {
        self.too_long
    }

    /// What is written.
    ///
    /// # Errors
    /// Something was too long, and is not in it.
    pub fn finish(self) -> Result<Vec<u8>, TooLong> {
        match self.too_long {
            Some(error) => Err(error),
            None => Ok(self.bytes),
        }
    }

    /// Writes bytes as they are: a subsystem's header, or a part of an attribute.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes what another one has.
    pub fn append(&mut self, other: &Self) {
        self.raw(&other.bytes);
        self.too_long = self.too_long.or(other.too_long);
    }

    /// Forgets all behind an offset.
    pub fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    /// Remembers that something does not fit.
    pub(crate) fn fail(&mut self, error: TooLong) {
        self.too_long.get_or_insert(error);
    }

    /// Writes a message; its length covers what `write` adds. The kernel's own port is 0.
    pub fn message(&mut self, kind: u16, flags: u16, sequence: u32, write: impl FnOnce(&mut Self)) {
        let start = self.len();
        self.raw(&[0; 4]);
        self.raw(&kind.to_ne_bytes());
        self.raw(&flags.to_ne_bytes());
        self.raw(&sequence.to_ne_bytes());
        self.raw(&[0; 4]);
        write(self);
        self.end_message(start);
    }

    /// Lets the message at `start` end here.
    pub fn end_message(&mut self, start: usize) {
        let length = self.len() - start;
        match u32::try_from(length) {
            Ok(length) => self.put(start + LENGTH_AT, &length.to_ne_bytes()),
            Err(_) => {
                self.truncate(start);
                self.fail(TooLong::Message(length));
            }
        }
    }

    /// Gives the message at `start` its number.
    pub fn number_message(&mut self, start: usize, sequence: u32) {
        self.put(start + SEQUENCE_AT, &sequence.to_ne_bytes());
    }

    /// Lets the message at `start` be acknowledged (`NLM_F_ACK`), if there is one.
    pub fn acknowledge(&mut self, start: usize) {
        let at = start + FLAGS_AT;
        if let Some(old) = crate::u16_at(&self.bytes, at) {
            self.put(at, &(old | flags(libc::NLM_F_ACK)).to_ne_bytes());
        }
    }

    /// Writes over what is there, of which there has to be enough.
    pub fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    /// Writes an attribute, filled up to 32 bits.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.attribute_with(kind, |out| out.raw(value));
    }

    /// Writes an attribute that holds those that `write` adds.
    pub fn nested(&mut self, kind: u16, write: impl FnOnce(&mut Self)) {
        self.attribute_with(kind | NESTED, write);
    }

    /// Writes an attribute with the bytes that `write` adds, filled up to 32 bits.
    pub fn attribute_with(&mut self, kind: u16, write: impl FnOnce(&mut Self)) {
        let start = self.len();
        self.begin_attribute(kind);
        write(self);
        self.end_attribute(start);
        self.bytes.resize(self.len().next_multiple_of(4), 0);
    }

    /// Begins an attribute that holds others and stays open until
    /// [`end_attribute`](Self::end_attribute).
    pub fn begin_nested(&mut self, kind: u16) {
        self.begin_attribute(kind | NESTED);
    }

    fn begin_attribute(&mut self, kind: u16) {
        const { assert!(ATTRIBUTE_HEADER == 4) };
        self.raw(&[0; 2]);
        self.raw(&kind.to_ne_bytes());
    }

    /// Lets the attribute at `start` end here.
    pub fn end_attribute(&mut self, start: usize) {
        let length = self.len() - start;
        match u16::try_from(length) {
            Ok(length) => self.put(start, &length.to_ne_bytes()),
            Err(_) => {
                let kind = crate::u16_at(&self.bytes, start + 2).unwrap_or(0) & !NESTED;
                self.truncate(start);
                self.fail(TooLong::Attribute { kind, length });
            }
        }
    }

    /// Writes an attribute of text, with its closing NUL.
    pub fn text(&mut self, kind: u16, text: &str) {
        self.attribute_with(kind, |out| {
            out.raw(text.as_bytes());
            out.raw(&[0]);
        });
    }

    /// Writes an attribute with a number of 32 bits, which netfilter wants big-endian.
    pub fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// Writes an attribute with a number of 64 bits, which netfilter wants big-endian.
    pub fn long(&mut self, kind: u16, value: u64) {
        self.attribute(kind, &value.to_be_bytes());
    }
}

/// Text is written in place, without a string of its own.
impl std::fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.raw(text.as_bytes());
        Ok(())
    }
}

/// The kernel's constants are C's int in libc; a message's type and flags have 16 bits.
pub const fn flags(value: libc::c_int) -> u16 {
    assert!(value >= 0 && value <= 0xffff, "a constant of 16 bits");
    let [low, high, ..] = value.to_le_bytes();
    u16::from_le_bytes([low, high])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{attributes, messages};

    #[test]
    fn an_attribute_that_is_too_long_is_an_error_and_nothing_half() {
        for (length, fits) in [(65_528, true), (65_532, false), (200_000, false)] {
            let mut out = Writer::new();
            out.message(7, 0, 1, |out| {
                out.attribute(1, &[1]);
                out.nested(2, |out| out.attribute(3, &vec![0; length - 4]));
                out.attribute(4, &[4]);
            });
            let kinds: Vec<u16> = messages(out.bytes())
                .flat_map(|message| attributes(message.payload))
                .map(|(kind, _)| kind)
                .collect();
            assert_eq!(out.error().is_none(), fits, "{length}");
            let expected: &[u16] = if fits { &[1, 2, 4] } else { &[1, 4] };
            // Inside it is already too long, and is left out there.
            let expected = if length == 200_000 {
                &[1, 2, 4]
            } else {
                expected
            };
            assert_eq!(kinds, expected, "{length}");
            let error = match length {
                65_528 => None,
                65_532 => Some(TooLong::Attribute {
                    kind: 2,
                    length: 65_536,
                }),
                _ => Some(TooLong::Attribute {
                    kind: 3,
                    length: 200_000,
                }),
            };
            assert_eq!(out.finish().err(), error, "{length}");
        }
    }

    #[test]
    fn the_first_error_stays_when_writers_meet() {
        let mut long = Writer::new();
        long.attribute(9, &[0; 70_000]);
        let mut out = Writer::new();
        out.attribute(1, &[1]);
        out.append(&long);
        out.attribute(8, &[0; 80_000]);
        let error = out.finish().expect_err("it was too long");
        assert_eq!(
            error.to_string(),
            "an attribute of type 9 with 70004 bytes, of which there can be 65535"
        );
    }
}
