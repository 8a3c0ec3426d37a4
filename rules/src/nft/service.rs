//! What one Service has in the table: the sets' elements and the chains that do what was planned.

mod counts;
mod lists;
mod order;
mod planned;
mod port;
mod sources;

use super::clients::Clients;
use super::ruleset::{AffinitySet, Chain, ChainId, Element, Key, Op, SetId};
use crate::model::{ObjectName, Protocol};
use crate::plan::{PortPlan, ServicePlan};
use crate::{Config, HealthCheck};
pub(super) use counts::Counts;
use foldhash::HashMap;
pub(super) use lists::Rows;
pub(super) use planned::PlannedServices;
use port::PortObjects;
use sources::Sources;
use std::net::IpAddr;
use std::sync::Arc;

/// What one Service needs. Compact, as one is kept for every Service that is
/// programmed; its elements are derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceObjects {
    cluster_ips: Box<[IpAddr]>,
    ports: Box<[PortObjects]>,
    /// Rare, hence apart.
    sources: Option<Box<Sources>>,
    pub(super) health: Option<HealthCheck>,
    /// See [`ServicePlan::no_local_internal`].
    pub(super) no_local_internal: i64,
    /// See [`ServicePlan::no_local_external`].
    pub(super) no_local_external: i64,
}

impl ServiceObjects {
    /// For a plan. Endpoints and lists stay where `previous` has them, as far as that goes.
    pub(super) fn new(plan: ServicePlan, previous: Option<&Self>, rows: &Rows) -> Self {
        let mut before = Before::new(previous);
        let may_have_chains = plan.ports.len() <= crate::limits::PORTS_WITH_CHAINS;
        let ports = plan.ports.into_iter().map(|port| {
            let before = before.of(&port);
            PortObjects::new(port, before, may_have_chains, rows)
        });
        Self {
            cluster_ips: plan.cluster_ips,
            ports: ports.collect(),
            sources: plan.sources.map(|planned| Box::new(Sources::new(planned))),
            health: plan.health,
            no_local_internal: plan.no_local_internal,
            no_local_external: plan.no_local_external,
        }
    }

    /// Calls `each` with the elements, one after the other, as all of them in a
    /// large cluster are hundreds of thousands.
    pub(super) fn for_each_element(
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
    pub(super) fn shared_keys(&self) -> impl Iterator<Item = (SetId, Key)> {
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
    pub(super) fn elements(&self, name: &ObjectName) -> Vec<(SetId, Element)> {
        let mut elements = Vec::new();
        self.for_each_element(name, &mut |set, element| {
            elements.push((set, element));
        });
        elements
    }

    /// The shared chains that frontends go to, once for each frontend.
    pub(super) fn shared_chains(&self) -> impl Iterator<Item = ChainId> {
        let sources = self.sources.iter().flat_map(|sources| sources.chains());
        self.ports
            .iter()
            .flat_map(PortObjects::shared_chains)
            .chain(sources)
    }

    /// Adds how many elements it has in each set, without making them.
    pub(super) fn count(&self, counts: &mut Counts) {
        counts.add(SetId::ClusterIps, self.cluster_ips.len());
        if let Some(sources) = &self.sources {
            sources.count(counts);
        }
        self.ports.iter().for_each(|port| port.count(counts));
    }

    /// Whether it may have chains and sets of its own.
    pub(super) fn has_own_chains(&self) -> bool {
        self.ports.iter().any(|port| port.own_balance().is_some())
    }

    /// The sets of clients of ports with session affinity.
    pub(super) fn affinity_sets(&self, name: &ObjectName) -> Vec<AffinitySet> {
        let of_port = |port: &PortObjects| port.with_own_chains(name, |own, _| own.sets());
        self.ports.iter().filter_map(of_port).flatten().collect()
    }

    /// The clients that the endpoints' sets begin with.
    pub(super) fn clients(&self, name: &ObjectName, known: &Clients) -> Vec<Op> {
        let of_port = |port: &PortObjects| {
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
    pub(super) fn chains(&self, config: &Config, name: &ObjectName) -> Vec<Chain> {
        let of_port =
            |port: &PortObjects| port.with_own_chains(name, |own, roles| own.chains(config, roles));
        self.ports.iter().filter_map(of_port).flatten().collect()
    }
}

/// What elements of a port are commented with.
pub(super) fn comment(service: &ObjectName, port: &str) -> Arc<str> {
    let ObjectName { namespace, name } = service;
    // A large cluster has many, and formatting each takes its time.
    if port.is_empty() {
        [namespace, "/", name].concat().into()
    } else {
        [namespace, "/", name, ":", port].concat().into()
    }
}

/// A Service's ports as they were planned last, to be found again.
struct Before<'a> {
    /// In the order in which they were; most often they still are.
    next: std::slice::Iter<'a, PortObjects>,
    by_name: Option<HashMap<(&'a str, Protocol), &'a PortObjects>>,
    all: &'a [PortObjects],
}

impl<'a> Before<'a> {
    fn new(plan: Option<&'a ServiceObjects>) -> Self {
        let all = plan.map_or(&[][..], |plan| &plan.ports);
        Self {
            next: all.iter(),
            by_name: None,
            all,
        }
    }

    fn of(&mut self, port: &PortPlan) -> Option<&'a PortObjects> {
        let next = self.next.next();
        if let Some(own) = next.filter(|before| before.is_of(port)) {
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
