//! What becomes of a packet (docs/reference.md#traffic-policies, docs/reference.md#packet-paths).

use crate::endpoints::of_port;
use crate::frontends::{Kind, Port};
use crate::iptables;
use crate::world::World;
use rules::LocalDetector;
use rules::model::{EndpointAddr, ObjectName, Protocol, TrafficPolicy};
use rules::trace::{End, Origin, Packet};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A client that a port with session affinity sent to an endpoint before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The Service.
    pub service: ObjectName,
    /// The port's protocol.
    pub protocol: Protocol,
    /// The port's number.
    pub port: u16,
    /// Where it was sent.
    pub backend: EndpointAddr,
}

/// A port with session affinity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// The Service.
    pub service: ObjectName,
    /// The port's protocol.
    pub protocol: Protocol,
    /// The port's number.
    pub port: u16,
}

/// What may become of a packet, and who remembers the client if it gets
/// through.
pub struct Answer {
    /// Each of these is right; which one, is chance.
    pub ends: BTreeSet<End>,
    /// The port, if it has session affinity.
    pub sticky: Option<Sticky>,
}

/// The choice of a frontend.
pub(crate) struct Choice<'a> {
    pub(crate) port: Port<'a>,
    pub(crate) backends: Vec<EndpointAddr>,
    pub(crate) masquerade: bool,
}

/// Which of upstream's modes. They differ in some things, on purpose or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Mode nftables.
    Nftables,
    /// Mode iptables.
    Iptables,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Nftables, Self::Iptables];
}

/// `pins` are those of the packet's client, at most one for each port.
pub fn judge(mode: Mode, world: &World, pins: &[Pin], packet: &Packet) -> Answer {
    match mode {
        Mode::Nftables => in_nftables(world, pins, packet),
        Mode::Iptables => iptables::judge(world, pins, packet),
    }
}

fn in_nftables(world: &World, pins: &[Pin], packet: &Packet) -> Answer {
    let to = (packet.destination, packet.port);
    let only = |end| Answer {
        ends: BTreeSet::from([end]),
        sticky: None,
    };
    if is_kept_away(world, packet, to) {
        return only(End::Dropped);
    }
    let mark = world.is_cluster_ip(packet.destination)
        && (world.config.masquerade_all || from_local_pod(world, packet) == Some(false));
    let Some(choice) = choose(world, packet) else {
        let untranslated = End::Untranslated {
            masquerade: mark && leaves(world, packet, packet.destination),
        };
        return only(filter(world, packet, to).unwrap_or(untranslated));
    };
    let sticky = sticky(choice.port);
    let backends = pinned(choice.backends, sticky.as_ref(), pins);
    let ends = backends.into_iter().map(|backend| {
        let marked = mark || choice.masquerade || is_hairpin(world, packet, backend);
        let through = End::Endpoint {
            backend,
            masquerade: marked && leaves(world, packet, backend.address),
        };
        filter(world, packet, (backend.address, backend.port)).unwrap_or(through)
    });
    Answer {
        ends: ends.collect(),
        sticky,
    }
}

/// The port, if it has session affinity.
pub(crate) fn sticky((service, port): Port<'_>) -> Option<Sticky> {
    service.session_affinity.map(|_| Sticky {
        service: service.name.clone(),
        protocol: port.protocol,
        port: port.port,
    })
}

/// Of the endpoints the one that remembers the client, or else all.
pub(crate) fn pinned(
    backends: Vec<EndpointAddr>,
    sticky: Option<&Sticky>,
    pins: &[Pin],
) -> Vec<EndpointAddr> {
    let mine = |pin: &&Pin| {
        sticky.is_some_and(|own| {
            (&pin.service, pin.protocol, pin.port) == (&own.service, own.protocol, own.port)
        })
    };
    let pin = pins.iter().find(mine);
    match pin.filter(|pin| backends.contains(&pin.backend)) {
        Some(pin) => vec![pin.backend],
        None => backends,
    }
}

