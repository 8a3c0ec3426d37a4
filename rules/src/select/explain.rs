//! Why endpoints do not serve: the same choice as a sync makes, told for one port and one policy.
//! A sync has no use for the reasons and does not pay for them; a property keeps the two equal.

use super::{Candidate, Place, cut, nearest, places};
use crate::limits;
use crate::model::{
    Endpoint, EndpointAddr, EndpointSlice, ObjectName, Service, ServicePort, TrafficPolicy,
};
use crate::state::View;
use crate::{Config, model::Family};
use foldhash::HashMap;
use std::sync::Arc;

/// Who serves a port by a policy, and who does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Those that serve, sorted by address and port.
    pub chosen: Vec<EndpointAddr>,
    /// The others, in the order of the slices.
    pub left_out: Vec<LeftOut>,
    /// What topology hints did.
    pub hints: HintUse,
}

/// An endpoint that does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The EndpointSlice that it is in.
    pub slice: ObjectName,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The port's number there, if it has the port.
    pub port: Option<u16>,
    /// Why.
    pub reason: Reason,
}

/// Why an endpoint does not serve a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its slice is of the other family.
    OtherFamily,
    /// Its slice has no port of that name and protocol.
    NoSuchPort,
    /// Another entry with the same address and port counts.
    Repeated,
    /// Policy Local, and it runs on another node, or on none that is known.
    OtherNode,
    /// It is not ready, and does not serve while it terminates.
    NotReady,
    /// It terminates, and there are ready ones.
    Terminating,
    /// Topology hints mean it for other nodes or zones.
    HintedElsewhere,
    /// There are more endpoints than are programmed, and this node has others.
    BeyondLimit,
}

/// What became of topology hints (docs/reference.md#endpoint-selection).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HintUse {
    /// Policy Local, or no endpoint is ready: nobody asks for them.
    NotAsked,
    /// Only the endpoints for this node serve.
    ForNode,
    /// Only the endpoints for this zone serve.
    ForZone(Arc<str>),
    /// All ready endpoints serve.
    Ignored {
        /// Why not those for this node.
        node: Ignored,
        /// Why not those for this zone.
        zone: Ignored,
    },
}

/// Why hints of one kind were ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// The Node has no label `topology.kubernetes.io/zone`.
    ZoneUnknown,
    /// Ready endpoints without such a hint; if that is not all of them, one is enough.
    Missing {
        /// Without.
        without: usize,
        /// Of so many that are ready.
        ready: usize,
    },
    /// No ready endpoint is meant for here.
    NoneForHere,
}

/// Who serves a port of a Service by a policy in the family of `config`, as `view` has it; `None`
/// if the Service is not there.
pub fn explain(
    config: &Config,
    view: View<'_>,
    service: &ObjectName,
    port: &ServicePort,
    policy: TrafficPolicy,
) -> Option<Explained> {
    let entry = view.state.entry(service)?;
    let service = entry.service.as_deref()?;
    let place = Place {
        node: &config.node_name,
        zone: view.zone,
    };
    let limit = limit(service);
    Some(of_slices(
        port,
        config.family,
        &entry.slices,
        place,
        policy,
        limit,
    ))
}

fn limit(service: &Service) -> usize {
    limits::endpoints_of_each(service.ports.len(), limits::addresses(service))
}

pub(super) fn of_slices(
    port: &ServicePort,
    family: Family,
    slices: &[EndpointSlice],
    place: Place<'_>,
    policy: TrafficPolicy,
    limit: usize,
) -> Explained {
    let mut told = Told::default();
    for slice in slices {
        let reason = match () {
            () if slice.family != family => Reason::OtherFamily,
            () if slice.ports_of(port).next().is_none() => Reason::NoSuchPort,
            () => continue,
        };
        let endpoints = slice.endpoints.iter();
        told.0
            .extend(endpoints.map(|endpoint| (endpoint, None, reason)));
    }
    let mut rest = super::every_candidate(&places(port, family, slices), slices, place);
    let mut last = None;
    told.drop_from(&mut rest, Reason::Repeated, |candidate| {
        last.replace(candidate.backend) == Some(candidate.backend)
    });
    if policy == TrafficPolicy::Local {
        told.drop_from(&mut rest, Reason::OtherNode, |candidate| !candidate.local);
    }
    let any_ready = rest.iter().any(|candidate| candidate.endpoint.ready);
    told.drop_from(&mut rest, Reason::NotReady, |candidate| {
        !candidate.endpoint.ready && !candidate.is_fallback()
    });
    if any_ready {
        told.drop_from(&mut rest, Reason::Terminating, |candidate| {
            !candidate.endpoint.ready
        });
    }
    let mut hints = HintUse::NotAsked;
    if any_ready && policy == TrafficPolicy::Cluster {
        let near = super::backends(&nearest(rest.clone(), place));
        hints = used(&rest, near.len(), place);
        told.drop_from(&mut rest, Reason::HintedElsewhere, |candidate| {
            near.binary_search(&candidate.backend).is_err()
        });
    }
    let mut chosen = super::backends(&rest);
    cut(&mut chosen, limit, place.node);
    told.drop_from(&mut rest, Reason::BeyondLimit, |candidate| {
        chosen.binary_search(&candidate.backend).is_err()
    });
    Explained {
        chosen,
        left_out: told.in_order(slices),
        hints,
    }
}

