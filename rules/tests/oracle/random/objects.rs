//! Random Services, EndpointSlices and Nodes.

use super::{PORTS, SERVICES, SHARED, SLICES, address, name, range};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use rules::model::{
    Endpoint, EndpointPort, EndpointSlice, Family, Hints, Node, Service, ServicePort, TrafficPolicy,
};
use std::net::IpAddr;
use std::sync::Arc;

prop_compose! {
    pub fn service(family: Family)(
        n in 0..SERVICES,
        created in 0i64..3,
        families in select(vec![
            vec![family], vec![family], vec![Family::V4, Family::V6], vec![Family::V6, Family::V4],
            vec![Family::V4], vec![Family::V6],
        ]),
        ports in subsequence((0u8..4).collect::<Vec<_>>(), 1..=3),
        node_ports in any::<u8>(),
        external in subsequence(vec![1u8, 2, 3], 0..=3),
        balancer in subsequence(vec![1u8, 2, 3, 4], 0..=2),
        local in (any::<bool>(), any::<bool>()),
        session_affinity in option::weighted(0.25, 60u32..62),
        ranges in option::weighted(0.4, subsequence(vec![
            "203.0.113.0/24", "192.0.2.0/24", "10.244.0.0/26", "0.0.0.0/0",
            "2001:db8:3::/64", "2001:db8:2::1/128", "fd00:10:244::/122", "::/0",
        ], 1..=3)),
    ) -> Service {
        let policy = |local| if local { TrafficPolicy::Local } else { TrafficPolicy::Cluster };
        let both = |network: &'static str, own: Vec<u8>| -> Vec<IpAddr> {
            let each = |n| Family::ALL.into_iter().map(move |family| address(family, network, n));
            own.into_iter().flat_map(each).collect()
        };
        let port = |at: &u8| {
            let (name, protocol, port, _) = PORTS[usize::from(*at)];
            // Unique in the cluster: a bit of the draw says whether there is one.
            let node_port = 30000 + u16::from(n * 4 + at);
            let node_port = (node_ports >> at & 1 == 1).then_some(node_port);
            ServicePort { name: name.into(), protocol, port, node_port }
        };
        Service {
            name: name("s", n),
            created,
            cluster_ips: families.iter().map(|own| address(*own, "cluster", n + 1)).collect(),
            external_ips: both("external", external),
            load_balancer_ips: both("external", balancer),
            ports: ports.iter().map(port).collect(),
            internal_policy: policy(local.0),
            external_policy: policy(local.1),
            session_affinity,
            source_ranges: ranges.into_iter().flatten().map(range).collect(),
            ..Service::default()
        }
    }
}

prop_compose! {
    fn endpoint(address: IpAddr)(
        node in option::weighted(0.9, 1u8..3),
        conditions in select(vec![
            // ready, serving, terminating
            (true, true, false), (true, true, false), (true, false, false), (true, true, true),
            (false, true, true), (false, true, true), (false, false, true), (false, true, false),
            (false, false, false),
        ]),
        zones in subsequence(vec!["z1", "z2"], 0..=2),
        nodes in subsequence(vec!["n1", "n2"], 0..=2),
        hinted in prop::bool::weighted(0.8),
    ) -> Endpoint {
        let hints = |own: &[&str]| -> Box<[Arc<str>]> {
            own.iter().filter(|_| hinted).map(|hint| (*hint).into()).collect()
        };
        Endpoint {
            address,
            node: node.map(|n| format!("n{n}").into()),
            ready: conditions.0,
            serving: conditions.1,
            terminating: conditions.2,
            hints: Hints::new(hints(&zones), hints(&nodes)),
        }
    }
}

pub fn slice(family: Family) -> impl Strategy<Value = EndpointSlice> {
    let families = prop_oneof![6 => Just(family), 1 => Just(Family::V4), 1 => Just(Family::V6)];
    let ports = subsequence((0..PORTS.len()).collect::<Vec<_>>(), 3..=4);
    let extra = (prop::bool::weighted(0.3), prop::bool::weighted(0.2));
    (0..SLICES, 0..SERVICES, families, ports, extra).prop_flat_map(
        |(n, service, family, ports, (shared, host))| {
            let own = |k: u8| endpoint(address(family, "pod", n * 4 + k + 1));
            let endpoints = (0u8..4).map(own).collect::<Vec<_>>();
            let endpoints = endpoints.prop_flat_map(|all| subsequence(all, 1..=4));
            // Other slices name these two as well, and say something else of them.
            let common = (
                endpoint(address(family, "pod", SHARED)),
                endpoint(address(family, "node", 1)),
            );
            (endpoints, common).prop_map(move |(mut endpoints, (other, node))| {
                endpoints.extend(shared.then_some(other));
                endpoints.extend(host.then_some(node));
                let port = |at: &usize| {
                    let (name, protocol, _, port) = PORTS[*at];
                    EndpointPort {
                        name: name.into(),
                        protocol,
                        port,
                    }
                };
                EndpointSlice {
                    name: name("e", n),
                    service: name("s", service),
                    family,
                    ports: ports.iter().map(port).collect(),
                    endpoints,
                    last_change_trigger: None,
                }
            })
        },
    )
}

pub fn node() -> impl Strategy<Value = Node> {
    option::of(1u8..3).prop_map(|zone| Node {
        name: "n1".into(),
        zone: zone.map(|n| format!("z{n}").into()),
        eligible: true,
        ..Node::default()
    })
}
