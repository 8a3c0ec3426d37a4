//! Sets of sources: intervals of plain addresses (`linux/netfilter/nf_tables.h`).
//!
//! The kernel keeps such intervals as two elements: where one begins, and the
//! first address behind it, marked as an end. One that reaches the last address
//! has no end. nft writes them so too.

use super::attributes::{attribute, nested, text};
use super::subsystem::{number, table_message};
use ipnet::IpNet;
use rules::model::Family;
use rules::nft::ruleset::{SourceSet, TABLE};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Some 72 bytes each, so that a message's list stays under 64 KiB.
pub(super) const RANGES_PER_MESSAGE: usize = 800;

mod kernel {
    pub(super) const LIST_TABLE: u16 = 1;
    pub(super) const LIST_SET: u16 = 2;
    pub(super) const LIST_ELEMENTS: u16 = 3;
    pub(super) const LIST_ELEMENT: u16 = 1;
    pub(super) const ELEMENT_KEY: u16 = 1;
    pub(super) const ELEMENT_FLAGS: u16 = 3;
    pub(super) const DATA_VALUE: u16 = 1;
    /// `NFT_SET_ELEM_INTERVAL_END`.
    pub(super) const INTERVAL_END: u32 = 1;
}

/// Appends a message that adds some of a set's ranges, [`RANGES_PER_MESSAGE`] at
/// the most.
pub(super) fn add_ranges(
    out: &mut Vec<u8>,
    sequence: u32,
    family: Family,
    set: &SourceSet,
    ranges: &[IpNet],
) {
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let kind = libc::NFT_MSG_NEWSETELEM;
    table_message(out, family, kind, flags, sequence, |out| {
        text(out, kernel::LIST_TABLE, TABLE);
        text(out, kernel::LIST_SET, &set.to_string());
        nested(out, kernel::LIST_ELEMENTS, |out| {
            for range in ranges {
                element(out, range.network(), 0);
                if let Some(behind) = next(range.broadcast()) {
                    element(out, behind, kernel::INTERVAL_END);
                }
            }
        });
    });
}

fn element(out: &mut Vec<u8>, address: IpAddr, flags: u32) {
    nested(out, kernel::LIST_ELEMENT, |out| {
        nested(out, kernel::ELEMENT_KEY, |out| match address {
            IpAddr::V4(ip) => attribute(out, kernel::DATA_VALUE, &ip.octets()),
            IpAddr::V6(ip) => attribute(out, kernel::DATA_VALUE, &ip.octets()),
        });
        if flags != 0 {
            number(out, kernel::ELEMENT_FLAGS, flags);
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
