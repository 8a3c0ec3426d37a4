//! What one Service needs in one family's table.

mod build;
mod counts;
mod lists;
mod planned;
mod port;

use crate::HealthCheck;
use crate::config::Config;
use crate::limits;
use crate::model::{Family, ObjectName, Protocol, ServicePort};
use crate::nft::clients::Clients;
use crate::nft::ruleset::{AffinitySet, Chain, ChainId, Element, Key, Op, SetId};
use crate::nft::sources::Sources;
use crate::select::{Place, Selector, local_ready_addresses};
use crate::state::{Entry, View};
use build::PortBuild;
pub(crate) use counts::Counts;
use foldhash::{HashMap, HashSet};
pub(crate) use lists::Rows;
pub use planned::PlannedServices;
use port::PortPlan;
use std::net::IpAddr;
use std::sync::Arc;

/// What one Service needs. Compact, as one is kept for every Service that is
/// programmed; its elements are derived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServicePlan {
    cluster_ips: Box<[IpAddr]>,
    ports: Box<[PortPlan]>,
    /// Rare, hence apart.
    sources: Option<Box<Sources>>,
    pub(crate) health: Option<HealthCheck>,
    /// Ports with internal policy Local, endpoints, and none of them here.
    pub(crate) no_local_internal: i64,
    /// The same for external policy Local.
    pub(crate) no_local_external: i64,
}

impl ServicePlan {
    /// Calls `each` with the elements, one after the other, as all of them in a
    /// large cluster are hundreds of thousands.
    pub(crate) fn for_each_element(
        &self,
        name: &ObjectName,
        each: &mut impl FnMut(SetId, Element),
    ) {
        for (set, key) in self.shared_keys() {
            let element = Element {
                key,
                value: None,
                comment: None,
            };
            each(set, element);
        }
        if let Some(sources) = &self.sources {
            sources.for_each_element(name, each);
        }
        for port in &self.ports {
            port.for_each_element(name, each);
        }
    }

    /// The elements that other Services may have as well; some may repeat.
    pub(crate) fn shared_keys(&self) -> impl Iterator<Item = (SetId, Key)> {
        let addresses = self.cluster_ips.iter();
        let hairpin = self.ports.iter().flat_map(|port| {
            let backends = port.hairpin.iter();
            backends.map(|backend| (SetId::Hairpin, Key::Hairpin(*backend, port.protocol)))
        });
        addresses
            .map(|address| (SetId::ClusterIps, Key::Address(*address)))
            .chain(hairpin)
    }

    /// All elements, each with its set.
    pub(crate) fn elements(&self, name: &ObjectName) -> Vec<(SetId, Element)> {
        let mut elements = Vec::new();
        self.for_each_element(name, &mut |set, element| {
            elements.push((set, element));
        });
        elements
    }

    /// The shared chains that frontends go to, once for each frontend.
    pub(crate) fn shared_chains(&self) -> impl Iterator<Item = ChainId> {
        let sources = self.sources.iter().flat_map(|sources| sources.chains());
        self.ports
            .iter()
            .flat_map(PortPlan::shared_chains)
            .chain(sources)
    }

    /// Adds how many elements it has in each set, without making them.
    pub(crate) fn count(&self, counts: &mut Counts) {
        counts.add(SetId::ClusterIps, self.cluster_ips.len());
        if let Some(sources) = &self.sources {
            sources.count(counts);
        }
        self.ports.iter().for_each(|port| port.count(counts));
    }

    /// Whether it may have chains and sets of its own.
    pub(crate) fn has_own_chains(&self) -> bool {
        self.ports.iter().any(|port| port.own_balance().is_some())
    }

    /// The sets of clients of ports with session affinity.
    pub(crate) fn affinity_sets(&self, name: &ObjectName) -> Vec<AffinitySet> {
        let of_port = |port: &PortPlan| port.with_own_chains(name, |own, _| own.sets());
        self.ports.iter().filter_map(of_port).flatten().collect()
    }