/// What hints did to ready endpoints, of which so many are near.
fn used(ready: &[Candidate<'_>], near: usize, place: Place<'_>) -> HintUse {
    let zone = place.zone.filter(|zone| !zone.is_empty());
    let node = ignored(ready, |endpoint| endpoint.hints.nodes(), place.node);
    let by_zone = match zone {
        None => Err(Ignored::ZoneUnknown),
        Some(zone) => ignored(ready, |endpoint| endpoint.hints.zones(), zone),
    };
    match (node, by_zone, zone) {
        (Ok(()), ..) => HintUse::ForNode,
        (_, Ok(()), Some(zone)) => HintUse::ForZone(zone.into()),
        (node, zone, _) => {
            debug_assert_eq!(near, ready.len(), "ignored hints leave nobody out");
            let why = |kind: Result<(), Ignored>| kind.err().unwrap_or(Ignored::NoneForHere);
            HintUse::Ignored {
                node: why(node),
                zone: why(zone),
            }
        }
    }
}

/// Whether hints of one kind count.
fn ignored<'a>(
    ready: &[Candidate<'a>],
    hints: impl Fn(&'a Endpoint) -> &'a [Arc<str>],
    here: &str,
) -> Result<(), Ignored> {
    let without = ready
        .iter()
        .filter(|candidate| hints(candidate.endpoint).is_empty());
    let without = without.count();
    if without > 0 {
        let ready = ready.len();
        return Err(Ignored::Missing { without, ready });
    }
    let is_ours =
        |candidate: &Candidate<'a>| hints(candidate.endpoint).iter().any(|hint| &**hint == here);
    match ready.iter().any(is_ours) {
        true => Ok(()),
        false => Err(Ignored::NoneForHere),
    }
}

/// Endpoints that were left out so far, with the port's number where there is one.
#[derive(Default)]
struct Told<'a>(Vec<(&'a Endpoint, Option<u16>, Reason)>);

impl<'a> Told<'a> {
    /// Leaves out all candidates for which `is_out` says so.
    fn drop_from(
        &mut self,
        candidates: &mut Vec<Candidate<'a>>,
        reason: Reason,
        mut is_out: impl FnMut(&Candidate<'a>) -> bool,
    ) {
        let out = candidates.extract_if(.., |candidate| is_out(candidate));
        self.0.extend(
            out.map(|candidate| (candidate.endpoint, Some(candidate.backend.port), reason)),
        );
    }

    /// Sorted as the slices have them.
    fn in_order(self, slices: &[EndpointSlice]) -> Vec<LeftOut> {
        let all = slices.iter().flat_map(|slice| {
            let endpoints = slice.endpoints.iter();
            endpoints.map(move |endpoint| (std::ptr::from_ref(endpoint), &slice.name))
        });
        let places: HashMap<*const Endpoint, (usize, &ObjectName)> = all
            .enumerate()
            .map(|(at, (endpoint, slice))| (endpoint, (at, slice)))
            .collect();
        let mut left_out: Vec<(usize, LeftOut)> = self
            .0
            .into_iter()
            .filter_map(|(endpoint, port, reason)| {
                let (at, slice) = places.get(&std::ptr::from_ref(endpoint))?;
                let left_out = LeftOut {
                    slice: (*slice).clone(),
                    endpoint: endpoint.clone(),
                    port,
                    reason,
                };
                Some((*at, left_out))
            })
            .collect();
        left_out.sort_by_key(|(at, left_out)| (*at, left_out.port));
        left_out.into_iter().map(|(_, left_out)| left_out).collect()
    }
}
