//! Sets of sources: intervals of plain addresses (`linux/netfilter/nf_tables.h`).
//!
//! The kernel keeps such intervals as two elements: where one begins, and the
//! first address behind it, marked as an end. One that reaches the last address
//! has no end. nft writes them so too.

use super::subsystem::table_message;
use ipnet::IpNet;
use nft_wire::Writer;
use nft_wire::nf_tables::{Element, nfta};
use rules::model::Family;
use rules::nft::ruleset::{SourceSet, TABLE};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Some 72 bytes each, so that a message's list stays under 64 KiB.
pub(super) const RANGES_PER_MESSAGE: usize = 800;

/// `NFT_SET_ELEM_INTERVAL_END`.
pub(super) const INTERVAL_END: u32 = 1;

/// Appends a message that adds some of a set's ranges, [`RANGES_PER_MESSAGE`] at
/// the most.
pub(super) fn add_ranges(
    out: &mut Writer,
    sequence: u32,
    family: Family,
    set: &SourceSet,
    ranges: &[IpNet],
) {
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let kind = libc::NFT_MSG_NEWSETELEM;
    table_message(out, family, kind, flags, sequence, |out| {
        Element::write_names(out, TABLE, &set.to_string());
        out.nested(nfta::SET_ELEM_LIST_ELEMENTS, |out| {
            for range in ranges {
                element(out, range.network(), 0);
                if let Some(behind) = next(range.broadcast()) {
                    element(out, behind, INTERVAL_END);
                }
            }
        });
    });
}

fn element(out: &mut Writer, address: IpAddr, flags: u32) {
    out.nested(nfta::LIST_ELEM, |out| {
        out.nested(nfta::SET_ELEM_KEY, |out| match address {
            IpAddr::V4(ip) => out.attribute(nfta::DATA_VALUE, &ip.octets()),
            IpAddr::V6(ip) => out.attribute(nfta::DATA_VALUE, &ip.octets()),
        });
        if flags != 0 {
            out.number(nfta::SET_ELEM_FLAGS, flags);
        }
    });
}

/// The address after this one.
fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(ip) => u32::from(ip)
            .checked_add(1)
            .map(|ip| Ipv4Addr::from(ip).into()),
        IpAddr::V6(ip) => u128::from(ip)
            .checked_add(1)
            .map(|ip| Ipv6Addr::from(ip).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_has_no_next() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        for (one, after) in [
            ("0.0.0.0", Some("0.0.0.1")),
            ("10.0.255.255", Some("10.1.0.0")),
            ("255.255.255.255", None),
            ("2001:db8::ffff:ffff", Some("2001:db8::1:0:0")),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ] {
            assert_eq!(next(ip(one)), after.map(ip), "{one}");
        }
    }
}
