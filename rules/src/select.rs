//! Endpoint selection: which endpoints serve a Service port, for policy
//! Cluster and for policy Local (reference: section 6).

use crate::model::{Backend, Endpoint, EndpointSlice, Family, ServicePort};
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
    backend: Backend,
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    pub(crate) cluster: bool,
    pub(crate) local: bool,
}

/// The endpoints of one Service port, each list sorted by address and port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// For policy Cluster; empty if not needed.
    pub(crate) cluster: Vec<Backend>,
    /// For policy Local; empty if not needed.
    pub(crate) local: Vec<Backend>,
    /// There is a usable endpoint somewhere, in either list or elsewhere.
    pub(crate) any: bool,
    /// Those of both lists that run on this node.
    pub(crate) on_this_node: Vec<Backend>,
}

/// Selects the endpoints of `port` of one family.
pub(crate) fn select(
    port: &ServicePort,
    family: Family,
    slices: &[EndpointSlice],
    place: Place<'_>,
    needs: Needs,
) -> Selection {
    let candidates = candidates(port, family, slices, place);
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
    let mut on_this_node: Vec<Backend> = cluster
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
    }
}

/// In a list without spare room, as it is kept.
fn backends(list: &[Candidate<'_>]) -> Vec<Backend> {
    list.iter().map(|candidate| candidate.backend).collect()
}

/// The endpoints under the port's name and protocol, sorted. Slices may
/// disagree about one address and port: a ready one counts, as upstream's choice
/// by chance can leave a Service without any; otherwise, as upstream has it, one that
/// is not terminating, whose address a pod that is about to go had before. Of
/// equals one that serves, one on this node, the first by the slice's name.
fn candidates<'a>(
    port: &ServicePort,
    family: Family,
    slices: &'a [EndpointSlice],
    place: Place<'_>,
) -> Vec<Candidate<'a>> {
    let mut found: Vec<Candidate<'a>> = Vec::new();
    for slice in slices.iter().filter(|slice| slice.family == family) {
        for number in slice.ports_of(port) {
            found.extend(slice.endpoints.iter().map(|endpoint| Candidate {
                backend: Backend {
                    address: endpoint.address,
                    port: number,
                },
                local: endpoint.node.as_deref() == Some(place.node),
                endpoint,
            }));
        }
    }
    found.sort_by_key(|candidate| (candidate.backend, candidate.rank()));
    found.dedup_by_key(|candidate| candidate.backend);
    found
}

/// The endpoints that still serve a port, whatever else they are, sorted: those
/// that flows may go on to (reference: section 7).
pub(crate) fn serving(
    port: &ServicePort,
    family: Family,
    slices: &[EndpointSlice],
) -> Vec<Backend> {
    // Where they are decides between equals only.
    let anywhere = Place {
        node: "",
        zone: None,
    };
    let mut found = candidates(port, family, slices, anywhere);
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
/// health check node port reports (reference: section 4.3).
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
