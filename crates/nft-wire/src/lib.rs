//! Netlink as nf_tables needs it: framing both ways, one socket with one way to receive, groups
//! of notifications, and nf_tables' messages as typed values that are written and read.
//!
//! It knows the kernel's objects and none of kube-proxy's: no name of a table, no rule's meaning.
//! Nothing here decides what to do about an answer.
//!
//! A length that does not fit its field is an error of the [`Writer`], never a shorter length.
#![forbid(unsafe_code)]

mod framing;
mod listener;
pub mod nf_tables;
mod reply;
mod socket;
mod writer;

pub use framing::{
    Message, attribute, attributes, ip, messages, read_text, text_of, u16_at, u32_at,
};
pub use listener::{Heard, Listener, Membership};
pub use reply::{Replies, Reply, parse_replies};
pub use socket::{Listing, Protocol, Socket, TooLarge};
pub use writer::{TooLong, Writer, flags};
