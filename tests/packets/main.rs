//! Real packets through the real kernel: every kind of frontend under every
//! policy, from a pod, the node, another node and outside, in both families.
//!
//! The rules are those of the planner, sent by the product's own netlink
//! module into node-1's namespace, and then those of mode iptables, sent by the same module; what
//! comes out is what docs/reference.md#traffic-policies and docs/reference.md#packet-paths say, and what
//! `kube-proxy trace` foretells.

mod counters;
mod features;
mod localhost;
mod rig;
mod trace;

use rig::{Expect, Mode, Rig, Source, echo};
use rules::model::{Family, Protocol, Service, TrafficPolicy};
use std::net::IpAddr;

use Expect::{Dropped, Local, Masqueraded, Preserved, Refused};
use Source::{Node, OtherNode, Outside, Pod};

/// What each source meets at one kind of frontend.
struct Row {
    what: &'static str,
    service: fn(&mut Service),
    /// Nodes of the endpoints: 1 is the one under test.
    endpoints: &'static [u8],
    frontend: Frontend,
    expect: [(Source, Expect); 4],
}

#[derive(Clone, Copy)]
enum Frontend {
    ClusterIp,
    External,
    NodePort,
}

fn plain(_: &mut Service) {}

fn external_local(service: &mut Service) {
    service.external_policy = TrafficPolicy::Local;
}

fn internal_local(service: &mut Service) {
    service.internal_policy = TrafficPolicy::Local;
}

const ROWS: &[Row] = &[
    Row {
        what: "cluster IP",
        service: plain,
        endpoints: &[1, 2],
        frontend: Frontend::ClusterIp,
        expect: [
            (Pod, Preserved),
            (Node, Masqueraded),
            (OtherNode, Masqueraded),
            (Outside, Masqueraded),
        ],
    },
    Row {
        what: "cluster IP, internal policy Local",
        service: internal_local,
        endpoints: &[1, 2],
        frontend: Frontend::ClusterIp,
        expect: [
            (Pod, Local(true)),
            (Node, Local(false)),
            (OtherNode, Local(false)),
            (Outside, Local(false)),
        ],
    },
    Row {
        what: "cluster IP, internal policy Local, none here",
        service: internal_local,
        endpoints: &[2],
        frontend: Frontend::ClusterIp,
        expect: [
            (Pod, Dropped),
            (Node, Dropped),
            (OtherNode, Dropped),
            (Outside, Dropped),
        ],
    },
    Row {
        what: "cluster IP without endpoints",
        service: plain,
        endpoints: &[],
        frontend: Frontend::ClusterIp,
        expect: [
            (Pod, Refused),
            (Node, Refused),
            (OtherNode, Refused),
            (Outside, Refused),
        ],
    },
    Row {
        what: "external IP",
        service: plain,
        endpoints: &[1, 2],
        frontend: Frontend::External,
        expect: [
            (Pod, Masqueraded),
            (Node, Masqueraded),
            (OtherNode, Masqueraded),
            (Outside, Masqueraded),
        ],
    },
    Row {
        what: "external IP, policy Local",
        service: external_local,
        endpoints: &[1, 2],
        frontend: Frontend::External,
        expect: [
            (Pod, Preserved),
            (Node, Masqueraded),
            (OtherNode, Local(true)),
            (Outside, Local(true)),
        ],
    },
    Row {
        what: "external IP, policy Local, none here",
        service: external_local,
        endpoints: &[2],
        frontend: Frontend::External,
        expect: [
            (Pod, Preserved),
            (Node, Masqueraded),
            (OtherNode, Dropped),
            (Outside, Dropped),
        ],
    },
    Row {
        what: "external IP without endpoints",
        service: plain,
        endpoints: &[],
        frontend: Frontend::External,
        expect: [
            (Pod, Refused),
            (Node, Refused),
            (OtherNode, Refused),
            (Outside, Refused),
        ],
    },
    Row {
        what: "node port",
        service: plain,
        endpoints: &[1, 2],
        frontend: Frontend::NodePort,
        expect: [
            (Pod, Masqueraded),
            (Node, Masqueraded),
            (OtherNode, Masqueraded),
            (Outside, Masqueraded),
        ],
    },
    Row {
        what: "node port, policy Local",
        service: external_local,
        endpoints: &[1, 2],
        frontend: Frontend::NodePort,
        expect: [
            (Pod, Preserved),
            (Node, Masqueraded),
            (OtherNode, Local(true)),
            (Outside, Local(true)),
        ],
    },
    Row {
        what: "node port, policy Local, none here",
        service: external_local,
        endpoints: &[2],
        frontend: Frontend::NodePort,
        expect: [
            (Pod, Preserved),
            (Node, Masqueraded),
            (OtherNode, Dropped),
            (Outside, Dropped),
        ],
    },
    Row {
        what: "node port without endpoints",
        service: plain,
        endpoints: &[],
        frontend: Frontend::NodePort,
        expect: [
            (Pod, Refused),
            (Node, Refused),
            (OtherNode, Refused),
            (Outside, Refused),
        ],
    },
];

