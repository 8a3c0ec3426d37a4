//! Sets of sources back into ranges (see `sources.rs` for how the kernel keeps them).

use super::known::Names;
use super::statement;
use crate::netlink::sources::INTERVAL_END;
use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};
use nft_wire::ip;
use nft_wire::nf_tables;
use rules::model::Family;
use rules::nft::ruleset::{Side, Statement};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a range begins, or (true) the first address behind one. Ends sort before beginnings.
pub(super) type Bound = (IpAddr, bool);

/// An element of an interval set.
pub(super) fn bound(element: &nf_tables::Element<'_>) -> Option<Bound> {
    Some((ip(element.key)?, element.flags & INTERVAL_END != 0))
}

/// The ranges between bounds, which come in any order.
pub(super) fn ranges(family: Family, mut bounds: Vec<Bound>) -> Vec<IpNet> {
    bounds.sort_unstable_by_key(|(address, is_end)| (*address, !is_end));
    let mut bounds = bounds.into_iter().peekable();
    let mut ranges = Vec::new();
    while let Some((first, is_end)) = bounds.next() {
        if is_end {
            continue;
        }
        let last = match bounds.peek() {
            Some((behind, _)) => before(*behind),
            // One that reaches the last address has no end.
            None => match family {
                Family::V4 => Ipv4Addr::BROADCAST.into(),
                Family::V6 => Ipv6Addr::from(u128::MAX).into(),
            },
        };
        ranges.extend(subnets(first, last).into_iter().flatten());
    }
    ranges
}

fn subnets(first: IpAddr, last: IpAddr) -> Option<IpSubnets> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            Some(IpSubnets::V4(Ipv4Subnets::new(first, last, 0)))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            Some(IpSubnets::V6(Ipv6Subnets::new(first, last, 0)))
        }
        _ => None,
    }
}

/// The address before this one; there is one, as a range begins before.
fn before(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(ip) => Ipv4Addr::from(u32::from(ip).saturating_sub(1)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip).saturating_sub(1)).into(),
    }
}

/// The ranges in the rules of a chain that drops what is in none of a few.
pub(super) fn in_rules(names: &Names, rules: &[nf_tables::Rule]) -> Vec<IpNet> {
    let statements = rules
        .iter()
        .filter_map(|rule| statement::statements(names, &rule.expressions).ok());
    let outside = statements
        .flatten()
        .filter_map(|statement| match statement {
            Statement::Address {
                side: Side::Source,
                prefix,
                negated: true,
            } => Some(prefix),
            _ => None,
        });
    outside.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::nft::ruleset::SourceSet;

    #[test]
    fn bounds_are_ranges_again() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let bounds = |told: &[(&str, bool)]| {
            let told = told.iter().rev().map(|(text, end)| (address(text), *end));
            told.collect()
        };
        let expected = |ranges: &[&str]| {
            let ranges = ranges.iter().map(|range| range.parse().expect("one"));
            let ranges: Vec<IpNet> = ranges.collect();
            SourceSet::new(&ranges)
        };
        let found = ranges(
            Family::V4,
            bounds(&[
                ("10.0.0.0", false),
                ("10.1.0.0", true),
                ("10.1.0.0", false),
                ("10.3.0.0", true),
                ("255.255.255.255", false),
            ]),
        );
        let whole = expected(&[
            "10.0.0.0/16",
            "10.1.0.0/16",
            "10.2.0.0/16",
            "255.255.255.255/32",
        ]);
        assert_eq!(SourceSet::new(&found), whole);
        let found = ranges(Family::V6, bounds(&[("::", false)]));
        assert_eq!(SourceSet::new(&found), expected(&["::/0"]));
        assert_eq!(ranges(Family::V4, Vec::new()), []);
        assert_eq!(ranges(Family::V4, bounds(&[("10.0.0.0", true)])), []);
    }
}
