//! What a Service's own frontends don't show: hairpins, ports and addresses that nothing serves,
//! several ports, shared addresses, endpoints listed twice.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use e2e::address::{ECHO_PORT, node};
use e2e::probe::Protocol;

use super::{Table, in_state, ready};
use crate::conformance::case::{BRIEF, Breadth, Case, FULL, Source, What, tries};
use crate::conformance::spec::{
    Family, Frontend, Policy, Port, SECOND_PORT, State, cluster_ips, external_ips,
};

const A1: usize = 0;
const A2: usize = 1;
const B1: usize = 2;

pub(super) fn add(table: &mut Table) {
    hairpins(table);
    ports(table);
    unserved(table);
    let mut service = table.service("listed-twice");
    // The second slice says that the same pods go.
    service.endpoints = [ready(&[A1, B1]), in_state(State::Serving, &[A1, B1])].concat();
    for endpoint in &mut service.endpoints[2..] {
        endpoint.slice = 1;
    }
    table.add(
        service,
        "endpoints that two slices list in different states",
        BRIEF,
    );
}

fn hairpins(table: &mut Table) {
    let to_itself = Breadth {
        frontends: &Frontend::ALL,
        sources: &[Source::Endpoint],
        datagrams: &[Source::Endpoint],
    };
    for (name, external, pods) in [
        ("alone", Policy::Cluster, &[A1][..]),
        ("beside", Policy::Cluster, &[A1, A2, B1]),
        ("local", Policy::Local, &[A1, B1]),
    ] {
        let mut service = table.service(&format!("hairpin-{name}"));
        service.external = external;
        service.endpoints = ready(pods);
        table.add(service, "an endpoint that connects to itself", to_itself);
    }
    let mut service = table.service("hairpin-affinity");
    service.affinity = Some(60);
    service.endpoints = ready(&[A1]);
    table.add(
        service,
        "an endpoint that connects to itself, with affinity",
        to_itself,
    );
}

fn ports(table: &mut Table) {
    let port = |name, protocol, port, target| Port {
        name,
        protocol,
        port,
        target,
    };
    // For longer than it takes until trace is asked, after all packets of the table.
    for (name, affinity) in [("ports", None), ("ports-affinity", Some(3600))] {
        let mut service = table.service(name);
        service.ports = vec![
            port("first", Protocol::Tcp, 80, ECHO_PORT),
            port("second", Protocol::Tcp, 81, SECOND_PORT),
            port("datagrams", Protocol::Udp, 81, SECOND_PORT),
        ];
        service.affinity = affinity;
        service.endpoints = ready(&[A1, B1]);
        table.add(service, "several ports to different target ports", BRIEF);
    }
    let mut first = table.service("shared-first");
    first.endpoints = ready(&[A1]);
    let slot = first.slot;
    table.add(
        first,
        "an external IP that two Services share, by port 80",
        BRIEF,
    );
    let mut second = table.service("shared-second");
    second.external_ips = Some(slot);
    second.ports = vec![port("tcp", Protocol::Tcp, 81, ECHO_PORT)];
    second.endpoints = ready(&[B1]);
    table.add(
        second,
        "an external IP that two Services share, by port 81",
        BRIEF,
    );
    let mut third = table.service("shared-none");
    third.external_ips = Some(slot);
    third.external = Policy::Local;
    third.ports = vec![port("tcp", Protocol::Tcp, 82, ECHO_PORT)];
    third.endpoints = ready(&[B1]);
    table.add(
        third,
        "an external IP that two Services share, no endpoint here",
        FULL,
    );
}

/// What no Service serves at all.
fn unserved(table: &mut Table) {
    let mut served = table.service("unserved-beside");
    served.endpoints = ready(&[A1]);
    let mut empty = table.service("unserved-empty");
    // The one after, which is added first.
    empty.slot += 1;
    empty.external_ips = Some(empty.slot);
    let loopback = |family| match family {
        Family::V4 => IpAddr::from(Ipv4Addr::LOCALHOST),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    };
    let mut add =
        |what: &str, words: &str, target: &dyn Fn(Family) -> SocketAddr, sources: &[Source]| {
            for family in Family::BOTH {
                for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
                    for source in sources {
                        let id = format!(
                            "unserved/{what}/{}/{}/{}",
                            source.name(),
                            family.name(),
                            protocol.name()
                        );
                        table.cases.push(Case {
                            id: id.to_lowercase(),
                            description: words.to_owned(),
                            family,
                            source: *source,
                            what: What::Probes {
                                protocol,
                                targets: vec![target(family)],
                                tries: tries(1),
                                sticky: false,
                            },
                            turn: None,
                        });
                    }
                }
            }
        };
    let node_port = served.node_port(&served.ports[0]);
    let at = |address: IpAddr, port| SocketAddr::new(address, port);
    add(
        "cluster-ip-port",
        "another port of a cluster IP",
        &|family| at(served.cluster_ip(family), 9),
        &Source::ALL,
    );
    add(
        "empty-cluster-ip-port",
        "another port of a cluster IP without endpoints",
        &|family| at(empty.cluster_ip(family), 9),
        &Source::ALL,
    );
    add(
        "unallocated",
        "a cluster IP that no Service has",
        &|family| at(family.of(cluster_ips(3, 3)), 80),
        &Source::ALL,
    );
    add(
        "external-ip-port",
        "another port of an external IP",
        &|family| at(family.of(external_ips(served.slot)), 9),
        &Source::ALL,
    );
    add(
        "node-port",
        "a node port that no Service has",
        &|family| at(family.of(node(1)), 32_767),
        &Source::ALL,
    );
    add(
        "loopback",
        "a node port on the loopback address",
        &|family| at(loopback(family), node_port),
        &[Source::Node],
    );
    add(
        "node-port-elsewhere",
        "a node port of the other node, by way of this one",
        &|family| at(family.of(node(2)), node_port),
        &[Source::Pod, Source::Node],
    );
    table.add(served, "one endpoint here", BRIEF);
    table.add(empty, "no endpoints", BRIEF);
}
