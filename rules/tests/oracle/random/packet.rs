//! Random packets, most of them to a frontend.

use super::{PORTS, SERVICES, SHARED, SLICES, address, ip, name};
use crate::judge::Pin;
use crate::world::World;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rules::model::{Backend, Family, Protocol, ServicePort};
use rules::trace::{Origin, Packet};
use std::net::IpAddr;

/// A packet that is made once the cluster is known, to meet what is there.
#[derive(Clone, Debug)]
pub struct PacketSeed {
    interface: Option<&'static str>,
    source: Index,
    destination: Index,
    /// For each Service port with affinity: the endpoint that remembers the
    /// client, which need not be there any more.
    pins: Vec<Option<u8>>,
}

prop_compose! {
    pub fn packet()(
        interface in option::weighted(0.75, select(vec!["cni0", "cali7", "eth0"])),
        source: Index,
        destination: Index,
        pins in vec(option::weighted(0.3, 0u8..4 * SLICES + 1), usize::from(SERVICES)),
    ) -> PacketSeed {
        PacketSeed { interface, source, destination, pins }
    }
}

impl PacketSeed {
    pub fn packet(&self, world: &World) -> (Packet, Vec<Pin>) {
        let sources = match self.interface {
            None => own_addresses(world),
            Some(_) => foreign_addresses(world),
        };
        let (destination, protocol, port) = *self.destination.get(&destinations(world));
        let packet = Packet {
            origin: self
                .interface
                .map_or(Origin::Node, |name| Origin::Interface(name.into())),
            protocol,
            source: *self.source.get(&sources),
            destination,
            port,
        };
        (packet, self.pins(world))
    }

    fn pins(&self, world: &World) -> Vec<Pin> {
        let of_service = |(n, pin): (u8, &Option<u8>)| {
            let last = (*pin)?;
            let service = world.services.get(&name("s", n))?;
            let pin = |port: &ServicePort| {
                let known = PORTS
                    .iter()
                    .find(|own| (own.1, own.2) == (port.protocol, port.port));
                let address = match last {
                    0 => address(world.family(), "pod", SHARED),
                    last => address(world.family(), "pod", last),
                };
                let backend = Backend {
                    address,
                    port: known?.3,
                };
                Some(Pin {
                    service: service.name.clone(),
                    protocol: port.protocol,
                    port: port.port,
                    backend,
                })
            };
            Some(service.ports.iter().filter_map(pin).collect::<Vec<_>>())
        };
        (0..SERVICES)
            .zip(&self.pins)
            .filter_map(of_service)
            .flatten()
            .collect()
    }
}

fn own_addresses(world: &World) -> Vec<IpAddr> {
    let mut own = world.addresses.clone();
    own.retain(|ip| world.is_of_family(ip));
    own.push(match world.family() {
        Family::V4 => ip("127.0.0.1"),
        Family::V6 => ip("::1"),
    });
    own
}

/// Endpoints, other pods, other nodes, hosts outside, and one who lies.
fn foreign_addresses(world: &World) -> Vec<IpAddr> {
    let family = world.family();
    let slices = world.slices.values().filter(|own| own.family == family);
    let endpoints = slices.flat_map(|slice| &slice.endpoints);
    let mut all: Vec<IpAddr> = endpoints.map(|endpoint| endpoint.address).collect();
    all.sort_unstable();
    all.dedup();
    all.extend([60, 130].map(|n| address(family, "pod", n)));
    all.extend([1, 9].map(|n| address(family, "node", n)));
    all.extend([7, 8].map(|n| address(family, "outside", n)));
    all.push(address(family, "external", 1));
    all
}

/// Frontends mostly, a bad port or address now and then.
fn destinations(world: &World) -> Vec<(IpAddr, Protocol, u16)> {
    let family = world.family();
    let mut all = Vec::new();
    let mut hosts = own_addresses(world);
    hosts.push(address(family, "node", 9));
    for service in world.services.values() {
        let ips = [
            &service.cluster_ips,
            &service.external_ips,
            &service.load_balancer_ips,
        ];
        let ips = ips
            .into_iter()
            .flatten()
            .filter(|ip| world.is_of_family(ip));
        for port in &service.ports {
            all.extend(ips.clone().map(|ip| (*ip, port.protocol, port.port)));
            let node_port = port.node_port.into_iter();
            all.extend(
                node_port.flat_map(|own| hosts.iter().map(move |ip| (*ip, port.protocol, own))),
            );
        }
        all.extend(ips.map(|ip| (*ip, Protocol::Tcp, 81)));
    }
    let others = [
        ("cluster", 200),
        ("external", 1),
        ("node", 1),
        ("pod", 1),
        ("outside", 7),
    ];
    all.extend(others.map(|(network, n)| (address(family, network, n), Protocol::Tcp, 80)));
    all
}
