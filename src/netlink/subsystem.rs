//! What all messages of the nf_tables subsystem share (`linux/netfilter/nfnetlink.h`,
//! `linux/netfilter/nf_tables.h`): marks of a batch, headers, numbers.

use super::attributes::{attribute, message, narrow};
use rules::model::Family;

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

/// `NFNL_BATCH_GENID`.
const GENERATION: u16 = 1;

/// The begin mark of a batch.
pub(super) fn begin(out: &mut Vec<u8>, sequence: u32) {
    mark(out, BATCH_BEGIN, sequence, |_| {});
}

/// The same of one that the kernel takes only while the ruleset is at that generation.
pub(super) fn begin_at(out: &mut Vec<u8>, sequence: u32, generation: u32) {
    mark(out, BATCH_BEGIN, sequence, |out| {
        number(out, GENERATION, generation);
    });
}

/// The end mark of a batch.
pub(super) fn end(out: &mut Vec<u8>, sequence: u32) {
    mark(out, BATCH_END, sequence, |_| {});
}

/// A mark says in its `struct nfgenmsg` whom the batch is for.
fn mark(out: &mut Vec<u8>, kind: u16, sequence: u32, write: impl FnOnce(&mut Vec<u8>)) {
    message(out, kind, narrow(libc::NLM_F_REQUEST), sequence, |out| {
        let [high, low] = narrow(libc::NFNL_SUBSYS_NFTABLES).to_be_bytes();
        out.extend_from_slice(&[0, 0, high, low]);
        write(out);
    });
}

/// Asks for the generation number of the ruleset.
pub(super) fn ask_generation(out: &mut Vec<u8>, sequence: u32) {
    subsystem_message(out, 0, libc::NFT_MSG_GETGEN, 0, sequence, |_| {});
}

/// The `NFPROTO_*` of a family.
pub(super) fn protocol_family(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

/// A message of the nf_tables subsystem about one family.
pub(super) fn table_message(
    out: &mut Vec<u8>,
    family: Family,
    kind: libc::c_int,
    flags: libc::c_int,
    sequence: u32,
    write: impl FnOnce(&mut Vec<u8>),
) {
    subsystem_message(out, protocol_family(family), kind, flags, sequence, write);
}

fn subsystem_message(
    out: &mut Vec<u8>,
    family: u8,
    kind: libc::c_int,
    flags: libc::c_int,
    sequence: u32,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let kind = narrow((libc::NFNL_SUBSYS_NFTABLES << 8) | kind);
    let flags = narrow(libc::NLM_F_REQUEST | flags);
    message(out, kind, flags, sequence, |out| {
        out.extend_from_slice(&[family, 0, 0, 0]);
        write(out);
    });
}

/// Writes an attribute with a number, which nf_tables wants big-endian.
pub(super) fn number(out: &mut Vec<u8>, kind: u16, value: u32) {
    attribute(out, kind, &value.to_be_bytes());
}
