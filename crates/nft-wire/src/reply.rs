//! Acknowledgements, as the kernel answers requests with them.

use crate::framing::{attributes, messages, u32_at};

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Of the message that is answered.
    pub sequence: u32,
    /// 0 for success.
    pub errno: i32,
    /// What the kernel has to say, if anything.
    pub message: Option<String>,
    /// Where in the message the attribute is that it refuses, in bytes.
    pub offset: Option<usize>,
}

/// What answers there were.
#[derive(Debug, Default)]
pub struct Replies {
    /// Those that came.
    pub all: Vec<Reply>,
    /// There were more than the socket's buffer holds.
    pub lost: bool,
}

/// Reads the acknowledgements of a datagram: `struct nlmsgerr`, which is an error number and the
/// header of the message that is answered, with attributes behind.
pub fn parse_replies(bytes: &[u8], replies: &mut Vec<Reply>) {
    const ANSWERED_SEQUENCE: usize = 12;
    const DETAILS: usize = 20;
    /// `NLM_F_ACK_TLVS`.
    const ACK_TLVS: u16 = 0x200;
    let errors = messages(bytes).filter(|message| i32::from(message.kind) == libc::NLMSG_ERROR);
    for message in errors {
        let (Some(errno), Some(sequence)) = (
            message.outcome(),
            u32_at(message.payload, ANSWERED_SEQUENCE),
        ) else {
            continue;
        };
        let mut reply = Reply {
            sequence,
            errno,
            message: None,
            offset: None,
        };
        if message.flags & ACK_TLVS != 0 {
            details(message.body(DETAILS), &mut reply);
        }
        replies.push(reply);
    }
}

/// Attributes of an acknowledgement (`NLMSGERR_ATTR_*`).
fn details(bytes: &[u8], reply: &mut Reply) {
    const TEXT: u16 = 1;
    const OFFSET: u16 = 2;
    for (kind, value) in attributes(bytes) {
        match kind {
            TEXT => {
                let text = value.strip_suffix(&[0]).unwrap_or(value);
                reply.message = Some(String::from_utf8_lossy(text).into_owned());
            }
            OFFSET => reply.offset = u32_at(value, 0).map(|offset| offset as usize),
            _ => {}
        }
    }
}
