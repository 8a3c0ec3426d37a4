//! The structures of iptables' matches and targets (`linux/netfilter/xt_*.h` and those of the
//! families), as iptables' own extensions fill them. Numbers are in host byte order but where the
//! network's is said.

use nft_wire::nf_tables::Expression;
use rules::iptables::names::ChainName;
use rules::iptables::rule::{Comment, Is, State};
use rules::model::{EndpointAddr, Family, Protocol};
use std::net::IpAddr;

/// A structure's bytes, zero at first and filled up to 64 bits, as the kernel asks for.
struct Info(Vec<u8>);

impl Info {
    fn new(length: usize) -> Self {
        Self(vec![0; length.next_multiple_of(8)])
    }

    /// Sets bytes, of which there are enough: offsets and lengths are those of the structure.
    fn set(mut self, at: usize, bytes: &[u8]) -> Self {
        if let Some(place) = self.0.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self
    }

    fn short(self, at: usize, value: u16) -> Self {
        self.set(at, &value.to_ne_bytes())
    }

    fn number(self, at: usize, value: u32) -> Self {
        self.set(at, &value.to_ne_bytes())
    }

    fn into_match(self, name: &str, revision: u32) -> Expression {
        Expression::Match {
            name: name.to_owned(),
            revision,
            info: self.0,
        }
    }

    fn into_target(self, name: &str, revision: u32) -> Expression {
        Expression::Target {
            name: name.to_owned(),
            revision,
            info: self.0,
        }
    }
}

/// `struct xt_comment_info`, with a NUL behind the text in any case.
pub(super) fn comment(comment: &Comment) -> Expression {
    const { assert!(Comment::MAX < 256) };
    let text = comment.as_str().as_bytes();
    Info::new(256).set(0, text).into_match("comment", 0)
}

/// The protocol's own match, of this destination port or of any.
pub(super) fn protocol(protocol: Protocol, port: Option<u16>) -> Expression {
    let (least, most) = match port {
        Some(port) => (port, port),
        None => (0, u16::MAX),
    };
    match protocol {
        // `struct xt_tcp` and `struct xt_udp` begin with the same: source ports, destination ports.
        Protocol::Tcp | Protocol::Udp => {
            let (name, length) = match protocol {
                Protocol::Udp => ("udp", 10),
                _ => ("tcp", 12),
            };
            let ports = Info::new(length).short(2, u16::MAX);
            ports.short(4, least).short(6, most).into_match(name, 0)
        }
        Protocol::Sctp => sctp(port),
    }
}

/// `struct xt_sctp_info`: ports only if a flag says so.
fn sctp(port: Option<u16>) -> Expression {
    const FLAG_INFOS: usize = 268;
    const FLAGS: usize = 284;
    const DESTINATION_PORTS: u32 = 2;
    let mut info = Info::new(292);
    for flag in 0..4 {
        // None.
        info = info.set(FLAG_INFOS + 3 * flag, &[0xff]);
    }
    if let Some(port) = port {
        info = info.short(0, port).short(2, port);
        info = info.number(FLAGS, DESTINATION_PORTS);
    }
    info.into_match("sctp", 0)
}

/// `struct xt_mark_mtinfo1`.
pub(super) fn mark(is: Is, mark: u32) -> Expression {
    let info = Info::new(9).number(0, mark).number(4, mark);
    info.set(8, &[u8::from(is == Is::Not)])
        .into_match("mark", 1)
}

/// `struct xt_conntrack_mtinfo3`.
pub(super) fn conntrack(is: Is, states: &[State]) -> Expression {
    const FLAGS: usize = 146;
    const INVERTED: usize = 148;
    const STATES: usize = 150;
    /// `XT_CONNTRACK_STATE`.
    const STATE: u16 = 1;
    let bits = states.iter().map(|state| match state {
        State::Invalid => 1,
        State::Established => 2,
        State::Related => 4,
        State::New => 8,
        State::Dnat => 128,
    });
    let info = Info::new(162).short(FLAGS, STATE);
    let inverted = if is == Is::Not { STATE } else { 0 };
    let info = info.short(INVERTED, inverted);
    let bits = bits.fold(0, |all, bit: u16| all | bit);
    info.short(STATES, bits).into_match("conntrack", 3)
}

/// `struct xt_addrtype_info_v1`, of the source or of the destination: `XT_ADDRTYPE_LOCAL`.
pub(super) fn local(source: bool) -> Expression {
    const LOCAL: u16 = 1 << 2;
    let at = if source { 0 } else { 2 };
    Info::new(8).short(at, LOCAL).into_match("addrtype", 1)
}

/// `struct xt_statistic_info`: one time out of so many, by chance.
pub(super) fn one_of(count: usize) -> Expression {
    let chance = chance(count);
    // The second one is what iptables makes of fields that this mode does not use.
    let info = Info::new(24).number(4, chance).number(12, chance);
    info.into_match("statistic", 0)
}

