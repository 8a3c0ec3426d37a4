//! What one Service needs in one family's table.

use crate::State;
use crate::affinity::Affinity;
use crate::base;
use crate::clients::Clients;
use crate::config::Config;
use crate::model::{Backend, Frontend, ObjectName, Protocol, Service, ServicePort, TrafficPolicy};
use crate::ruleset::{
    AffinitySet, Chain, ChainId, Element, Key, Op, PortChain, PortName, PortRole, SetId, Value,
    Verdict,
};
use crate::select::{Needs, Place, Selection, local_ready_addresses, select};
use crate::sources::Sources;
use crate::state::{Entry, claims};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// How one frontend is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serving {
    /// All endpoints.
    Cluster { masquerade: bool },
    /// This node's endpoints.
    Local,
    /// This node's endpoints for outside clients, all of them for others.
    ExternalLocal,
    /// No endpoint anywhere.
    Reject,
    /// Policy Local, and none of the endpoints is here.
    Drop,
}

/// What one Service port needs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PortPlan {
    name: Arc<str>,
    protocol: Protocol,
    number: u16,
    /// How long a client keeps its endpoint, in seconds.
    affinity: Option<u32>,
    frontends: Box<[(Frontend, Serving)]>,
    /// In the order of their index: see [`keep_order`].
    cluster: Box<[Backend]>,
    local: Box<[Backend]>,
    hairpin: Box<[Backend]>,
}

/// What one Service needs. Compact, as one is kept for every Service that is
/// programmed; its elements are derived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServicePlan {
    cluster_ips: Box<[std::net::IpAddr]>,
    ports: Box<[PortPlan]>,
    /// Rare, hence apart.
    sources: Option<Box<Sources>>,
    /// `healthCheckNodePort` and the number of local ready endpoints.
    pub(crate) health: Option<(u16, usize)>,
    /// Ports with internal policy Local, endpoints, and none of them here.
    pub(crate) no_local_internal: i64,
    /// The same for external policy Local.
    pub(crate) no_local_external: i64,
}

impl ServicePlan {
    /// Every element, each with the set it belongs to.
    pub(crate) fn elements(&self, name: &ObjectName) -> Vec<(SetId, Element)> {
        let bare = |key| Element {
            key,
            value: None,
            comment: None,
        };
        let mut elements = Vec::new();
        for address in &self.cluster_ips {
            elements.push((SetId::ClusterIps, bare(Key::Address(*address))));
        }
        if let Some(sources) = &self.sources {
            sources.add_elements(name, &mut elements);
        }
        for port in &self.ports {
            port.add_elements(name, &mut elements);
            for backend in &port.hairpin {
                let key = Key::Hairpin(*backend, port.protocol);
                elements.push((SetId::Hairpin, bare(key)));
            }
        }
        elements
    }

    /// The sets of clients of ports with session affinity.
    pub(crate) fn affinity_sets(&self, name: &ObjectName) -> Vec<AffinitySet> {
        let of_port = |port: &PortPlan| port.with_affinity(name, |affinity, _| affinity.sets());
        self.ports.iter().filter_map(of_port).flatten().collect()
    }

    /// The clients that the endpoints' sets begin with.
    pub(crate) fn clients(&self, name: &ObjectName, known: &Clients) -> Vec<Op> {
        let of_port = |port: &PortPlan| {
            port.with_affinity(name, |affinity, _| {
                let sets = affinity.sets().into_iter().map(|set| {
                    let clients = known.of(&set, &port.name, affinity.seconds);
                    (set, clients)
                });
                sets.filter(|(_, clients)| !clients.is_empty())
                    .map(|(set, clients)| Op::AddClients(set, clients))
                    .collect::<Vec<_>>()
            })
        };
        self.ports.iter().filter_map(of_port).flatten().collect()
    }

