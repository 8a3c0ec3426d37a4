//! Endpoint selection: which endpoints serve a Service port, for policy
//! Cluster and for policy Local (docs/reference.md#endpoint-selection).

mod everywhere;
mod explain;

pub(crate) use everywhere::{everywhere, ready_addresses};
pub use explain::{Explained, HintUse, Ignored, LeftOut, Reason, explain};

use crate::limits;
use crate::model::{Endpoint, EndpointAddr, EndpointSlice, Family, Protocol, ServicePort};
use foldhash::HashMap;
use foldhash::fast::FixedState;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Where this node is, for hints and for locality.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) node: &'a str,
    pub(crate) zone: Option<&'a str>,
}

/// One endpoint of a Service port.
#[derive(Clone, Copy, Debug)]
struct Candidate<'a> {
    backend: EndpointAddr,
    local: bool,
    endpoint: &'a Endpoint,
}

impl Candidate<'_> {
    /// What counts first where slices disagree comes first.
    fn rank(&self) -> (bool, bool, bool, bool) {
        let Endpoint {
            ready,
            serving,
            terminating,
            ..
        } = self.endpoint;
        (!ready, *terminating, !serving, !self.local)
    }

    /// Kept as a last resort while no endpoint is ready (KEP-1669).
    fn is_fallback(&self) -> bool {
        self.endpoint.serving && self.endpoint.terminating
    }
}

/// Which of the two lists a Service port needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) cluster: bool,
    pub(crate) local: bool,
}

/// The endpoints of one Service port, each list sorted by address and port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// For policy Cluster; empty if not needed.
    pub(crate) cluster: Vec<EndpointAddr>,
    /// For policy Local; empty if not needed.
    pub(crate) local: Vec<EndpointAddr>,
    /// There is a usable endpoint somewhere, in either list or elsewhere.
    pub(crate) any: bool,
    /// Those of both lists that run on this node.
    pub(crate) on_this_node: Vec<EndpointAddr>,
    /// How many there are, whatever their state.
    pub(crate) listed: usize,
}

/// Which slices name a port, by their positions, and the number that it has there.
type Where = Vec<(usize, u16)>;

/// Selects the endpoints of the ports of one Service, of one family. Many ports
/// cost little more than one, as their endpoints are mostly the same.
pub(crate) struct Selector<'a> {
    slices: &'a [EndpointSlice],
    family: Family,
    place: Place<'a>,
    /// No list is longer.
    limit: usize,
    /// With many ports, where each is.
    index: Option<HashMap<(&'a str, Protocol), Where>>,
    /// What was selected last, and for which places and needs.
    last: Option<(Where, Needs, Selection)>,
}

impl<'a> Selector<'a> {
    /// For a Service with so many `ports` at so many `addresses`.
    pub(crate) fn new(
        (ports, addresses): (usize, usize),
        family: Family,
        slices: &'a [EndpointSlice],
        place: Place<'a>,
    ) -> Self {
        /// To search so many is as fast as to hash them.
        const FEW_PORTS: usize = 8;
        Self {
            slices,
            family,
            place,
            limit: limits::endpoints_of_each(ports, addresses),
            index: (ports > FEW_PORTS).then(|| index(family, slices)),
            last: None,
        }
    }

    /// Selects the endpoints of `port`.
    pub(crate) fn select(&mut self, port: &ServicePort, needs: Needs) -> Selection {
        let places = match &self.index {
            Some(index) => {
                let found = index.get(&(&*port.name, port.protocol));
                found.cloned().unwrap_or_default()
            }
            None => places(port, self.family, self.slices),
        };
        if let Some(same) = self.same_as_last(&places, needs) {
            return same;
        }
        let mut selection = select(&places, self.slices, self.place, needs);
        selection.cut(self.limit, self.place.node);
        if self.index.is_some() {
            self.last = Some((places, needs, selection.clone()));
        }
        selection
    }

