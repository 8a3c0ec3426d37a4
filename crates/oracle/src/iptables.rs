//! What becomes of a packet in mode iptables, where that is something else than in mode nftables. Each
//! difference is upstream's own.

use crate::endpoints::of_port;
use crate::frontends::{Kind, Port};
use crate::judge::{Choice, from_local_pod, leaves, pinned, sticky};
use crate::world::World;
use crate::{Answer, Pin};
use rules::model::{Protocol, TrafficPolicy};
use rules::trace::{End, Origin, Packet};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// As [`judge`](crate::judge()), in mode iptables.
pub(crate) fn judge(world: &World, pins: &[Pin], packet: &Packet) -> Answer {
    let Some(choice) = choose(world, packet) else {
        let to = (packet.destination, packet.port);
        let untranslated = End::Untranslated { masquerade: false };
        let end = filter(world, packet, to, None).unwrap_or(untranslated);
        return Answer {
            ends: BTreeSet::from([end]),
            sticky: None,
        };
    };
    let sticky = sticky(choice.port);
    let ends = pinned(choice.backends, sticky.as_ref(), pins).into_iter();
    let ends = ends.map(|backend| {
        // Whoever has an endpoint's address is taken for that endpoint.
        let marked = choice.masquerade || packet.source == backend.address;
        let through = End::Endpoint {
            backend,
            masquerade: marked && leaves(world, packet, backend.address),
        };
        let to = (backend.address, backend.port);
        let is_same = to == (packet.destination, packet.port);
        filter(world, packet, to, Some((marked, !is_same))).unwrap_or(through)
    });
    Answer {
        ends: ends.collect(),
        sticky,
    }
}

/// The endpoints to choose from. What an address of a Service leads nowhere may still be a node port:
/// a chain that says nothing is come back from.
fn choose<'a>(world: &'a World, packet: &Packet) -> Option<Choice<'a>> {
    let to = packet.destination;
    let by_address = world.by_address(to, packet.protocol, packet.port);
    let found = by_address.and_then(|(port, kind)| match kind {
        Kind::Cluster => inside(world, packet, port),
        // Those that are external IPs as well are not guarded.
        _ if !port.0.external_ips.contains(&to) && world.keeps_away(port.0, to, packet.source) => {
            None
        }
        _ => outside(world, packet, port),
    });
    let by_node_port = || {
        let is_served = !to.is_loopback() || serves_localhost(world);
        let port = world.any_node_port(to, packet.protocol, packet.port);
        let port = port.filter(|_| is_served && world.is_for_node_ports(to));
        outside(world, packet, port?)
    };
    found.or_else(by_node_port)
}

fn inside<'a>(world: &World, packet: &Packet, port: Port<'a>) -> Option<Choice<'a>> {
    let endpoints = of_port(world, port.0, port.1);
    let backends = match port.0.internal_policy {
        TrafficPolicy::Cluster => endpoints.cluster,
        TrafficPolicy::Local => endpoints.local,
    };
    let from_elsewhere = from_local_pod(world, packet) == Some(false);
    (endpoints.any && !backends.is_empty()).then_some(Choice {
        port,
        backends,
        masquerade: world.config.masquerade_all || from_elsewhere,
    })
}

fn outside<'a>(world: &World, packet: &Packet, port: Port<'a>) -> Option<Choice<'a>> {
    let endpoints = of_port(world, port.0, port.1);
    let (backends, masquerade) = match port.0.external_policy {
        TrafficPolicy::Cluster => (endpoints.cluster, true),
        TrafficPolicy::Local if from_local_pod(world, packet) == Some(true) => {
            (endpoints.cluster, false)
        }
        TrafficPolicy::Local if world.is_local(packet.source) => (endpoints.cluster, true),
        TrafficPolicy::Local => (endpoints.local, false),
    };
    (endpoints.any && !backends.is_empty()).then_some(Choice {
        port,
        backends,
        masquerade,
    })
}

fn serves_localhost(world: &World) -> bool {
    world.config.localhost_nodeports && world.family() == rules::model::Family::V4
}

/// Table filter, by the destination after translation; `translated` says whether the packet is marked,
/// and whether its destination is another one than it had.
fn filter(
    world: &World,
    packet: &Packet,
    to: (IpAddr, u16),
    translated: Option<(bool, bool)>,
) -> Option<End> {
    let (marked, moved) = translated.unwrap_or_default();
    let martian = || {
        let is_one =
            serves_localhost(world) && to.0.is_loopback() && !packet.source.is_loopback() && !moved;
        is_one.then_some(End::Dropped)
    };
    let guarded = || is_guarded(world, packet.protocol, to).then_some(End::Dropped);
    let cluster = || unserved_inside(world, packet.protocol, to);
    let external = || unserved_outside(world, packet.protocol, to);
    let input = || {
        let accepted = is_health_check(world, packet.protocol, to.1);
        let rest = || (!accepted).then(external).flatten();
        martian().or_else(guarded).or_else(rest)
    };
    let output = || martian().or_else(guarded).or_else(cluster);
    match (&packet.origin, world.is_local(to.0)) {
        (Origin::Interface(_), true) => input(),
        // What is marked is let through before it comes to those that nobody serves.
        (Origin::Interface(_), false) if marked => guarded(),
        (Origin::Interface(_), false) => guarded().or_else(cluster).or_else(external),
        (Origin::Node, false) => output(),
        (Origin::Node, true) => output().or_else(input),
    }
}

/// What source ranges guard is dropped, unless it was translated.
fn is_guarded(world: &World, protocol: Protocol, (to, port): (IpAddr, u16)) -> bool {
    let Some(((service, port), kind)) = world.by_address(to, protocol, port) else {
        return false;
    };
    kind == Kind::LoadBalancer
        && !service.external_ips.contains(&to)
        && of_port(world, service, port).any
        && world.has_ranges(service)
}

fn unserved_inside(world: &World, protocol: Protocol, (to, port): (IpAddr, u16)) -> Option<End> {
    let (port, kind) = world.by_address(to, protocol, port)?;
    (kind == Kind::Cluster)
        .then(|| unserved(world, port, port.0.internal_policy))
        .flatten()
}

/// Rules stand in the order of the Services' names, and of their ports.
fn unserved_outside(world: &World, protocol: Protocol, (to, port): (IpAddr, u16)) -> Option<End> {
    let by_address = world.by_address(to, protocol, port);
    let by_address = by_address.filter(|(_, kind)| *kind != Kind::Cluster);
    let by_address = by_address.map(|(port, _)| port);
    let all = by_address
        .into_iter()
        .chain(world.any_node_port(to, protocol, port));
    let place = |(service, port): &Port<'_>| {
        let at = service.ports.iter().position(|own| own == *port);
        (service.name.clone(), at)
    };
    let mut all: Vec<Port<'_>> = all.collect();
    all.sort_by_key(place);
    all.into_iter()
        .find_map(|port| unserved(world, port, port.0.external_policy))
}

fn unserved(world: &World, port: Port<'_>, policy: TrafficPolicy) -> Option<End> {
    let endpoints = of_port(world, port.0, port.1);
    match policy {
        _ if !endpoints.any => Some(End::Rejected),
        TrafficPolicy::Local if endpoints.local.is_empty() => Some(End::Dropped),
        _ => None,
    }
}

fn is_health_check(world: &World, protocol: Protocol, port: u16) -> bool {
    let served = world.served().into_iter();
    let mut ports = served.filter_map(|service| service.health_check_node_port);
    protocol == Protocol::Tcp && ports.any(|own| own == port)
}