    /// The chains of its own: those of ports with session affinity. Each comes
    /// after those that it goes on to.
    pub(crate) fn chains(&self, config: &Config, name: &ObjectName) -> Vec<Chain> {
        let of_port = |port: &PortPlan| {
            port.with_affinity(name, |affinity, roles| affinity.chains(config, roles))
        };
        self.ports.iter().filter_map(of_port).flatten().collect()
    }
}

impl PortPlan {
    /// Calls `make` if the port has affinity and a frontend that uses it.
    fn with_affinity<T>(
        &self,
        service: &ObjectName,
        make: impl FnOnce(&Affinity<'_>, BTreeSet<PortRole>) -> T,
    ) -> Option<T> {
        let seconds = self.affinity?;
        let servings = self.frontends.iter().map(|(_, serving)| *serving);
        let roles: BTreeSet<PortRole> = servings.filter_map(affinity_role).collect();
        if roles.is_empty() {
            return None;
        }
        let affinity = Affinity {
            port: &PortName::new(service, self.protocol, self.number),
            protocol: self.protocol,
            seconds,
            cluster: &self.cluster,
            local: &self.local,
        };
        Some(make(&affinity, roles))
    }

    fn add_elements(&self, service: &ObjectName, elements: &mut Vec<(SetId, Element)>) {
        let comment = comment(service, &self.name);
        let port = self
            .affinity
            .map(|_| PortName::new(service, self.protocol, self.number));
        for (frontend, serving) in &self.frontends {
            let nodeport = frontend.address.is_none();
            let mut verdict = |set, verdict| {
                let value = Some(Value::Verdict(verdict));
                let key = Key::Frontend(*frontend);
                elements.push((
                    set,
                    Element {
                        key,
                        value,
                        comment: Some(comment.clone()),
                    },
                ));
            };
            let (services, nobody) = if nodeport {
                (SetId::Nodeports, SetId::NodeportNoEndpoints)
            } else {
                (SetId::Services, SetId::NoEndpoints)
            };
            if let Some(chain) = self.chain(port.as_ref(), *serving, nodeport) {
                verdict(services, Verdict::Goto(chain));
            }
            match serving {
                Serving::Reject => verdict(nobody, Verdict::Goto(base::REJECT)),
                Serving::Drop => verdict(nobody, Verdict::Drop),
                Serving::ExternalLocal if self.local.is_empty() => verdict(nobody, Verdict::Drop),
                _ => {}
            }
            // With affinity the chains themselves name the endpoints.
            if port.is_none() {
                self.add_backends(*frontend, *serving, elements);
            }
        }
    }

    /// The chain that a frontend goes to; `port` names one with affinity.
    fn chain(&self, port: Option<&PortName>, serving: Serving, nodeport: bool) -> Option<ChainId> {
        if let Some(port) = port {
            let role = affinity_role(serving)?;
            let port = port.clone();
            return Some(ChainId::Port(PortChain { port, role }));
        }
        let all = count(&self.cluster);
        let local = count(&self.local);
        match serving {
            Serving::Cluster { masquerade } => Some(ChainId::Cluster {
                endpoints: all,
                masquerade,
                nodeport,
            }),
            Serving::Local => Some(ChainId::Local {
                endpoints: local,
                nodeport,
            }),
            Serving::ExternalLocal => Some(ChainId::ExternalLocal {
                local,
                all,
                nodeport,
            }),
            Serving::Reject | Serving::Drop => None,
        }
    }

    fn add_backends(
        &self,
        frontend: Frontend,
        serving: Serving,
        elements: &mut Vec<(SetId, Element)>,
    ) {
        let (all, local) = match frontend.address {
            Some(_) => (SetId::Endpoints, SetId::LocalEndpoints),
            None => (SetId::NodeportEndpoints, SetId::NodeportLocalEndpoints),
        };
        let mut add = |set, backends: &[Backend]| {
            for (index, backend) in (0u32..).zip(backends) {
                let key = Key::Indexed(frontend, index);
                let value = Some(Value::Backend(*backend));
                elements.push((
                    set,
                    Element {
                        key,
                        value,
                        comment: None,
                    },
                ));
            }
        };
        if matches!(serving, Serving::Cluster { .. } | Serving::ExternalLocal) {
            add(all, &self.cluster);
        }
        if matches!(serving, Serving::Local | Serving::ExternalLocal) {
            add(local, &self.local);
        }
    }
}

fn affinity_role(serving: Serving) -> Option<PortRole> {
    match serving {
        Serving::Cluster { masquerade: false } => Some(PortRole::Cluster),
        Serving::Cluster { masquerade: true } => Some(PortRole::Masquerade),
        Serving::Local => Some(PortRole::Local),
        Serving::ExternalLocal => Some(PortRole::ExternalLocal),
        Serving::Reject | Serving::Drop => None,
    }
}

/// What elements of a port are commented with.
pub(crate) fn comment(service: &ObjectName, port: &str) -> Arc<str> {
    if port.is_empty() {
        service.to_string().into()
    } else {
        format!("{service}:{port}").into()
    }
}

fn count(backends: &[Backend]) -> u32 {
    u32::try_from(backends.len()).unwrap_or(u32::MAX)
}

/// Plans a Service; `None` if it is gone or has nothing in this family.
pub(crate) fn plan(
    config: &Config,
    state: &State,
    name: &ObjectName,
    previous: Option<&ServicePlan>,
) -> Option<ServicePlan> {
    let entry = state.entry(name)?;
    let service = entry.service.as_ref()?;
    let of_family =
        |address: &std::net::IpAddr| crate::model::Family::of(*address) == config.family;
    let cluster_ips: Box<[_]> = service
        .cluster_ips
        .iter()
        .copied()
        .filter(of_family)
        .collect();
    if cluster_ips.is_empty() {
        return None;
    }
    let zone = state.node().and_then(|node| node.zone.as_deref());
    let place = Place {
        node: &config.node_name,
        zone,
    };
    let mut plan = ServicePlan {
        cluster_ips,
        ..ServicePlan::default()
    };
    let mut taken = HashSet::new();
    let mut numbers = HashSet::new();
    let mut ports = Vec::with_capacity(service.ports.len());
    for port in &service.ports {
        // A repeated one has been complained of when the Service came.
        if !numbers.insert((port.protocol, port.port)) {
            continue;
        }
        let mut build = PortBuild {
            config,
            state,
            entry,
            service,
            port,
            place,
        };
        ports.push(build.plan(&mut taken, &mut plan, previous));
    }
    plan.ports = ports.into();
    plan.sources = Sources::of(config, state.claims(), service).map(Box::new);
    plan.health = service.health_check_node_port.map(|port| {
        (
            port,
            local_ready_addresses(config.family, &entry.slices, place),
        )
    });
    Some(plan)
}

/// What planning one port reads.
struct PortBuild<'a> {
    config: &'a Config,
    state: &'a State,
    entry: &'a Entry,
    service: &'a Service,
    port: &'a ServicePort,
    place: Place<'a>,
}