    /// The last selection with another port number, if that is all there is.
    fn same_as_last(&self, places: &Where, needs: Needs) -> Option<Selection> {
        let (last, last_needs, selection) = self.last.as_ref()?;
        let (_, number) = *places.first()?;
        let (_, last_number) = *last.first()?;
        let only = |places: &Where, number| places.iter().all(|(_, own)| *own == number);
        let same = *last_needs == needs
            && places
                .iter()
                .map(|own| own.0)
                .eq(last.iter().map(|own| own.0))
            && only(places, number)
            && only(last, last_number);
        same.then(|| selection.with_port(number))
    }
}

impl Selection {
    fn with_port(&self, port: u16) -> Self {
        let list = |list: &[EndpointAddr]| -> Vec<EndpointAddr> {
            let own = list.iter().map(|own| own.address);
            own.map(|address| EndpointAddr { address, port }).collect()
        };
        Self {
            cluster: list(&self.cluster),
            local: list(&self.local),
            any: self.any,
            on_this_node: list(&self.on_this_node),
            listed: self.listed,
        }
    }

    /// Leaves `limit` endpoints at the most in each list.
    fn cut(&mut self, limit: usize, node: &str) {
        if self.cluster.len() <= limit && self.local.len() <= limit {
            return;
        }
        cut(&mut self.cluster, limit, node);
        cut(&mut self.local, limit, node);
        let (cluster, local) = (&self.cluster, &self.local);
        let is_used = |own: &EndpointAddr| {
            cluster.binary_search(own).is_ok() || local.binary_search(own).is_ok()
        };
        self.on_this_node.retain(is_used);
    }
}

/// Leaves `limit` endpoints at the most in a sorted list. Each node has others, so that all of
/// them are used, and one that comes or goes moves no other.
fn cut(list: &mut Vec<EndpointAddr>, limit: usize, node: &str) {
    if list.len() <= limit {
        return;
    }
    let hash = |own: &EndpointAddr| FixedState::default().hash_one((node, own.address));
    list.sort_by_cached_key(|own| (hash(own), *own));
    list.truncate(limit);
    list.shrink_to_fit();
    list.sort_unstable();
}

fn index(family: Family, slices: &[EndpointSlice]) -> HashMap<(&str, Protocol), Where> {
    let mut index: HashMap<(&str, Protocol), Where> = HashMap::default();
    let of_family = slices
        .iter()
        .enumerate()
        .filter(|(_, own)| own.family == family);
    for (at, slice) in of_family {
        for port in &slice.ports {
            let places = index.entry((&*port.name, port.protocol)).or_default();
            places.push((at, port.port));
        }
    }
    index
}

/// The same for one port.
fn places(port: &ServicePort, family: Family, slices: &[EndpointSlice]) -> Where {
    let of_family = slices
        .iter()
        .enumerate()
        .filter(|(_, own)| own.family == family);
    let places =
        of_family.flat_map(|(at, slice)| slice.ports_of(port).map(move |number| (at, number)));
    places.collect()
}

fn select(places: &Where, slices: &[EndpointSlice], place: Place<'_>, needs: Needs) -> Selection {
    let candidates = candidates(places, slices, place);
    let cluster = if needs.cluster {
        cluster_list(&candidates, place)
    } else {
        Vec::new()
    };
    let local = if needs.local {
        local_list(&candidates)
    } else {
        Vec::new()
    };
    let any = candidates
        .iter()
        .any(|c| c.endpoint.ready || c.is_fallback());
    let mut on_this_node: Vec<EndpointAddr> = cluster
        .iter()
        .chain(&local)
        .filter(|c| c.local)
        .map(|c| c.backend)
        .collect();
    on_this_node.sort_unstable();
    on_this_node.dedup();
    Selection {
        cluster: backends(&cluster),
        local: backends(&local),
        any,
        on_this_node,
        listed: candidates.len(),
    }
}

/// In a list without spare room, as it is kept.
fn backends(list: &[Candidate<'_>]) -> Vec<EndpointAddr> {
    list.iter().map(|candidate| candidate.backend).collect()
}

/// The endpoints under the port's name and protocol, sorted. Slices may
/// disagree about one address and port: a ready one counts, as upstream's choice
/// by chance can leave a Service without any; otherwise, as upstream has it, one that
/// is not terminating, whose address a pod that is about to go had before. Of
/// equals one that serves, one on this node, the first by the slice's name.
fn candidates<'a>(
    places: &Where,
    slices: &'a [EndpointSlice],
    place: Place<'_>,
) -> Vec<Candidate<'a>> {
    let mut found = every_candidate(places, slices, place);
    found.dedup_by_key(|candidate| candidate.backend);
    found
}

