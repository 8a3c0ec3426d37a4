//! nf_tables' messages about one of our families.

use nft_wire::Writer;
use nft_wire::nf_tables;
use rules::model::Family;

/// The `NFPROTO_*` of a family.
pub(super) fn protocol_family(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

/// A message of the nf_tables subsystem about one family.
pub(super) fn table_message(
    out: &mut Writer,
    family: Family,
    kind: libc::c_int,
    flags: libc::c_int,
    sequence: u32,
    write: impl FnOnce(&mut Writer),
) {
    nf_tables::message(out, protocol_family(family), kind, flags, sequence, write);
}
