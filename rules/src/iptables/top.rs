//! The chains that are there whatever the cluster holds, and their rules.

use super::content::Ruleset;
use super::names::ChainName;
use super::rule::{Address, Is, Match, Rule, State, Target, comment, jump, rule};
use crate::model::Family;
use crate::{Config, NodeportAddresses};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// In both tables: addresses of Services.
pub const SERVICES: ChainName = ChainName::fixed("KUBE-SERVICES");
/// In `filter`: addresses but cluster IPs that nothing serves.
pub const EXTERNAL_SERVICES: ChainName = ChainName::fixed("KUBE-EXTERNAL-SERVICES");
/// In `nat` node ports, in `filter` health check node ports.
pub const NODEPORTS: ChainName = ChainName::fixed("KUBE-NODEPORTS");
/// In `filter`: what is to be forwarded.
pub const FORWARD: ChainName = ChainName::fixed("KUBE-FORWARD");
/// In `filter`: what no source range let through.
pub const PROXY_FIREWALL: ChainName = ChainName::fixed("KUBE-PROXY-FIREWALL");
/// In `filter`, the kubelet's as well: packets to loopback addresses from outside.
pub const FIREWALL: ChainName = ChainName::fixed("KUBE-FIREWALL");
/// In `nat`: masquerades what is marked.
pub const POSTROUTING: ChainName = ChainName::fixed("KUBE-POSTROUTING");
/// In `nat`: marks what is to be masqueraded.
pub const MARK_MASQ: ChainName = ChainName::fixed("KUBE-MARK-MASQ");

/// The counter of packets that were dropped as invalid.
pub const INVALID_DROPPED: &str = "ct_state_invalid_dropped_pkts";
/// The counter of connections to node ports on loopback addresses.
pub const LOCALHOST_ACCEPTED: &str = "localhost_nps_accepted_pkts";

const LAST: &str = "kubernetes service nodeports; NOTE: this must be the last rule in this chain";

/// All of them, and the rules that come before those of Services.
pub(super) fn first(config: &Config, out: &mut Ruleset) {
    out.filter.chains.extend([
        SERVICES,
        EXTERNAL_SERVICES,
        FORWARD,
        NODEPORTS,
        PROXY_FIREWALL,
    ]);
    out.nat
        .chains
        .extend([SERVICES, NODEPORTS, POSTROUTING, MARK_MASQ]);
    if serves_localhost(config) {
        out.filter.chains.push(FIREWALL);
        out.filter.add(FIREWALL, martians());
    }
    let mark = config.masquerade_mark;
    let unmarked = [Match::Mark(Is::Not, mark)];
    out.nat.add(POSTROUTING, rule(unmarked, Target::Return));
    // A packet that comes through here again is not to be masqueraded again.
    out.nat.add(POSTROUTING, rule([], Target::MarkXor(mark)));
    let why = comment("kubernetes service traffic requiring SNAT");
    out.nat.add(POSTROUTING, rule([why], Target::Masquerade));
    out.nat.add(MARK_MASQ, rule([], Target::MarkOr(mark)));
}

/// The rules that come after those of Services; `node_ports` are [`to_node_ports`].
pub(super) fn last(config: &Config, node_ports: Vec<Rule>, out: &mut Ruleset) {
    for rule in node_ports {
        out.nat.add(SERVICES, rule);
    }
    if config.drop_invalid {
        let counted = config.counters.invalid_dropped;
        let counter = counted.then_some(Match::Count(INVALID_DROPPED));
        let matches = [Match::State(Is::So, &[State::Invalid])];
        let matches = matches.into_iter().chain(counter);
        out.filter.add(FORWARD, rule(matches, Target::Drop));
    }
    let marked = [
        comment("kubernetes forwarding rules"),
        Match::Mark(Is::So, config.masquerade_mark),
    ];
    out.filter.add(FORWARD, rule(marked, Target::Accept));
    let begun = [
        comment("kubernetes forwarding conntrack rule"),
        Match::State(Is::So, &[State::Related, State::Established]),
    ];
    out.filter.add(FORWARD, rule(begun, Target::Accept));
}

/// Whether node ports answer on loopback addresses: never in IPv6.
pub(super) fn serves_localhost(config: &Config) -> bool {
    config.family == Family::V4 && config.localhost_nodeports
}

/// 127.0.0.0/8 or ::1/128.
pub(super) fn loopback(family: Family) -> Address {
    let range = match family {
        Family::V4 => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        Family::V6 => IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    };
    Address::Range(range)
}

/// `route_localnet`, which node ports on loopback addresses call for, lets neighbours send to
/// loopback addresses: what no translation led there is dropped (CVE-2020-8558).
fn martians() -> Rule {
    let matches = [
        comment("block incoming localnet connections"),
        Match::Destination(Is::So, loopback(Family::V4)),
        Match::Source(Is::Not, loopback(Family::V4)),
        Match::State(Is::Not, &[State::Related, State::Established, State::Dnat]),
    ];
    rule(matches, Target::Drop)
}

/// The rules that lead to node ports, the last ones of `KUBE-SERVICES`. `local_addresses` are those of
/// the node.
pub(super) fn to_node_ports(config: &Config, local_addresses: &[IpAddr]) -> Vec<Rule> {
    let localhost = serves_localhost(config);
    let NodeportAddresses::Within(ranges) = &config.nodeport_addresses else {
        let outside = Match::Destination(Is::Not, loopback(config.family));
        let matches = [comment(LAST), Match::DestinationIsLocal];
        let matches = matches.into_iter().chain((!localhost).then_some(outside));
        return vec![jump(NODEPORTS, matches)];
    };
    let mut addresses: Vec<IpAddr> = local_addresses.to_vec();
    addresses.retain(|own| ranges.iter().any(|range| range.contains(own)));
    addresses.retain(|own| localhost || !own.is_loopback());
    addresses.sort_unstable();
    addresses.dedup();
    let to = |own| Match::Destination(Is::So, Address::One(own));
    let rules = addresses.into_iter();
    rules
        .map(|own| jump(NODEPORTS, [comment(LAST), to(own)]))
        .collect()
}
