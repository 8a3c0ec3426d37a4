//! Packets to send through a table, chosen from what there is.

use super::bytes::Bytes;
use super::step::{PORTS, SHARED, address};
use oracle::Pin;
use oracle::World;
use rules::model::{EndpointAddr, Family, Protocol, Service};
use rules::trace::{Origin, Packet};
use std::net::IpAddr;

type Destination = (IpAddr, Protocol, u16);

/// A packet, and which endpoints remember its client.
pub(super) fn packet(world: &World, from: &mut Bytes<'_>) -> Option<(Packet, Vec<Pin>)> {
    let origin = match from.below(4) {
        0 => Origin::Node,
        1 => Origin::Interface("cni0".into()),
        2 => Origin::Interface("cali7".into()),
        _ => Origin::Interface("eth0".into()),
    };
    let sources = match origin {
        Origin::Node => own(world),
        Origin::Interface(_) => foreign(world),
    };
    let source = from.one_of(&sources)?;
    let (destination, protocol, port) = from.one_of(&destinations(world))?;
    let packet = Packet {
        origin,
        protocol,
        source,
        destination,
        port,
    };
    Some((packet, pins(world, from)))
}

/// The endpoint that remembers the client, of each port that has affinity. It need not be there
/// any more, or never was the Service's.
fn pins(world: &World, from: &mut Bytes<'_>) -> Vec<Pin> {
    let candidates = pods(world);
    let choice = from.byte();
    let ports = world.services.values().flat_map(|service| {
        let ports = service.ports.iter();
        ports.map(move |port| (service, port))
    });
    let mut pins = Vec::new();
    for (at, (service, port)) in ports.enumerate() {
        let known = PORTS
            .iter()
            .find(|own| (own.1, own.2) == (port.protocol, port.port));
        let Some(known) = known.filter(|_| choice & 1 == 1) else {
            continue;
        };
        let at = usize::from(choice >> 1).wrapping_add(at) % candidates.len();
        pins.push(Pin {
            service: service.name.clone(),
            protocol: port.protocol,
            port: port.port,
            backend: EndpointAddr {
                address: candidates[at],
                port: known.3,
            },
        });
    }
    pins
}

/// The addresses of all endpoints, and of one that may be none.
fn pods(world: &World) -> Vec<IpAddr> {
    let slices = world.slices.values();
    let slices = slices.filter(|own| own.family == world.family());
    let endpoints = slices.flat_map(|slice| &slice.endpoints);
    let mut all: Vec<IpAddr> = endpoints.map(|endpoint| endpoint.address).collect();
    all.push(address(world.family(), "pod", SHARED));
    all.sort_unstable();
    all.dedup();
    all
}

fn own(world: &World) -> Vec<IpAddr> {
    let mut own = world.addresses.clone();
    own.retain(|ip| world.is_of_family(ip));
    own.push(match world.family() {
        Family::V4 => IpAddr::from([127, 0, 0, 1]),
        Family::V6 => IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
    });
    own
}

/// Endpoints, other pods, other nodes, hosts outside, and one who lies.
fn foreign(world: &World) -> Vec<IpAddr> {
    let family = world.family();
    let mut all = pods(world);
    all.extend([60, 130].map(|n| address(family, "pod", n)));
    all.extend([1, 9].map(|n| address(family, "node", n)));
    all.extend([7, 8].map(|n| address(family, "outside", n)));
    all.push(address(family, "external", 1));
    all
}

/// What Services ask for, served or not, node ports at the node's addresses and another's, and a
/// few that nobody asks for.
fn destinations(world: &World) -> Vec<Destination> {
    let family = world.family();
    let mut hosts = own(world);
    hosts.push(address(family, "node", 9));
    let mut all: Vec<Destination> = ["cluster", "external", "node", "pod", "outside"]
        .map(|network| (address(family, network, 200), Protocol::Tcp, 80))
        .into();
    for service in world.services.values() {
        let addresses = addresses(world, service);
        all.extend(addresses.iter().map(|ip| (*ip, Protocol::Tcp, 81)));
        for port in &service.ports {
            all.extend(addresses.iter().map(|ip| (*ip, port.protocol, port.port)));
            let node_port = port.node_port.into_iter();
            all.extend(
                node_port.flat_map(|own| hosts.iter().map(move |ip| (*ip, port.protocol, own))),
            );
        }
    }
    all
}

fn addresses(world: &World, service: &Service) -> Vec<IpAddr> {
    let all = [
        &service.cluster_ips,
        &service.external_ips,
        &service.load_balancer_ips,
    ];
    let all = all.into_iter().flatten().copied();
    all.filter(|ip| world.is_of_family(ip)).collect()
}
