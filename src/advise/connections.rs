//! Connections that are open now, as this node's kernel remembers them.

use crate::inspect::Cluster;
#[cfg(feature = "node")]
use crate::netlink::Flows;
use crate::report::Source;
use crate::world::World;
use rules::model::{Family, ObjectName, ServicePort};
use rules::usage::{Ports, Usage};
use std::io;

/// How many connections to a Service's port go through this node; and whether that could be seen.
pub(super) fn open(
    cluster: &Cluster,
    world: &World,
    service: &ObjectName,
    port: &ServicePort,
) -> (Option<u64>, Source) {
    let unseen = |why: String| (None, Source::unseen("conntrack", why));
    if cluster.is_files() {
        return unseen("objects in files have no connections".to_owned());
    }
    let here = world.here();
    if world.seen_from(here.name()).is_none() {
        return unseen(format!(
            "{} is no node of the cluster: on a node, its connections are counted",
            here.name()
        ));
    }
    let configs = Family::ALL.map(|family| here.config(family));
    let ports = Ports::new(here.view(), &configs);
    match counted(&ports) {
        Ok(usage) => (
            Some(of_port(&usage, service, port)),
            Source::fresh("conntrack"),
        ),
        Err(error) => unseen(format!("{error}; to list connections needs NET_ADMIN")),
    }
}

#[cfg(feature = "node")]
fn counted(ports: &Ports) -> io::Result<Usage<'_>> {
    Flows::open()?.usage(ports)
}

/// Without the node's parts there is no way to the kernel.
#[cfg(not(feature = "node"))]
fn counted(_: &Ports) -> io::Result<Usage<'_>> {
    Err(io::ErrorKind::Unsupported.into())
}

fn of_port(usage: &Usage<'_>, service: &ObjectName, port: &ServicePort) -> u64 {
    let own = usage.of_service(service);
    let mut own = own.filter(|own| (own.protocol(), own.number()) == (port.protocol, port.port));
    own.next().map_or(0, |own| own.total().open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::model::{EndpointAddr, Protocol, Service};
    use rules::usage::{Flow, Tally};
    use rules::{Change, Config, State};

    #[test]
    fn the_ports_own_connections_count() {
        let port = |number: u16| ServicePort {
            name: number.to_string().into(),
            protocol: Protocol::Tcp,
            port: number,
            node_port: None,
        };
        let name = ObjectName::new("shop", "web");
        let mut state = State::new();
        state.apply(Change::Service(Service {
            name: name.clone(),
            cluster_ips: vec!["10.96.0.10".parse().expect("an address")],
            ports: vec![port(80), port(443)],
            ..Service::default()
        }));
        let config = Config::new(Family::V4, "n1");
        let ports = Ports::new(state.view(), &[config]);
        let mut usage = Usage::new(&ports);
        let end = |address: &str, port| EndpointAddr {
            address: address.parse().expect("an address"),
            port,
        };
        for (identity, number, ended) in [
            (1, 80, false),
            (2, 80, false),
            (3, 80, true),
            (4, 443, false),
        ] {
            let flow = Flow {
                identity,
                protocol: Protocol::Tcp,
                destination: end("10.96.0.10", number),
                answers: end("10.244.1.2", 8080),
                ended,
                traffic: None,
            };
            usage.add(&flow, Tally::of(&flow));
        }
        assert_eq!(of_port(&usage, &name, &port(80)), 2);
        assert_eq!(of_port(&usage, &name, &port(443)), 1);
        assert_eq!(of_port(&usage, &name, &port(8443)), 0);
    }
}
