//! Which Service port a flow belongs to, and which of its endpoints.

use super::Flow;
use crate::config::Config;
use crate::limits;
use crate::model::{EndpointAddr, Frontend, ObjectName, Protocol};
use crate::plan::{self, PortPlan, ServicePlan, Serving};
use crate::state::{Entry, View};
use foldhash::{HashMap, HashMapExt};
use std::sync::Arc;

/// Where a flow belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The Service port.
    pub(super) port: usize,
    /// The endpoint of it that answers; `None` if it is none any more.
    pub(super) endpoint: Option<usize>,
}

/// One Service port, of both families.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub(super) service: ObjectName,
    pub(super) name: Arc<str>,
    pub(super) protocol: Protocol,
    pub(super) number: u16,
    frontends: Vec<Frontend>,
    /// Sorted by address.
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) refusals: Refusals,
}

/// Why a Service port refuses packets on this node, by whatever frontend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// There is no endpoint anywhere.
    pub no_endpoint: bool,
    /// Policy Local, and none of the endpoints is on this node.
    pub no_local_endpoint: bool,
    /// Only some sources are let in.
    pub source_range: bool,
}

/// An endpoint of a Service port, in whatever condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it answers.
    pub address: EndpointAddr,
    /// New connections of this node may go to it, by either policy.
    pub serves: bool,
}

/// All Service ports, found by their frontends: an index that follows the objects. To look a flow
/// up costs two steps whatever there is; to update a Service costs what it has.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    by_frontend: HashMap<Frontend, usize>,
    /// By place; `None` where the next one goes.
    ports: Vec<Option<Port>>,
    free: Vec<usize>,
    by_service: HashMap<ObjectName, Vec<usize>>,
}

impl Ports {
    /// The ports of all Services, as `view` has them under each family's settings.
    pub fn new(view: View<'_>, configs: &[Config]) -> Self {
        let mut ports = Self {
            by_frontend: HashMap::with_capacity(2 * view.state.entries().len()),
            ..Self::default()
        };
        for (name, entry) in view.state.entries() {
            ports.insert(view, configs, name, entry);
        }
        ports
    }

    /// Brings one Service up to date, whatever happened to it.
    pub fn update(&mut self, view: View<'_>, configs: &[Config], service: &ObjectName) {
        self.remove(service);
        if let Some(entry) = view.state.entry(service) {
            self.insert(view, configs, service, entry);
        }
    }