    /// The clients that the endpoints' sets begin with.
    pub(crate) fn clients(&self, name: &ObjectName, known: &Clients) -> Vec<Op> {
        let of_port = |port: &PortPlan| {
            let seconds = port.affinity?;
            port.with_own_chains(name, |own, _| {
                let sets = own.sets().into_iter().map(|set| {
                    let clients = known.of(&set, &port.name, seconds);
                    (set, clients)
                });
                sets.filter(|(_, clients)| !clients.is_empty())
                    .map(|(set, clients)| Op::AddClients(set, clients))
                    .collect::<Vec<_>>()
            })
        };
        self.ports.iter().filter_map(of_port).flatten().collect()
    }

    /// The chains of its own: those of ports with session affinity or with many
    /// frontends. Each comes after those that it goes on to.
    pub(crate) fn chains(&self, config: &Config, name: &ObjectName) -> Vec<Chain> {
        let of_port =
            |port: &PortPlan| port.with_own_chains(name, |own, roles| own.chains(config, roles));
        self.ports.iter().filter_map(of_port).flatten().collect()
    }
}

/// What elements of a port are commented with.
pub(crate) fn comment(service: &ObjectName, port: &str) -> Arc<str> {
    let ObjectName { namespace, name } = service;
    // A large cluster has many, and formatting each takes its time.
    if port.is_empty() {
        [namespace, "/", name].concat().into()
    } else {
        [namespace, "/", name, ":", port].concat().into()
    }
}

/// Plans a Service; `None` if it is not there or has nothing in this family.
pub(crate) fn plan(
    config: &Config,
    view: View<'_>,
    entry: &Entry,
    previous: Option<&ServicePlan>,
    rows: &Rows,
) -> Option<ServicePlan> {
    let service = entry.service.as_deref()?;
    let of_family = |address: &IpAddr| Family::of(*address) == config.family;
    let cluster_ips: Box<[_]> = service
        .cluster_ips
        .iter()
        .copied()
        .filter(of_family)
        .collect();
    if cluster_ips.is_empty() {
        return None;
    }
    let place = Place {
        node: &config.node_name,
        zone: view.zone,
    };
    let mut plan = ServicePlan {
        cluster_ips,
        ..ServicePlan::default()
    };
    let mut taken = HashSet::default();
    let mut numbers = HashSet::default();
    let mut ports = Vec::with_capacity(service.ports.len());
    let mut before = Before::new(previous);
    let mut selector = Selector::new(
        (service.ports.len(), limits::addresses(service)),
        config.family,
        &entry.slices,
        place,
    );
    for port in &service.ports {
        // A repeated one has been complained of when the Service came.
        if !numbers.insert((port.protocol, port.port)) {
            continue;
        }
        let mut build = PortBuild {
            config,
            state: view.state,
            service,
            port,
            rows,
        };
        ports.push(build.plan(&mut taken, &mut plan, before.of(port), &mut selector));
    }
    plan.ports = ports.into();
    plan.sources = Sources::of(config, view.state.claims(), service).map(Box::new);
    plan.health = service.health_check_node_port.map(|port| HealthCheck {
        port,
        local_endpoints: local_ready_addresses(config.family, &entry.slices, place),
    });
    Some(plan)
}

/// A Service's ports as they were planned last, to be found again.
struct Before<'a> {
    /// In the order in which they were; most often they still are.
    next: std::slice::Iter<'a, PortPlan>,
    by_name: Option<HashMap<(&'a str, Protocol), &'a PortPlan>>,
    all: &'a [PortPlan],
}

impl<'a> Before<'a> {
    fn new(plan: Option<&'a ServicePlan>) -> Self {
        let all = plan.map_or(&[][..], |plan| &plan.ports);
        Self {
            next: all.iter(),
            by_name: None,
            all,
        }
    }

    fn of(&mut self, port: &ServicePort) -> Option<&'a PortPlan> {
        let next = self.next.next();
        if let Some(own) = next.filter(|own| own.is_of(port)) {
            return Some(own);
        }
        let all = self.all;
        let by_name = self.by_name.get_or_insert_with(|| {
            let named = all.iter().map(|own| ((&*own.name, own.protocol), own));
            // Of two with one name the first one counts.
            named.rev().collect()
        });
        by_name.get(&(&*port.name, port.protocol)).copied()
    }
}

#[cfg(test)]
mod tests;
