//! docs/reference.md#endpoint-selection.

use crate::world::World;
use rules::model::{Endpoint, EndpointAddr, Service, ServicePort, TrafficPolicy};
use std::collections::BTreeMap;

/// Who serves a port.
pub(crate) struct Endpoints {
    /// Policy Cluster.
    pub(crate) cluster: Vec<EndpointAddr>,
    /// Policy Local.
    pub(crate) local: Vec<EndpointAddr>,
    /// Somebody does, somewhere.
    pub(crate) any: bool,
    /// Those on this node that may be reached: the hairpin set.
    pub(crate) here: Vec<EndpointAddr>,
}

type Known<'a> = BTreeMap<EndpointAddr, &'a Endpoint>;

pub(crate) fn of_port(world: &World, service: &Service, port: &ServicePort) -> Endpoints {
    let known = known(world, service, port);
    let here = |endpoint: &Endpoint| endpoint.node.as_ref() == Some(&world.config.node_name);
    let list = |wanted: &dyn Fn(&Endpoint) -> bool| -> Vec<EndpointAddr> {
        let matching = known.iter().filter(|(_, endpoint)| wanted(endpoint));
        matching.map(|(backend, _)| *backend).collect()
    };
    let leaving = |endpoint: &Endpoint| endpoint.serving && endpoint.terminating;

    let topology = topology(world, &known);
    let mut cluster = list(&|e| e.ready && topology(e));
    if cluster.is_empty() {
        cluster = list(&leaving);
    }
    let mut local = list(&|e| e.ready && here(e));
    if local.is_empty() {
        local = list(&|e| leaving(e) && here(e));
    }
    let reachable_outside = port.node_port.is_some()
        || [&service.external_ips, &service.load_balancer_ips]
            .into_iter()
            .flatten()
            .any(|ip| world.is_of_family(ip));
    let internal_local = service.internal_policy == TrafficPolicy::Local;
    let external_local = service.external_policy == TrafficPolicy::Local;
    let uses_cluster = !internal_local || reachable_outside;
    let uses_local = internal_local || (external_local && reachable_outside);
    let reachable = |backend: &EndpointAddr| {
        (uses_cluster && cluster.contains(backend)) || (uses_local && local.contains(backend))
    };
    let mut own = list(&here);
    own.retain(reachable);
    Endpoints {
        any: known.values().any(|e| e.ready || leaving(e)),
        here: own,
        cluster,
        local,
    }
}

/// Everything that the slices name, usable or not. Of several with one address
/// and port, a ready one counts, or else one that is not terminating, serves,
/// is here; of equals the first by the slices' names.
fn known<'a>(world: &'a World, service: &Service, port: &ServicePort) -> Known<'a> {
    let mut known = Known::new();
    let rank = |e: &Endpoint| {
        let here = e.node.as_ref() == Some(&world.config.node_name);
        (e.ready, !e.terminating, e.serving, here)
    };
    for slice in world.slices.values() {
        if slice.service != service.name || slice.family != world.family() {
            continue;
        }
        for own in &slice.ports {
            if own.name != port.name || own.protocol != port.protocol {
                continue;
            }
            for endpoint in &slice.endpoints {
                let backend = EndpointAddr {
                    address: endpoint.address,
                    port: own.port,
                };
                let best = known.entry(backend).or_insert(endpoint);
                if rank(endpoint) > rank(best) {
                    *best = endpoint;
                }
            }
        }
    }
    known
}

/// Which ready endpoints are near enough, by hints alone: this node's, or else
/// this zone's, or else all.
fn topology<'a>(world: &'a World, known: &Known<'a>) -> Box<dyn Fn(&Endpoint) -> bool + 'a> {
    let ready: Vec<&Endpoint> = known.values().copied().filter(|e| e.ready).collect();
    let for_node = |e: &Endpoint| e.hints.nodes().contains(&world.config.node_name);
    let zone = world.node.as_ref().and_then(|node| node.zone.clone());
    let for_zone = move |e: &Endpoint| {
        zone.as_ref()
            .is_some_and(|own| e.hints.zones().contains(own))
    };
    let all_have = |has: fn(&Endpoint) -> bool| ready.iter().all(|e| has(e));
    if all_have(|e| !e.hints.nodes().is_empty()) && ready.iter().any(|e| for_node(e)) {
        Box::new(for_node)
    } else if all_have(|e| !e.hints.zones().is_empty()) && ready.iter().any(|e| for_zone(e)) {
        Box::new(for_zone)
    } else {
        Box::new(|_| true)
    }
}