    /// How many Service ports there are.
    pub fn len(&self) -> usize {
        self.ports.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The Services that have ports, in no order.
    pub fn services(&self) -> impl Iterator<Item = &ObjectName> {
        self.by_service.keys()
    }

    /// Room for a value of each port.
    pub(super) fn places(&self) -> usize {
        self.ports.len()
    }

    pub(super) fn port(&self, at: usize) -> Option<&Port> {
        self.ports.get(at)?.as_ref()
    }

    pub(super) fn of_service(&self, service: &ObjectName) -> &[usize] {
        self.by_service.get(service).map_or(&[], Vec::as_slice)
    }

    /// Whose flow it is. One that was not translated is nobody's: whoever answers at a frontend's
    /// own address is no endpoint.
    pub(super) fn find(&self, flow: &Flow) -> Option<Place> {
        if flow.destination == flow.answers {
            return None;
        }
        let frontend = |address| Frontend {
            address,
            protocol: flow.protocol,
            port: flow.destination.port,
        };
        let exact = frontend(Some(flow.destination.address));
        // A Service's own address comes before node ports, in the rules too.
        let port =
            *(self.by_frontend.get(&exact)).or_else(|| self.by_frontend.get(&frontend(None)))?;
        let endpoints = &self.port(port)?.endpoints;
        let endpoint = endpoints.binary_search_by_key(&flow.answers, |own| own.address);
        Some(Place {
            port,
            endpoint: endpoint.ok(),
        })
    }

    fn remove(&mut self, service: &ObjectName) {
        for at in self.by_service.remove(service).unwrap_or_default() {
            let Some(port) = self.ports[at].take() else {
                continue;
            };
            for frontend in &port.frontends {
                // Another Service may have it by now.
                if self.by_frontend.get(frontend) == Some(&at) {
                    self.by_frontend.remove(frontend);
                }
            }
            self.free.push(at);
        }
    }

    fn insert(&mut self, view: View<'_>, configs: &[Config], name: &ObjectName, entry: &Entry) {
        let mut found: Vec<Port> = Vec::new();
        for config in configs {
            if let Some(plan) = plan::of_entry(config, view, entry) {
                merge(&mut found, name, plan, config, entry);
            }
        }
        let mut places = Vec::with_capacity(found.len());
        for port in found {
            let at = self.free.pop().unwrap_or(self.ports.len());
            let frontends = port.frontends.iter().map(|frontend| (*frontend, at));
            self.by_frontend.extend(frontends);
            if at == self.ports.len() {
                self.ports.push(Some(port));
            } else {
                self.ports[at] = Some(port);
            }
            places.push(at);
        }
        if !places.is_empty() {
            self.by_service.insert(name.clone(), places);
        }
    }
}

/// Adds what one family's plan has to the ports of a Service.
fn merge(
    ports: &mut Vec<Port>,
    service: &ObjectName,
    plan: ServicePlan,
    config: &Config,
    entry: &Entry,
) {
    let limit = entry.service.as_deref().map_or(0, |service| {
        limits::endpoints_of_each(service.ports.len(), limits::addresses(service))
    });
    // Both families have the ports in the same order, and a Service may have thousands.
    let first = ports.is_empty();
    let source_range = plan.sources.is_some();
    for (at, plan) in plan.ports.into_iter().enumerate() {
        if first {
            ports.push(Port {
                service: service.clone(),
                name: plan.name.clone(),
                protocol: plan.protocol,
                number: plan.number,
                frontends: Vec::new(),
                endpoints: Vec::new(),
                refusals: Refusals::default(),
            });
        }
        let Some(port) = ports.get_mut(at) else {
            continue;
        };
        debug_assert_eq!((port.protocol, port.number), (plan.protocol, plan.number));
        for (frontend, serving) in &plan.frontends {
            port.frontends.push(*frontend);
            port.refusals.no_endpoint |= *serving == Serving::Reject;
            // Clients inside are served by all endpoints then, those outside by none.
            let outside_alone = *serving == Serving::ExternalLocal && plan.local.is_empty();
            port.refusals.no_local_endpoint |= *serving == Serving::Drop || outside_alone;
        }
        port.refusals.source_range |= source_range;
        port.endpoints
            .extend(endpoints(&plan, config, entry, limit));
        // Addresses of both families in one list.
        port.endpoints.sort_unstable_by_key(|own| own.address);
    }
}

/// Those that serve, and of the others so many that a Service of any size stays small.
fn endpoints(plan: &PortPlan, config: &Config, entry: &Entry, limit: usize) -> Vec<Endpoint> {
    let serving = |address| Endpoint {
        address,
        serves: true,
    };
    let mut list: Vec<Endpoint> = (plan.cluster.iter().chain(&plan.local))
        .copied()
        .map(serving)
        .collect();
    let of_family = entry
        .slices
        .iter()
        .filter(|own| own.family == config.family);
    let of_port = of_family.flat_map(|slice| {
        let ports = slice.ports.iter();
        let ports = ports
            .filter(|own| own.name == plan.name && own.protocol == plan.protocol)
            .map(|own| own.port);
        ports.flat_map(|port| {
            slice.endpoints.iter().map(move |endpoint| Endpoint {
                address: EndpointAddr {
                    address: endpoint.address,
                    port,
                },
                serves: false,
            })
        })
    });
    list.extend(of_port.take(limit));
    // Those that serve come first among equals.
    list.sort_unstable_by_key(|own| (own.address, !own.serves));
    list.dedup_by_key(|own| own.address);
    list.shrink_to_fit();
    list
}
