//! What may happen to a few Services, for tests that hold whatever happens.

use crate::model::{
    Endpoint, EndpointPort, EndpointSlice, Family, Hints, ObjectName, Protocol, Service,
    ServicePort, TrafficPolicy,
};
use crate::{Change, Config, LocalDetector};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::IpAddr;

/// Settings of a node called n1.
pub(crate) fn config(family: Family) -> Config {
    let pods = match family {
        Family::V4 => "10.244.0.0/16",
        Family::V6 => "fd00:10:244::/64",
    };
    Config {
        local_detector: LocalDetector::Source(pods.parse().expect("a CIDR")),
        node_ip: Some(ip("192.0.2.1")),
        ..Config::new(family, "n1")
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// One of a few Services or slices.
pub(crate) fn name(n: u8) -> ObjectName {
    ObjectName::new("default", format!("s{n}"))
}

prop_compose! {
    fn port()(n in 0u8..2, udp: bool, node_port in prop::option::of(30000u16..30003)) -> ServicePort {
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        ServicePort { name: format!("p{n}").into(), protocol, port: 80 + u16::from(n), node_port }
    }
}

prop_compose! {
    fn service()(
        n in 0u8..4,
        created in 0i64..3,
        ports in vec(port(), 1..3),
        external in vec(1u8..6, 0..6),
        balancer in vec(1u8..4, 0..2),
        policies in (any::<bool>(), any::<bool>()),
        dual: bool,
        health in prop::option::of(32000u16..32002),
        session_affinity in prop::option::weighted(0.3, 60u32..62),
        ranges in vec(prop_oneof![
            8 => Just("203.0.113.0/24"), 8 => Just("203.0.0.0/16"), 8 => Just("2001:db8::/32"),
            8 => Just("192.0.2.1/32"), 1 => Just("0.0.0.0/0"),
        ], 0..3),
    ) -> Service {
        let policy = |local| if local { TrafficPolicy::Local } else { TrafficPolicy::Cluster };
        let mut cluster_ips = vec![ip(&format!("10.96.0.{}", n + 1))];
        if dual {
            cluster_ips.push(ip(&format!("fd00:10:96::{}", n + 1)));
        }
        Service {
            name: name(n),
            origin: None,
            created,
            cluster_ips,
            external_ips: external.iter().map(|last| ip(&format!("198.51.100.{last}"))).collect(),
            load_balancer_ips: balancer
                .iter()
                .flat_map(|last| [ip(&format!("198.51.100.{last}")), ip(&format!("2001:db8::{last}"))])
                .collect(),
            ports,
            internal_policy: policy(policies.0),
            external_policy: policy(policies.1),
            health_check_node_port: health,
            kind: crate::model::ServiceType::NodePort,
            session_affinity,
            source_ranges: ranges.iter().map(|range| range.parse().expect("a range")).collect(),
        }
    }
}

prop_compose! {
    fn endpoint(family: Family)(
        last in 1u8..6,
        node in prop::option::of(1u8..3),
        conditions in (any::<bool>(), any::<bool>(), any::<bool>()),
        zone in prop::option::of(0u8..2),
    ) -> Endpoint {
        let address = match family {
            Family::V4 => ip(&format!("10.244.0.{last}")),
            Family::V6 => ip(&format!("fd00:10:244::{last}")),
        };
        Endpoint {
            address,
            node: node.map(|n| format!("n{n}").into()),
            ready: conditions.0,
            serving: conditions.1,
            terminating: conditions.2,
            hints: Hints::new(zone.map(|z| -> std::sync::Arc<str> { format!("z{z}").into() }), []),
        }
    }
}

fn slice() -> impl Strategy<Value = EndpointSlice> {
    let family = prop_oneof![3 => Just(Family::V4), 1 => Just(Family::V6)];
    (0u8..6, 0u8..4, family).prop_flat_map(|(n, service, family)| {
        vec(endpoint(family), 0..5).prop_map(move |endpoints| {
            let port = |n: u8, protocol| EndpointPort {
                name: format!("p{n}").into(),
                protocol,
                port: 8080 + u16::from(n),
            };
            EndpointSlice {
                name: name(n),
                service: name(service),
                family,
                ports: vec![
                    port(0, Protocol::Tcp),
                    port(1, Protocol::Tcp),
                    port(0, Protocol::Udp),
                ],
                endpoints,
                last_change_trigger: None,
            }
        })
    })
}

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// An object changed.
    Change(Change),
    /// A sync.
    Sync,
    /// A sync that the kernel refuses.
    Refused,
}

/// Anything that may happen.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => service().prop_map(|s| Step::Change(Change::Service(s))),
        1 => (0u8..4).prop_map(|n| Step::Change(Change::ServiceGone(name(n)))),
        6 => slice().prop_map(|s| Step::Change(Change::Slice(s))),
        1 => (0u8..6).prop_map(|n| Step::Change(Change::SliceGone(name(n)))),
        1 => prop::option::of(0u8..2).prop_map(|zone| Step::Change(Change::Node(crate::model::Node {
            name: "n1".into(),
            zone: zone.map(|z| format!("z{z}").into()),
            eligible: true,
            ..Default::default()
        }))),
        4 => Just(Step::Sync),
        1 => Just(Step::Refused),
    ]
}