/// What mode iptables leaves to the network: it looks at what nobody serves where packets come in and go
/// through, not where the node sends.
fn is_let_go(mode: Mode, row: &Row, source: Source) -> bool {
    mode == Mode::Iptables && row.what == "external IP without endpoints" && source == Node
}

fn every_row(family: Family, mode: Mode) {
    let mut rig = Rig::of_mode(family, mode);
    let mut wrong = Vec::new();
    // With many addresses a table lists endpoints in another way; chains do not.
    let more: &[u8] = match mode {
        Mode::Nftables => &[0, 8],
        Mode::Iptables => &[0],
    };
    for (row, more) in ROWS
        .iter()
        .flat_map(|row| more.iter().map(move |more| (row, *more)))
    {
        let mut service = rig.service();
        (row.service)(&mut service);
        service
            .external_ips
            .extend((1..=more).map(|n| unused(family, n)));
        rig.program(service, row.endpoints);
        let (address, port) = match row.frontend {
            Frontend::ClusterIp => (rig.cluster_ip(), 80),
            Frontend::External => (rig.external_ip(), 80),
            Frontend::NodePort => (rig.node_ip(), 30080),
        };
        for (source, protocol, answer) in rig.foretold((address, port)) {
            let mut expected = row.expect.iter();
            let expected = expected.find(|(own, _)| *own == source);
            let Some((_, expect)) = expected else {
                continue;
            };
            if is_let_go(mode, row, source) {
                let outcome = &answer["result"]["outcome"];
                assert_eq!(outcome, "routed", "{}, {protocol}: {answer}", row.what);
                continue;
            }
            if let Err(problem) = rig.agrees(source, &answer, *expect) {
                wrong.push(format!(
                    "{}, {more} more, {protocol}, from {source:?}: {problem}",
                    row.what
                ));
            }
        }
        let of_rules = row.expect.into_iter();
        for (source, expect) in of_rules.filter(|(source, _)| !is_let_go(mode, row, *source)) {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                if let Err(problem) = rig.check(source, (address, port), protocol, expect) {
                    wrong.push(format!(
                        "{}, {more} more, {protocol}, from {source:?}: {problem}",
                        row.what
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{family}:\n{}", wrong.join("\n"));
}

/// An address that nobody connects to.
fn unused(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => [198, 18, 0, number].into(),
        Family::V6 => [0x2001, 0xdb8, 0x18, 0, 0, 0, 0, u16::from(number)].into(),
    }
}

#[test]
fn ipv4_frontends_meet_the_decision_table() {
    every_row(Family::V4, Mode::Nftables);
}

#[test]
fn ipv6_frontends_meet_the_decision_table() {
    every_row(Family::V6, Mode::Nftables);
}

#[test]
fn ipv4_chains_meet_the_decision_table() {
    every_row(Family::V4, Mode::Iptables);
}

#[test]
fn ipv6_chains_meet_the_decision_table() {
    every_row(Family::V6, Mode::Iptables);
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    for (mode, family) in Mode::in_families() {
        let mut rig = Rig::of_mode(family, mode);
        let service = rig.service();
        rig.program(service, &[1]);
        let answer = rig.dial_from_endpoint(1, (rig.cluster_ip(), 80));
        let (pod, client) = answer.unwrap_or_else(|| panic!("{family}: no answer to a hairpin"));
        assert_eq!(pod, echo(1));
        assert_ne!(
            client,
            rig.endpoint_ip(1),
            "{family}: the pod saw its own address"
        );
    }
}

#[test]
fn unknown_ports_are_refused_and_unallocated_addresses_dropped() {
    for family in Family::ALL {
        let mut rig = Rig::new(family);
        let service = rig.service();
        rig.program(service, &[1, 2]);
        let unallocated: IpAddr = rig.unallocated_ip();
        for source in [Pod, Node, Outside] {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                rig.check(source, (rig.cluster_ip(), 81), protocol, Refused)
                    .unwrap_or_else(|problem| panic!("{family} {protocol} {source:?}: {problem}"));
                rig.check(source, (unallocated, 80), protocol, Dropped)
                    .unwrap_or_else(|problem| panic!("{family} {protocol} {source:?}: {problem}"));
            }
        }
    }
}