impl PortBuild<'_> {
    /// Reference: the decision table of section 5.6.
    fn plan(
        &mut self,
        taken: &mut HashSet<Frontend>,
        totals: &mut ServicePlan,
        previous: Option<&ServicePlan>,
    ) -> PortPlan {
        let internal: Vec<_> = self.owned(claims::internal(self.service, self.port), taken);
        let outside = claims::external(self.service, self.port).chain(claims::node_port(self.port));
        let external: Vec<_> = self.owned(outside, taken);
        let needs = self.needs(!external.is_empty());
        let selection = select(
            self.port,
            self.config.family,
            &self.entry.slices,
            self.place,
            needs,
        );
        self.count_missing(&selection, totals);

        let inside = self.internal_serving(&selection);
        let outside = self.external_serving(&selection);
        let frontends = internal
            .into_iter()
            .map(|frontend| (frontend, inside))
            .chain(external.into_iter().map(|frontend| (frontend, outside)))
            .collect();
        let before = previous.and_then(|plan| {
            let same =
                |own: &&PortPlan| own.name == self.port.name && own.protocol == self.port.protocol;
            plan.ports.iter().find(same)
        });
        PortPlan {
            name: self.port.name.clone(),
            protocol: self.port.protocol,
            number: self.port.port,
            affinity: self.service.session_affinity,
            frontends,
            cluster: keep_order(before.map_or(&[], |own| &own.cluster), selection.cluster),
            local: keep_order(before.map_or(&[], |own| &own.local), selection.local),
            hairpin: selection.on_this_node.into(),
        }
    }

    /// The frontends of this family that this Service serves, each once.
    fn owned(
        &self,
        frontends: impl Iterator<Item = Frontend>,
        taken: &mut HashSet<Frontend>,
    ) -> Vec<Frontend> {
        let family = self.config.family;
        frontends
            .filter(|own| {
                own.address
                    .is_none_or(|ip| crate::model::Family::of(ip) == family)
            })
            .filter(|own| self.state.claims().owns(&self.service.name, own))
            .filter(|own| taken.insert(*own))
            .collect()
    }

    fn needs(&self, reachable_from_outside: bool) -> Needs {
        let internal_local = self.service.internal_policy == TrafficPolicy::Local;
        let external_local = self.service.external_policy == TrafficPolicy::Local;
        Needs {
            cluster: !internal_local || reachable_from_outside,
            local: internal_local || (external_local && reachable_from_outside),
        }
    }

    fn internal_serving(&self, selection: &Selection) -> Serving {
        match self.service.internal_policy {
            _ if !selection.any => Serving::Reject,
            TrafficPolicy::Cluster => Serving::Cluster { masquerade: false },
            TrafficPolicy::Local if selection.local.is_empty() => Serving::Drop,
            TrafficPolicy::Local => Serving::Local,
        }
    }

    fn external_serving(&self, selection: &Selection) -> Serving {
        match self.service.external_policy {
            _ if !selection.any => Serving::Reject,
            TrafficPolicy::Cluster => Serving::Cluster { masquerade: true },
            TrafficPolicy::Local => Serving::ExternalLocal,
        }
    }

    fn count_missing(&self, selection: &Selection, totals: &mut ServicePlan) {
        if !selection.any || !selection.local.is_empty() {
            return;
        }
        let service = self.service;
        if service.internal_policy == TrafficPolicy::Local {
            totals.no_local_internal += 1;
        }
        let external = service.external_type || !service.external_ips.is_empty();
        if service.external_policy == TrafficPolicy::Local && external {
            totals.no_local_external += 1;
        }
    }
}

/// Lists `wanted` so that as few positions as possible differ from `before`:
/// who stays keeps the index, newcomers fill the gaps, and the last ones move
/// into what gaps are left.
fn keep_order(before: &[Backend], wanted: Vec<Backend>) -> Box<[Backend]> {
    if before == wanted {
        return wanted.into();
    }
    let target: BTreeSet<Backend> = wanted.iter().copied().collect();
    let known: HashSet<Backend> = before.iter().copied().collect();
    let mut fresh = target
        .iter()
        .copied()
        .filter(|backend| !known.contains(backend));
    let mut slots: Vec<Option<Backend>> = before
        .iter()
        .map(|backend| {
            target
                .contains(backend)
                .then_some(*backend)
                .or_else(|| fresh.next())
        })
        .collect();
    slots.extend(fresh.map(Some));
    let mut at = 0;
    while at < slots.len() {
        if slots[at].is_none() {
            slots.swap_remove(at);
        } else {
            at += 1;
        }
    }
    slots.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