/// The same with those that do not count, each after the one that does.
fn every_candidate<'a>(
    places: &Where,
    slices: &'a [EndpointSlice],
    place: Place<'_>,
) -> Vec<Candidate<'a>> {
    let mut found: Vec<Candidate<'a>> = Vec::new();
    for (at, number) in places {
        found.extend(slices[*at].endpoints.iter().map(|endpoint| Candidate {
            backend: EndpointAddr {
                address: endpoint.address,
                port: *number,
            },
            local: endpoint.node.as_deref() == Some(place.node),
            endpoint,
        }));
    }
    found.sort_by_key(|candidate| (candidate.backend, candidate.rank()));
    found
}

/// The endpoints that still serve a port, whatever else they are, sorted: those
/// that flows may go on to (docs/reference.md#stale-flows).
pub(crate) fn serving(
    port: &ServicePort,
    family: Family,
    slices: &[EndpointSlice],
) -> Vec<EndpointAddr> {
    // Where they are decides between equals only.
    let anywhere = Place {
        node: "",
        zone: None,
    };
    let mut found = candidates(&places(port, family, slices), slices, anywhere);
    found.retain(|candidate| candidate.endpoint.serving);
    backends(&found)
}

fn cluster_list<'a>(candidates: &[Candidate<'a>], place: Place<'_>) -> Vec<Candidate<'a>> {
    let ready: Vec<_> = candidates
        .iter()
        .copied()
        .filter(|c| c.endpoint.ready)
        .collect();
    if ready.is_empty() {
        return candidates
            .iter()
            .copied()
            .filter(Candidate::is_fallback)
            .collect();
    }
    nearest(ready, place)
}

fn local_list<'a>(candidates: &[Candidate<'a>]) -> Vec<Candidate<'a>> {
    let local = || candidates.iter().copied().filter(|c| c.local);
    let ready: Vec<_> = local().filter(|c| c.endpoint.ready).collect();
    if ready.is_empty() {
        local().filter(Candidate::is_fallback).collect()
    } else {
        ready
    }
}

/// Applies topology hints: same node first, then same zone, each only if every
/// ready endpoint carries such a hint and one of them is meant for us.
fn nearest<'a>(ready: Vec<Candidate<'a>>, place: Place<'_>) -> Vec<Candidate<'a>> {
    fn hinted<'a>(
        ready: &[Candidate<'a>],
        hints: impl Fn(&'a Endpoint) -> &'a [Arc<str>],
        here: &str,
    ) -> Option<Vec<Candidate<'a>>> {
        if ready.iter().any(|c| hints(c.endpoint).is_empty()) {
            return None;
        }
        let ours = |c: &Candidate<'a>| hints(c.endpoint).iter().any(|hint| &**hint == here);
        let near: Vec<_> = ready.iter().copied().filter(ours).collect();
        (!near.is_empty()).then_some(near)
    }
    hinted(&ready, |endpoint| endpoint.hints.nodes(), place.node)
        .or_else(|| {
            let zone = place.zone.filter(|zone| !zone.is_empty())?;
            hinted(&ready, |endpoint| endpoint.hints.zones(), zone)
        })
        .unwrap_or(ready)
}

/// Distinct addresses of ready endpoints on this node, over all ports: what a
/// health check node port reports (docs/reference.md#health-check-node-ports).
pub(crate) fn local_ready_addresses(
    family: Family,
    slices: &[EndpointSlice],
    place: Place<'_>,
) -> usize {
    let mut addresses: Vec<_> = slices
        .iter()
        .filter(|slice| slice.family == family && !slice.ports.is_empty())
        .flat_map(|slice| &slice.endpoints)
        .filter(|endpoint| endpoint.ready && endpoint.node.as_deref() == Some(place.node))
        .map(|endpoint| endpoint.address)
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.len()
}

#[cfg(test)]
mod tests;
