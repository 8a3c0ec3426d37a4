//! Session affinity and source ranges, by packets.

use super::rig::{Expect, Mode, Rig, Source, echo};
use e2e::address::CLIENT;
use rules::model::{Family, Protocol, TrafficPolicy};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn a_client_keeps_its_endpoint_over_all_frontends() {
    for (mode, family) in Mode::in_families() {
        let mut rig = Rig::of_mode(family, mode);
        let mut service = rig.service();
        service.session_affinity = Some(60);
        rig.program(service.clone(), &[1, 2]);
        let frontends = [
            (rig.cluster_ip(), 80),
            (rig.external_ip(), 80),
            (rig.node_ip(), 30080),
        ];
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for source in [Source::Outside, Source::Pod, Source::OtherNode] {
                let all: BTreeSet<String> = frontends
                    .iter()
                    .flat_map(|frontend| rig.answering(source, *frontend, protocol))
                    .collect();
                assert_eq!(all.len(), 1, "{family} {protocol} {source:?}: {all:?}");
            }
        }
        // The endpoint goes, and with it what held the client to it.
        for node in [1, 2] {
            rig.program(service.clone(), &[node]);
            let left = rig.answering(Source::Outside, frontends[1], Protocol::Tcp);
            assert_eq!(left, BTreeSet::from([echo(node)]), "{family}");
        }
    }
}

#[test]
fn affinity_ends_with_its_timeout() {
    let mut rig = Rig::new(Family::V4);
    let mut service = rig.service();
    service.session_affinity = Some(1);
    rig.program(service, &[1, 2]);
    let mut seen = BTreeSet::new();
    // Missing one of two has a chance of 2^-15.
    for _ in 0..16 {
        seen.extend(rig.answering(Source::Outside, (rig.external_ip(), 80), Protocol::Tcp));
        std::thread::sleep(Duration::from_millis(1300));
        if seen.len() == 2 {
            return;
        }
    }
    panic!("only {seen:?} answered");
}

#[test]
fn affinity_and_policy_local() {
    for (mode, family) in Mode::in_families() {
        let mut rig = Rig::of_mode(family, mode);
        let mut service = rig.service();
        service.session_affinity = Some(60);
        service.external_policy = TrafficPolicy::Local;
        rig.program(service, &[1, 2]);
        let frontend = (rig.external_ip(), 80);
        rig.check(
            Source::Outside,
            frontend,
            Protocol::Tcp,
            Expect::Local(true),
        )
        .unwrap_or_else(|problem| panic!("{family}: {problem}"));
        let from_pod = rig.answering(Source::Pod, frontend, Protocol::Tcp);
        assert_eq!(from_pod.len(), 1, "{family}: {from_pod:?}");
    }
}

#[test]
fn only_allowed_sources_reach_a_load_balancer_address() {
    for (mode, family) in Mode::in_families() {
        let mut rig = Rig::of_mode(family, mode);
        let mut service = rig.service();
        service.load_balancer_ips = std::mem::take(&mut service.external_ips);
        let (client, elsewhere): (std::net::IpAddr, &str) = match family {
            Family::V4 => (CLIENT.v4.into(), "192.0.2.0/24"),
            Family::V6 => (CLIENT.v6.into(), "2001:db8:ffff::/48"),
        };
        let elsewhere: ipnet::IpNet = elsewhere.parse().expect("a range");
        let balancer = (rig.external_ip(), 80);
        let others = [(rig.cluster_ip(), 80), (rig.node_ip(), 30080)];
        for (ranges, expect) in [
            (
                vec![ipnet::IpNet::from(client), elsewhere],
                Expect::Masqueraded,
            ),
            (vec![elsewhere], Expect::Dropped),
        ] {
            service.source_ranges = ranges.into();
            rig.program(service.clone(), &[1, 2]);
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                rig.check(Source::Outside, balancer, protocol, expect)
                    .unwrap_or_else(|problem| panic!("{family} {protocol}: {problem}"));
                rig.check(Source::OtherNode, balancer, protocol, Expect::Dropped)
                    .unwrap_or_else(|problem| panic!("{family} {protocol}: {problem}"));
                for other in others {
                    rig.check(Source::Outside, other, protocol, Expect::Masqueraded)
                        .unwrap_or_else(|problem| panic!("{family} {other:?}: {problem}"));
                }
            }
        }
    }
}
