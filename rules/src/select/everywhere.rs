//! Who serves a port on each of many nodes, in one go: endpoints are looked through once, however
//! many nodes there are. A property keeps it equal to what [`explain`](super::explain()) says for
//! one node.

use super::{Candidate, Place, candidates, cluster_list, nearest, places};
use crate::model::{EndpointAddr, EndpointSlice, Family, ServicePort};
use foldhash::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// An endpoint that may serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usable {
    pub(crate) backend: EndpointAddr,
    pub(crate) node: Option<Arc<str>>,
    /// It is ready; if not, it still serves while it terminates.
    pub(crate) ready: bool,
}

/// Who serves a port where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Everywhere {
    /// The endpoints that serve anywhere by either policy, sorted by address and port.
    pub(crate) endpoints: Vec<Usable>,
    /// Lists for policy Cluster, as positions among `endpoints`: one for all nodes, or several
    /// where topology hints count.
    pub(crate) lists: Vec<Vec<usize>>,
    /// Which of the lists each place has.
    pub(crate) list_of: Vec<usize>,
}

/// Who serves `port` at each of the places, without the limit on how many endpoints are
/// programmed. Where slices disagree on the node of an address and port, one of them counts for
/// all places.
pub(crate) fn everywhere(
    port: &ServicePort,
    family: Family,
    slices: &[EndpointSlice],
    at: &[Place<'_>],
) -> Everywhere {
    let nowhere = Place {
        node: "",
        zone: None,
    };
    let all = candidates(&places(port, family, slices), slices, nowhere);
    let ready = all.iter().filter(|own| own.endpoint.ready);
    let ready: Vec<Candidate<'_>> = ready.copied().collect();
    let usable: Vec<Candidate<'_>> = all
        .iter()
        .copied()
        .filter(|own| own.endpoint.ready || own.is_fallback())
        .collect();
    let endpoints = usable.iter().map(|own| Usable {
        backend: own.backend,
        node: own.endpoint.node.clone(),
        ready: own.endpoint.ready,
    });
    let positions = |list: &[Candidate<'_>]| -> Vec<usize> {
        let found = list
            .iter()
            .map(|own| usable.binary_search_by_key(&own.backend, |own| own.backend));
        found.filter_map(Result::ok).collect()
    };
    let mut everywhere = Everywhere {
        endpoints: endpoints.collect(),
        ..Everywhere::default()
    };
    let by_node = ready
        .iter()
        .any(|own| !own.endpoint.hints.nodes().is_empty());
    let by_zone = ready
        .iter()
        .any(|own| !own.endpoint.hints.zones().is_empty());
    if !by_node && !by_zone {
        everywhere.lists = vec![positions(&cluster_list(&all, nowhere))];
        everywhere.list_of = vec![0; at.len()];
        return everywhere;
    }
    let mut known: HashMap<(Option<&str>, Option<&str>), usize> = HashMap::default();
    for place in at {
        let key = (by_node.then_some(place.node), place.zone);
        let list = *known.entry(key).or_insert_with(|| {
            let near = nearest(ready.clone(), *place);
            everywhere.lists.push(positions(&near));
            everywhere.lists.len() - 1
        });
        everywhere.list_of.push(list);
    }
    everywhere
}

/// How many distinct addresses of ready endpoints each node has, over all ports: what health check
/// node ports tell (docs/reference.md#health-check-node-ports).
pub(crate) fn ready_addresses(family: Family, slices: &[EndpointSlice]) -> HashMap<&str, usize> {
    let slices = slices
        .iter()
        .filter(|slice| slice.family == family && !slice.ports.is_empty());
    let mut found: Vec<(&str, IpAddr)> = slices
        .flat_map(|slice| &slice.endpoints)
        .filter(|endpoint| endpoint.ready)
        .filter_map(|endpoint| Some((endpoint.node.as_deref()?, endpoint.address)))
        .collect();
    found.sort_unstable();
    found.dedup();
    let mut counts = HashMap::default();
    for (node, _) in found {
        *counts.entry(node).or_default() += 1;
    }
    counts
}
