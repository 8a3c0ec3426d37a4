//! What the rules count, by packets.

use super::rig::{Expect, Rig, Source};
use kube_proxy::netlink::dump::Reader;
use rules::model::{Family, Frontend, Protocol, TrafficPolicy};
use rules::nft::ruleset::Counter;
use rules::nft::totals::Reading;
use std::collections::BTreeMap;
use std::net::IpAddr;

fn counts(rig: &Rig) -> Reading {
    let family = rig.family();
    let reading = rig.on_node_1(move || Reader::open(family)?.counts());
    reading.expect("counts").expect("a table")
}

/// Which counters other than that of connections moved.
fn moved(before: &Reading, after: &Reading) -> Vec<Counter> {
    let refused = after
        .counters
        .iter()
        .filter(|(counter, _)| **counter != Counter::Connections);
    let moved = refused.filter(|(counter, now)| before.counters[*counter] != **now);
    moved.map(|(counter, _)| *counter).collect()
}

#[test]
fn each_reason_has_its_counter() {
    for family in Family::ALL {
        let mut rig = Rig::new(family);
        let plain = rig.service();
        let mut local = rig.service();
        local.external_policy = TrafficPolicy::Local;
        let mut closed = rig.service();
        closed.source_ranges = vec![rig.node_ip().into()].into();
        closed.load_balancer_ips = closed.external_ips.drain(..).collect();
        let external = (rig.external_ip(), 80);
        let rows = [
            (
                &plain,
                &[][..],
                (rig.cluster_ip(), 80),
                Source::Pod,
                Expect::Refused,
                Counter::NoEndpoint,
            ),
            (
                &plain,
                &[],
                (rig.node_ip(), 30080),
                Source::Outside,
                Expect::Refused,
                Counter::NoEndpoint,
            ),
            (
                &local,
                &[2],
                external,
                Source::Outside,
                Expect::Dropped,
                Counter::NoLocalEndpoint,
            ),
            (
                &closed,
                &[1, 2],
                external,
                Source::Outside,
                Expect::Dropped,
                Counter::SourceRange,
            ),
            (
                &plain,
                &[1],
                (rig.cluster_ip(), 81),
                Source::Pod,
                Expect::Refused,
                Counter::WrongPort,
            ),
            (
                &plain,
                &[1],
                (rig.unallocated_ip(), 80),
                Source::Pod,
                Expect::Dropped,
                Counter::UnallocatedClusterIp,
            ),
        ];
        for (service, nodes, frontend, source, expect, counter) in rows {
            rig.program(service.clone(), nodes);
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let before = counts(&rig);
                rig.check(source, frontend, protocol, expect)
                    .unwrap_or_else(|problem| panic!("{family} {counter} {protocol}: {problem}"));
                let after = counts(&rig);
                assert_eq!(moved(&before, &after), [counter], "{family} {protocol}");
                let connections = |reading: &Reading| reading.counters[&Counter::Connections];
                assert_eq!(connections(&before), connections(&after), "{counter}");
            }
        }
    }
}

#[test]
fn connections_are_counted_for_the_frontend_that_the_client_knows() {
    for family in Family::ALL {
        for affinity in [None, Some(60)] {
            let mut rig = Rig::new(family);
            let mut service = rig.service();
            service.session_affinity = affinity;
            rig.program(service.clone(), &[1, 2]);
            let frontends: [(IpAddr, u16); 3] = [
                (rig.cluster_ip(), 80),
                (rig.external_ip(), 80),
                (rig.node_ip(), 30080),
            ];
            for frontend in frontends {
                rig.answering(Source::Outside, frontend, Protocol::Udp);
            }
            let first = counts(&rig);
            let by_frontend: BTreeMap<Frontend, u64> = first.connections.iter().copied().collect();
            let expected: Vec<Frontend> = frontends
                .iter()
                .map(|(address, port)| Frontend {
                    address: Some(*address),
                    protocol: Protocol::Udp,
                    port: *port,
                })
                .collect();
            let same = by_frontend[&expected[0]];
            assert!(same > 1, "{by_frontend:?}");
            assert_eq!(
                by_frontend,
                expected.iter().map(|frontend| (*frontend, same)).collect(),
                "{family}: as often as was dialled, and each a connection of its own"
            );
            assert_eq!(first.counters[&Counter::Connections], 3 * same);
            // Another endpoint count is another chain, and counts go on.
            rig.program(service, &[1]);
            rig.answering(Source::Outside, frontends[0], Protocol::Udp);
            let second = counts(&rig);
            assert_eq!(second.table, first.table);
            assert_eq!(second.counters[&Counter::Connections], 4 * same);
        }
    }
}