/// A chance in 2³¹ parts. Upstream writes it with ten digits, which is what iptables makes the
/// number of.
fn chance(count: usize) -> u32 {
    const TEN_DIGITS: u128 = 10_000_000_000;
    let count = u128::try_from(count.max(1)).unwrap_or(u128::MAX);
    let digits = rounded(TEN_DIGITS, count);
    u32::try_from(rounded(digits << 31, TEN_DIGITS)).unwrap_or(1 << 31)
}

/// Half of one rounds up.
fn rounded(dividend: u128, divisor: u128) -> u128 {
    (dividend + divisor / 2) / divisor
}

/// `XT_RECENT_CHECK` and `XT_RECENT_REAP`.
const CHECK_AND_REAP: u8 = 1 | 32;
/// `XT_RECENT_SET`.
const SET: u8 = 2;

/// A client that was seen so many seconds ago or less; older ones are forgotten.
pub(super) fn seen(list: ChainName, seconds: u32) -> Expression {
    recent(list, seconds, CHECK_AND_REAP)
}

/// The client is remembered.
pub(super) fn remember(list: ChainName) -> Expression {
    recent(list, 0, SET)
}

/// `struct xt_recent_mtinfo_v1`, by whole source addresses.
fn recent(list: ChainName, seconds: u32, flags: u8) -> Expression {
    const FLAGS: usize = 8;
    const NAME: usize = 10;
    const MASK: usize = 212;
    let info = Info::new(228).number(0, seconds).set(FLAGS, &[flags]);
    let info = info.set(NAME, list.as_str().as_bytes());
    info.set(MASK, &[0xff; 16]).into_match("recent", 1)
}

/// `struct xt_nfacct_match_info_v1`.
pub(super) fn count(name: &'static str) -> Expression {
    Info::new(40).set(0, name.as_bytes()).into_match(COUNT, 1)
}

/// `struct xt_mark_tginfo2`: `mark ^ (old & !mask)`.
pub(super) fn set_mark(mark: u32, mask: u32) -> Expression {
    let info = Info::new(8).number(0, mark).number(4, mask);
    info.into_target("MARK", 2)
}

/// `NF_NAT_RANGE_PROTO_RANDOM_FULLY`.
const RANDOM_FULLY: u32 = 0x10;

/// `struct nf_nat_ipv4_multi_range_compat` of one range, or `struct nf_nat_range`.
pub(super) fn masquerade(family: Family) -> Expression {
    let info = match family {
        Family::V4 => Info::new(24).number(0, 1).number(4, RANDOM_FULLY),
        Family::V6 => Info::new(40).number(0, RANDOM_FULLY),
    };
    info.into_target("MASQUERADE", 0)
}

/// `struct nf_nat_range2`: one address and one port, as the network writes them.
pub(super) fn dnat(endpoint: &EndpointAddr) -> Expression {
    const LEAST: usize = 4;
    const MOST: usize = 20;
    const PORTS: usize = 36;
    /// `NF_NAT_RANGE_MAP_IPS` and `NF_NAT_RANGE_PROTO_SPECIFIED`.
    const ADDRESS_AND_PORT: u32 = 1 | 2;
    let info = Info::new(42).number(0, ADDRESS_AND_PORT);
    let info = match endpoint.address {
        IpAddr::V4(address) => info
            .set(LEAST, &address.octets())
            .set(MOST, &address.octets()),
        IpAddr::V6(address) => info
            .set(LEAST, &address.octets())
            .set(MOST, &address.octets()),
    };
    let port = endpoint.port.to_be_bytes();
    let info = info.set(PORTS, &port).set(PORTS + 2, &port);
    info.into_target("DNAT", 2)
}

/// `struct ipt_reject_info` and `struct ip6t_reject_info`: port unreachable.
pub(super) fn reject(family: Family) -> Expression {
    let with = match family {
        Family::V4 => 3,
        Family::V6 => 4,
    };
    Info::new(4).number(0, with).into_target("REJECT", 0)
}

/// What counts without being a condition: rules do without it.
pub(super) const COUNT: &str = "nfacct";

/// Every match and target of this mode with its revision, a match or not.
pub(super) const ALL: [(&str, u32, bool); 14] = [
    ("comment", 0, true),
    ("tcp", 0, true),
    ("udp", 0, true),
    ("sctp", 0, true),
    ("mark", 1, true),
    ("conntrack", 3, true),
    ("addrtype", 1, true),
    ("statistic", 0, true),
    ("recent", 1, true),
    (COUNT, 1, true),
    ("MARK", 2, false),
    ("MASQUERADE", 0, false),
    ("DNAT", 2, false),
    ("REJECT", 0, false),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_rounded_as_iptables_rounds_upstreams_text() {
        // By `lround(0x80000000 * p)` of what `%.10f` prints.
        for (count, expected) in [(1, 1 << 31), (2, 1 << 30), (4, 1 << 29)] {
            assert_eq!(chance(count), expected, "{count}");
        }
        for count in 1..=20_000u32 {
            let text = format!("{:.10}", 1.0 / f64::from(count));
            let given: f64 = text.parse().expect("a number");
            let expected = (given * 2_147_483_648.0).round();
            assert_eq!(f64::from(chance(count as usize)), expected, "{count}");
        }
    }
}