/// The endpoints to choose from; `None` if the packet is not translated.
fn choose<'a>(world: &'a World, packet: &Packet) -> Option<Choice<'a>> {
    let by_address = world.by_address(packet.destination, packet.protocol, packet.port);
    if let Some(((service, port), kind)) = by_address {
        let endpoints = of_port(world, service, port);
        let inside = kind == Kind::Cluster;
        match service.internal_policy {
            _ if !endpoints.any => {}
            _ if !inside => return from_outside(world, packet, (service, port)),
            TrafficPolicy::Local if endpoints.local.is_empty() => {}
            policy => {
                return Some(Choice {
                    port: (service, port),
                    backends: match policy {
                        TrafficPolicy::Cluster => endpoints.cluster,
                        TrafficPolicy::Local => endpoints.local,
                    },
                    masquerade: false,
                });
            }
        }
    }
    // An address that nobody serves may still be one for node ports.
    let port = world.by_node_port(packet.destination, packet.protocol, packet.port)?;
    from_outside(world, packet, port)
}

/// External IPs, load-balancer IPs and node ports.
fn from_outside<'a>(world: &World, packet: &Packet, port: Port<'a>) -> Option<Choice<'a>> {
    let endpoints = of_port(world, port.0, port.1);
    if !endpoints.any {
        return None;
    }
    let choice = |backends, masquerade| Choice {
        port,
        backends,
        masquerade,
    };
    match port.0.external_policy {
        TrafficPolicy::Cluster => Some(choice(endpoints.cluster, true)),
        // The short circuit: who is in the cluster gets any endpoint.
        TrafficPolicy::Local if from_local_pod(world, packet) == Some(true) => {
            Some(choice(endpoints.cluster, false))
        }
        TrafficPolicy::Local if world.is_local(packet.source) => {
            Some(choice(endpoints.cluster, true))
        }
        TrafficPolicy::Local if endpoints.local.is_empty() => None,
        TrafficPolicy::Local => Some(choice(endpoints.local, false)),
    }
}

/// `None` if there is no way to tell.
pub(crate) fn from_local_pod(world: &World, packet: &Packet) -> Option<bool> {
    match &world.config.local_detector {
        LocalDetector::None => None,
        LocalDetector::Source(range) => Some(range.contains(&packet.source)),
        LocalDetector::Interface { name, wildcard } => Some(match &packet.origin {
            Origin::Node => false,
            Origin::Interface(own) if *wildcard => own.starts_with(&**name),
            Origin::Interface(own) => own == name,
        }),
    }
}

/// A pod that was sent to itself would not know the answer as one.
fn is_hairpin(world: &World, packet: &Packet, backend: EndpointAddr) -> bool {
    let mut ports = world
        .ports()
        .filter(|(_, port)| port.protocol == packet.protocol);
    packet.source == backend.address
        && ports.any(|(service, port)| of_port(world, service, port).here.contains(&backend))
}

/// Only what passes hook postrouting can be masqueraded.
pub(crate) fn leaves(world: &World, packet: &Packet, to: IpAddr) -> bool {
    packet.origin == Origin::Node || !world.is_local(to)
}

fn is_kept_away(world: &World, packet: &Packet, (to, port): (IpAddr, u16)) -> bool {
    let found = world.by_address(to, packet.protocol, port);
    found.is_some_and(|((service, _), _)| world.keeps_away(service, to, packet.source))
}

/// The filter hooks: what nobody serves, by the destination after translation.
fn filter(world: &World, packet: &Packet, to: (IpAddr, u16)) -> Option<End> {
    let (address, port) = to;
    let unserved = |(service, port): Port<'_>, inside: bool| {
        let endpoints = of_port(world, service, port);
        let policy = match inside {
            true => service.internal_policy,
            false => service.external_policy,
        };
        match policy {
            _ if !endpoints.any => Some(End::Rejected),
            TrafficPolicy::Local if endpoints.local.is_empty() => Some(End::Dropped),
            _ => None,
        }
    };
    let by_address = || {
        let (port, kind) = world.by_address(address, packet.protocol, port)?;
        unserved(port, kind == Kind::Cluster)
    };
    let by_node_port = || unserved(world.by_node_port(address, packet.protocol, port)?, false);
    let by_cluster_ip = || match () {
        () if world.is_cluster_ip(address) => Some(End::Rejected),
        () if world.is_in_service_cidr(address) => Some(End::Dropped),
        () => None,
    };
    let onward = || by_address().or_else(by_cluster_ip);
    let in_here = || by_node_port().or_else(by_address);
    match (&packet.origin, world.is_local(address)) {
        (Origin::Interface(_), true) => in_here(),
        (Origin::Interface(_), false) | (Origin::Node, false) => onward(),
        // Out by lo and in again.
        (Origin::Node, true) => onward()
            .or_else(|| is_kept_away(world, packet, to).then_some(End::Dropped))
            .or_else(in_here),
    }
}
