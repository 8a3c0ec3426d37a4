//! nf_tables' messages (`linux/netfilter/nfnetlink.h`, `linux/netfilter/nf_tables.h`): marks of
//! a batch, headers, objects and the expressions of the kernel's virtual machine.

mod expression;
pub mod nfta;
mod object;
pub mod user_data;

pub use expression::{Data, Expression, FIRST_REGISTER, Loaded, VERDICT_REGISTER};
pub use object::{Chain, Compat, Counted, Element, Hook, OBJECT_COUNTER, Object, Rule, Set, Table};

use crate::framing::{Message, attribute, u32_at};
use crate::socket::{Protocol, Socket};
use crate::writer::{Writer, flags};
use std::io;

/// Length of `struct nfgenmsg`, in bytes.
pub const HEADER: usize = 4;

/// `NFNLGRP_NFTABLES`, the group that is told every change of every transaction.
pub const GROUP: u32 = 7;

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// `NFNL_BATCH_GENID`.
const BATCH_GENERATION: u16 = 1;
/// Behind `struct nlmsghdr`, `struct nfgenmsg` and the attribute's header.
const BATCH_GENERATION_AT: usize = 24;

/// The begin mark of a batch, which the kernel takes only while the ruleset is at that generation
/// if there is one.
pub fn begin(out: &mut Writer, sequence: u32, generation: Option<u32>) {
    mark(out, BATCH_BEGIN, sequence, |out| {
        if let Some(generation) = generation {
            out.number(BATCH_GENERATION, generation);
        }
    });
}

/// Lets the kernel take the batch that is written first at another generation, if it was begun
/// for one; 0 for any.
pub fn set_generation(out: &mut Writer, generation: u32) {
    out.put(BATCH_GENERATION_AT, &generation.to_be_bytes());
}

/// The end mark of a batch.
pub fn end(out: &mut Writer, sequence: u32) {
    mark(out, BATCH_END, sequence, |_| {});
}

/// A mark says in its `struct nfgenmsg` whom the batch is for.
fn mark(out: &mut Writer, kind: u16, sequence: u32, write: impl FnOnce(&mut Writer)) {
    out.message(kind, flags(libc::NLM_F_REQUEST), sequence, |out| {
        let [high, low] = flags(libc::NFNL_SUBSYS_NFTABLES).to_be_bytes();
        out.raw(&[0, 0, high, low]);
        write(out);
    });
}

/// A message about objects of a family (`NFPROTO_*`); `kind` is one of `NFT_MSG_*`.
pub fn message(
    out: &mut Writer,
    family: u8,
    kind: libc::c_int,
    more_flags: libc::c_int,
    sequence: u32,
    write: impl FnOnce(&mut Writer),
) {
    let request = flags(libc::NLM_F_REQUEST | more_flags);
    out.message(message_kind(kind), request, sequence, |out| {
        header(out, family);
        write(out);
    });
}

/// `struct nfgenmsg` of a family.
pub fn header(out: &mut Writer, family: u8) {
    out.raw(&[family, 0, 0, 0]);
}

/// A message's type for one of `NFT_MSG_*`.
pub const fn message_kind(kind: libc::c_int) -> u16 {
    flags((libc::NFNL_SUBSYS_NFTABLES << 8) | kind)
}

/// Which of `NFT_MSG_*` a message is, and its family; `None` of another subsystem.
pub fn kind_of(message: Message<'_>) -> Option<(libc::c_int, u8)> {
    let [subsystem, kind] = message.kind.to_be_bytes();
    let is_own = u16::from(subsystem) == flags(libc::NFNL_SUBSYS_NFTABLES);
    is_own.then(|| {
        (
            libc::c_int::from(kind),
            message.payload.first().copied().unwrap_or(0),
        )
    })
}

/// The number of the ruleset's present generation.
///
/// # Errors
/// The kernel has no nf_tables, does not permit it, or does not tell.
pub fn generation(socket: &mut Socket) -> io::Result<u32> {
    let kind = message_kind(libc::NFT_MSG_GETGEN);
    let answer = socket.request(kind, 0, |out| header(out, 0))?;
    let body = answer.get(HEADER..).unwrap_or_default();
    let number = attribute(body, nfta::GEN_ID).and_then(|value| u32_at(value, 0));
    let missing = || io::Error::other("the kernel did not tell the ruleset's generation");
    number.map(u32::from_be).ok_or_else(missing)
}

/// Opens a socket that speaks netfilter, in the calling thread's network namespace.
///
/// # Errors
/// There is none to be had.
pub fn open() -> io::Result<Socket> {
    Socket::open(Protocol::Netfilter)
}
