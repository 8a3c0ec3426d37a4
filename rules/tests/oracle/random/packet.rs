//! Random packets, most of them to a frontend.

use super::{PORTS, SERVICES, SHARED, address, ip};
use oracle::Pin;
use oracle::World;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rules::model::{EndpointAddr, Family, ObjectName, Protocol, Service, ServicePort};
use rules::trace::{Origin, Packet};
use std::net::IpAddr;

/// A packet that is made once the cluster is known, to meet what is there.
#[derive(Clone, Debug)]
pub struct PacketSeed {
    interface: Option<&'static str>,
    source: Index,
    destination: Index,
    /// Not to a frontend, unless by accident.
    astray: bool,
    /// The endpoint that remembers the client, of each Service that has
    /// affinity. It need not be there any more, or never was the Service's.
    pins: Vec<Option<Index>>,
}

prop_compose! {
    pub fn packet()(
        interface in option::weighted(0.75, select(vec!["cni0", "cali7", "eth0"])),
        source: Index,
        destination: Index,
        astray in prop::bool::weighted(0.15),
        pins in vec(option::of(any::<Index>()), usize::from(SERVICES)),
    ) -> PacketSeed {
        PacketSeed { interface, source, destination, astray, pins }
    }
}

impl PacketSeed {
    pub fn packet(&self, world: &World) -> (Packet, Vec<Pin>) {
        let sources = match self.interface {
            None => own_addresses(world),
            Some(_) => foreign_addresses(world),
        };
        let mut destinations = frontends(world);
        if self.astray || destinations.is_empty() {
            destinations = others(world);
        }
        let (destination, protocol, port) = *self.destination.get(&destinations);
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
        let with_pins = world.services.values().zip(&self.pins);
        let of_service = |(service, pin): (&Service, &Option<Index>)| {
            let pin = (*pin)?;
            let pin = move |port: &ServicePort| {
                let known = PORTS
                    .iter()
                    .find(|own| (own.1, own.2) == (port.protocol, port.port))?;
                let mut candidates = endpoints(world, Some(service));
                candidates.push(address(world.family(), "pod", SHARED));
                Some(Pin {
                    service: service.name.clone(),
                    protocol: port.protocol,
                    port: port.port,
                    backend: EndpointAddr {
                        address: *pin.get(&candidates),
                        port: known.3,
                    },
                })
            };
            Some(service.ports.iter().filter_map(pin).collect::<Vec<_>>())
        };
        with_pins.filter_map(of_service).flatten().collect()
    }
}

/// The addresses of all endpoints, or those of one Service.
fn endpoints(world: &World, of: Option<&Service>) -> Vec<IpAddr> {
    let wanted = |service: &ObjectName| of.is_none_or(|own| own.name == *service);
    let slices = world.slices.values();
    let slices = slices.filter(|own| own.family == world.family() && wanted(&own.service));
    let endpoints = slices.flat_map(|slice| &slice.endpoints);
    let mut all: Vec<IpAddr> = endpoints.map(|endpoint| endpoint.address).collect();
    all.sort_unstable();
    all.dedup();
    all
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
    let mut all = endpoints(world, None);
    all.extend([60, 130].map(|n| address(family, "pod", n)));
    all.extend([1, 9].map(|n| address(family, "node", n)));
    all.extend([7, 8].map(|n| address(family, "outside", n)));
    all.push(address(family, "external", 1));
    all
}

type Destination = (IpAddr, Protocol, u16);

/// What Services ask for, node ports at two of the node's addresses.
fn frontends(world: &World) -> Vec<Destination> {
    let hosts = [1, 2].map(|n| address(world.family(), "node", n));
    let mut all = Vec::new();
    for (service, port) in world.ports() {
        let addresses = addresses(world, service).into_iter();
        all.extend(addresses.map(|ip| (ip, port.protocol, port.port)));
        let node_port = port.node_port.into_iter();
        all.extend(node_port.flat_map(|own| hosts.map(|ip| (ip, port.protocol, own))));
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

/// Bad ports, addresses that no Service has, node ports elsewhere, and what
/// Services without rules in the family ask for.
fn others(world: &World) -> Vec<Destination> {
    let family = world.family();
    let networks = [
        ("cluster", 200),
        ("external", 1),
        ("node", 1),
        ("pod", 1),
        ("outside", 7),
    ];
    let to = |(network, n)| (address(family, network, n), Protocol::Tcp, 80);
    let mut all: Vec<Destination> = networks.map(to).into();
    let mut hosts = own_addresses(world);
    hosts.push(address(family, "node", 9));
    for service in world.services.values() {
        let own = addresses(world, service);
        all.extend(own.iter().map(|ip| (*ip, Protocol::Tcp, 81)));
        for port in &service.ports {
            all.extend(own.iter().map(|ip| (*ip, port.protocol, port.port)));
            let node_port = port.node_port.into_iter();
            let at = |own| hosts.iter().map(move |ip| (*ip, port.protocol, own));
            all.extend(node_port.flat_map(at));
        }
    }
    all
}
