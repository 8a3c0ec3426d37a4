//! Which UDP flows the kernel has to forget because the Service behind them
//! changed (docs/reference.md#stale-flows).
//!
//! Conntrack translates a flow the way its first packet was translated, for as
//! long as packets keep coming. A client that keeps its source port would send
//! to an endpoint that is gone for ever, or into the void if its first packet
//! came before there was an endpoint. TCP and SCTP notice by themselves and
//! are left alone.
//!
//! [`StaleFlows`] collects what changed; after a successful sync, [`Suspects`]
//! decides flow by flow. What was collected stays until a pass went through
//! ([`StaleFlows::cleaned`]), however many syncs fail in between.

use crate::State;
use crate::config::NodeportAddresses;
use crate::model::{EndpointAddr, Family, Frontend, ObjectName, Protocol, ServicePort};
use crate::select;
use crate::state::claims::{self, Claims};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A UDP flow as conntrack has it, as far as the decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where the client sends: the original direction's destination.
    pub destination: EndpointAddr,
    /// Who answers: the reply direction's source. Differs from the
    /// destination if that was translated, and only then.
    pub answers: EndpointAddr,
}

impl Flow {
    /// Whether its destination was translated.
    fn is_translated(&self) -> bool {
        self.destination != self.answers
    }
}

/// What a pass over the flow table came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Flows that the kernel listed; those that it left out itself don't count.
    pub listed: u64,
    /// Flows that were stale and are gone.
    pub deleted: u64,
}

/// Something that holds flows: the kernel, or one in memory in tests.
pub trait FlowTable {
    /// Deletes every flow of the suspects' family that is stale, and counts.
    ///
    /// # Errors
    /// It could not see or delete all of them; what was counted is gone.
    fn delete_stale(&mut self, suspects: &Suspects<'_>, tally: &mut Deleted)
    -> std::io::Result<()>;
}

/// Who serves a frontend; the list is sorted.
type Serving = Arc<[EndpointAddr]>;

/// The UDP frontends of a Service with their servers.
type Known = Box<[(Frontend, Serving)]>;

/// What became of a frontend since the last pass.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FrontendChange {
    /// It is new, or other endpoints serve it.
    Served(Serving),
    /// No Service serves it any more.
    Gone,
}

/// Collects, for one family, the UDP frontends that changed since flows were
/// last cleaned up. Costs what changed, and remembers only UDP ports.
#[derive(Debug)]
pub struct StaleFlows {
    family: Family,
    known: HashMap<ObjectName, Known>,
    changed: HashMap<Frontend, FrontendChange>,
}

impl StaleFlows {
    /// Knows no Service, so that the first pass looks at every UDP frontend:
    /// nobody knows what changed while the daemon was away.
    pub fn new(family: Family) -> Self {
        Self {
            family,
            known: HashMap::new(),
            changed: HashMap::new(),
        }
    }

    /// Compares Services with what was known of them.
    pub fn update<'a>(&mut self, state: &State, touched: impl IntoIterator<Item = &'a ObjectName>) {
        let mut served = Vec::new();
        for name in touched {
            let now = frontends(self.family, state, name);
            let before = match now.is_empty() {
                true => self.known.remove(name),
                false => self.known.insert(name.clone(), now.clone()),
            };
            let before = before.unwrap_or_default();
            for (frontend, _) in &before {
                if find(&now, frontend).is_none() {
                    self.changed.insert(*frontend, FrontendChange::Gone);
                }
            }
            let fresh = now
                .into_iter()
                .filter(|(frontend, serving)| find(&before, frontend) != Some(serving));
            served.extend(fresh);
        }
        // Afterwards, as a frontend may go from one Service to another.
        for (frontend, serving) in served {
            self.changed
                .insert(frontend, FrontendChange::Served(serving));
        }
    }

    /// Whether there is a reason to look at the flows.
    pub fn is_pending(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What to look for; `None` if nothing changed. `local` are the node's
    /// addresses, of which `nodeports` tells those that answer node ports.
    pub fn suspects<'a>(
        &'a self,
        state: &'a State,
        nodeports: &NodeportAddresses,
        local: &[IpAddr],
    ) -> Option<Suspects<'a>> {
        if self.changed.is_empty() {
            return None;
        }
        let everything = || {
            let of_family = |ip: &&IpAddr| Family::of(**ip) == self.family && !ip.is_loopback();
            local.iter().filter(of_family).copied().collect()
        };
        Some(Suspects {
            family: self.family,
            changed: &self.changed,
            claims: state.claims(),
            nodeport_addresses: nodeports
                .choose(self.family, local)
                .unwrap_or_else(everything),
        })
    }

    /// A pass went through: what was collected is dealt with.
    pub fn cleaned(&mut self) {
        self.changed.clear();
        // Nearly always a handful; the first time it may have been all.
        self.changed.shrink_to(64);
    }
}

