//! Netlink's framing as it is read: messages, and the attributes inside (`linux/netlink.h`).
//! Whatever does not fit its length ends the reading.

use std::net::IpAddr;

/// Length of `struct nlmsghdr`.
pub(crate) const MESSAGE_HEADER: usize = 16;
/// Length of `struct nlattr`.
pub(crate) const ATTRIBUTE_HEADER: usize = 4;
/// The upper bits of an attribute's type are flags.
const TYPE_MASK: u16 = 0x3fff;

/// One message of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`, of the request that it answers.
    pub sequence: u32,
    /// `nlmsg_pid`, the address of the socket that it answers, or that did what it tells.
    pub port: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The error number, positive, of an acknowledgement (`NLMSG_ERROR`) or of a list's end
    /// (`NLMSG_DONE`), 0 for success; `None` if the message is neither.
    pub fn outcome(&self) -> Option<i32> {
        let ends = matches!(i32::from(self.kind), libc::NLMSG_DONE | libc::NLMSG_ERROR);
        let code = || u32_at(self.payload, 0).unwrap_or(0);
        ends.then(|| code().cast_signed().wrapping_neg())
    }

    /// What follows the header of the subsystem, whose length in bytes is given.
    pub fn body(&self, header: usize) -> &'a [u8] {
        self.payload.get(header..).unwrap_or_default()
    }
}

/// The messages of a datagram.
pub fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
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
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE_MASK;
        let value = bytes.get(ATTRIBUTE_HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The contents of the first attribute of a type.
pub fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(found, value)| (found == kind).then_some(value))
}

/// The text of an attribute, with or without its closing NUL.
pub fn read_text(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    String::from_utf8(bytes.to_vec()).ok()
}

/// The text of the first attribute of a type.
pub fn text_of(bytes: &[u8], kind: u16) -> Option<String> {
    attribute(bytes, kind).and_then(read_text)
}

/// A number in host byte order.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    Some(u32::from_ne_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// A number in host byte order.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let end = at.checked_add(2)?;
    Some(u16::from_ne_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// The address in an attribute of 4 or 16 bytes.
pub fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Writer;

    #[test]
    fn what_is_written_is_read_again() {
        let mut out = Writer::new();
        out.message(7, 1, 42, |out| {
            out.attribute(3, &[9]);
            out.nested(4, |out| out.attribute(5, &[1, 2, 3, 4]));
        });
        out.message(8, 0, 43, |_| {});
        let bytes = out.finish().expect("short messages");
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
        let mut out = Writer::new();
        out.message(7, 0, 1, |out| out.attribute(3, &[1, 2, 3, 4]));
        let bytes = out.finish().expect("a short message");
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