/// The decision about single flows.
#[derive(Debug)]
pub struct Suspects<'a> {
    family: Family,
    changed: &'a HashMap<Frontend, FrontendChange>,
    claims: &'a Claims,
    /// The addresses that answer node ports.
    nodeport_addresses: Vec<IpAddr>,
}

impl Suspects<'_> {
    /// The family of every flow that may be stale.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The destination port that every stale flow has, if they share one.
    pub fn port(&self) -> Option<u16> {
        only(self.changed.keys().map(|frontend| frontend.port))
    }

    /// The destination address that every stale flow has, if they share one.
    pub fn address(&self) -> Option<IpAddr> {
        only(self.changed.keys().map(|frontend| frontend.address)).flatten()
    }

    /// Whether the flow's next packet has to be looked at anew.
    pub fn is_stale(&self, flow: &Flow) -> bool {
        let udp = |address| Frontend {
            address,
            protocol: Protocol::Udp,
            port: flow.destination.port,
        };
        let exact = udp(Some(flow.destination.address));
        match self.changed.get(&exact) {
            Some(FrontendChange::Served(serving)) => {
                return serving.binary_search(&flow.answers).is_err();
            }
            // Only what we translated: the address may belong to a host.
            Some(FrontendChange::Gone) => return flow.is_translated(),
            None => {}
        }
        let Some(change) = self.changed.get(&udp(None)) else {
            return false;
        };
        // A Service's own address comes before node ports, in the rules too.
        if self.claims.is_claimed(&exact) {
            return false;
        }
        match change {
            FrontendChange::Served(serving) if flow.is_translated() => {
                serving.binary_search(&flow.answers).is_err()
            }
            // Not translated, so it is a node port's flow only if it goes to
            // this node: anyone may listen on that port elsewhere.
            FrontendChange::Served(serving) => {
                !serving.is_empty() && self.nodeport_addresses.contains(&flow.destination.address)
            }
            FrontendChange::Gone => flow.is_translated(),
        }
    }
}

/// The one value that all have, if so.
fn only<T: PartialEq>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

fn find<'a>(known: &'a Known, frontend: &Frontend) -> Option<&'a Serving> {
    let at = known.binary_search_by(|(own, _)| own.cmp(frontend)).ok()?;
    Some(&known[at].1)
}

/// The UDP frontends that a Service serves in a family, sorted; none if it is
/// gone.
fn frontends(family: Family, state: &State, name: &ObjectName) -> Known {
    let none = Known::default;
    let Some(entry) = state.entry(name) else {
        return none();
    };
    let Some(service) = &entry.service else {
        return none();
    };
    let of_family = |ip: &IpAddr| Family::of(*ip) == family;
    if !service.cluster_ips.iter().any(of_family) {
        return none();
    }
    let mut found: Vec<(Frontend, Serving)> = Vec::new();
    let udp = |port: &&ServicePort| port.protocol == Protocol::Udp;
    for port in service.ports.iter().filter(udp) {
        // Traffic policies, hints and readiness decide about new flows, not
        // about those that work.
        let serving: Serving = select::serving(port, family, &entry.slices).into();
        let all = claims::internal(service, port)
            .chain(claims::external(service, port))
            .chain(claims::node_port(port));
        let own = all
            .filter(|frontend| frontend.address.as_ref().is_none_or(of_family))
            .filter(|frontend| state.claims().owns(name, frontend));
        found.extend(own.map(|frontend| (frontend, serving.clone())));
    }
    // Stable, so that the first of two ports with one number stays.
    found.sort_by_key(|(frontend, _)| *frontend);
    found.dedup_by_key(|(frontend, _)| *frontend);
    found.into()
}

#[cfg(test)]
mod tests;
