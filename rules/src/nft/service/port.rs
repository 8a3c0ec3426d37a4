//! What one Service port has in the table.

use super::lists::{Lists, MANY_FRONTENDS, Rows};
use super::order::keep_order;
use super::{Counts, comment};
use crate::model::{EndpointAddr, Frontend, ObjectName, Protocol};
use crate::nft::base;
use crate::nft::port_chains::{Balance, PortChains};
use crate::nft::ruleset::{
    ChainId, Element, Key, Pick, PortChain, PortKind, PortName, PortRole, SetId, Value, Verdict,
};
use crate::plan::{Balance as Chosen, PortPlan, Serving};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What one Service port needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PortObjects {
    pub(super) name: Arc<str>,
    pub(super) protocol: Protocol,
    pub(super) number: u16,
    /// How long a client keeps its endpoint, in seconds.
    pub(super) affinity: Option<u32>,
    /// Set if the endpoints are listed once for all frontends, which affinity
    /// has no use for.
    pub(super) lists: Option<Box<Lists>>,
    pub(super) frontends: Box<[(Frontend, Serving)]>,
    /// Its node ports are refused on loopback addresses.
    pub(super) refused_on_localhost: bool,
    /// In the order of their index: see `keep_order`.
    pub(super) cluster: Box<[EndpointAddr]>,
    pub(super) local: Box<[EndpointAddr]>,
    pub(super) hairpin: Box<[EndpointAddr]>,
}

impl PortObjects {
    /// For a plan; see [`super::ServiceObjects::new`].
    pub(super) fn new(
        plan: PortPlan,
        before: Option<&Self>,
        may_have_chains: bool,
        rows: &Rows,
    ) -> Self {
        let cluster = keep_order(before.map_or(&[], |port| &port.cluster), plan.cluster);
        let local = keep_order(before.map_or(&[], |port| &port.local), plan.local);
        let many = plan.frontends.len() >= MANY_FRONTENDS && may_have_chains;
        let (affinity, pick) = match plan.balance {
            Chosen::Remembered { seconds } => (Some(seconds), None),
            Chosen::SourceHash => (None, Some(Pick::Source)),
            Chosen::Random => (None, many.then_some(Pick::Random)),
        };
        let is_served = plan
            .frontends
            .iter()
            .any(|(_, serving)| serving.is_served());
        let lists = pick.filter(|_| is_served).map(|pick| {
            let before = before.and_then(|port| port.lists.as_deref());
            Box::new(Lists {
                pick,
                cluster: rows.row(before.map(|lists| lists.cluster), &cluster),
                local: rows.row(before.map(|lists| lists.local), &local),
            })
        });
        Self {
            name: plan.name,
            protocol: plan.protocol,
            number: plan.number,
            affinity,
            lists,
            frontends: plan.frontends,
            refused_on_localhost: plan.refused_on_localhost,
            cluster,
            local,
            hairpin: plan.hairpin,
        }
    }

    /// Whether it was made for this port, which may have another number now.
    pub(super) fn is_of(&self, port: &PortPlan) -> bool {
        self.name == port.name && self.protocol == port.protocol
    }

    /// Calls `make` if the port has chains of its own and a frontend that uses
    /// them.
    pub(super) fn with_own_chains<T>(
        &self,
        service: &ObjectName,
        make: impl FnOnce(&PortChains<'_>, BTreeSet<PortRole>) -> T,
    ) -> Option<T> {
        let balance = self.own_balance()?;
        let servings = self.frontends.iter().map(|(_, serving)| *serving);
        let roles: BTreeSet<PortRole> = servings.filter_map(role).collect();
        if roles.is_empty() {
            return None;
        }
        let own = PortChains {
            port: &PortName::new(service, self.protocol, self.number),
            protocol: self.protocol,
            balance,
            cluster: &self.cluster,
            local: &self.local,
        };
        Some(make(&own, roles))
    }

    /// How chains of its own choose; `None` if it has none.
    pub(super) fn own_balance(&self) -> Option<Balance> {
        let affinity = self.affinity.map(Balance::Affinity);
        affinity.or_else(|| {
            let lists = self.lists.as_ref()?;
            Some(Balance::List {
                pick: lists.pick,
                cluster: lists.cluster.first,
                local: lists.local.first,
            })
        })
    }

    /// Adds how many elements there are in each set, without making them.
    pub(super) fn count(&self, counts: &mut Counts) {
        for (frontend, serving) in &self.frontends {
            let sets = sets(frontend);
            counts.add(sets.services, usize::from(serving.is_served()));
            let nobody = self.without_endpoints(*serving);
            counts.add(sets.nobody, usize::from(nobody.is_some()));
            let refused = self.refused_on_localhost(frontend);
            counts.add(SetId::LocalhostNodeports, usize::from(refused.is_some()));
            for (set, backends) in self.numbered(&sets, *serving) {
                counts.add(set, backends.len());
            }
        }
        for (_, list) in self.listed() {
            counts.add(SetId::PortEndpoints, list.len());
        }
        counts.add(SetId::Hairpin, self.hairpin.len());
    }

    pub(super) fn for_each_element(
        &self,
        service: &ObjectName,
        each: &mut impl FnMut(SetId, Element),
    ) {
        let own = self.own_balance().map(|balance| {
            let port = PortName::new(service, self.protocol, self.number);
            (port, balance.kind())
        });
        let mut text = None;
        for (frontend, serving) in &self.frontends {
            let sets = sets(frontend);
            let mut verdict = |set, verdict| {
                let comment = text.get_or_insert_with(|| comment(service, &self.name));
                let element = Element {
                    key: Key::Frontend(*frontend),
                    value: Some(Value::Verdict(verdict)),
                    comment: Some(comment.clone()),
                };
                each(set, element);
            };
            if let Some(chain) = self.chain(own.as_ref(), *serving, frontend.address.is_none()) {
                verdict(sets.services, Verdict::Goto(chain));
            }
            if let Some(what) = self.without_endpoints(*serving) {
                verdict(sets.nobody, what);
            }
            if let Some(what) = self.refused_on_localhost(frontend) {
                verdict(SetId::LocalhostNodeports, what);
            }
            for (set, backends) in self.numbered(&sets, *serving) {
                for (index, backend) in (0u32..).zip(backends) {
                    let element = Element {
                        key: Key::Indexed(*frontend, index),
                        value: Some(Value::Endpoint(*backend)),
                        comment: None,
                    };
                    each(set, element);
                }
            }
        }
        for (first, list) in self.listed() {
            for (index, backend) in (first..).zip(list) {
                let element = Element {
                    key: Key::Listed(index),
                    value: Some(Value::Endpoint(*backend)),
                    comment: None,
                };
                each(SetId::PortEndpoints, element);
            }
        }
    }

    /// The shared chains that the frontends go to, once for each frontend.
    pub(super) fn shared_chains(&self) -> impl Iterator<Item = ChainId> {
        let is_shared = self.own_balance().is_none();
        let frontends = self.frontends.iter().filter(move |_| is_shared);
        frontends.filter_map(|(own, serving)| self.chain(None, *serving, own.address.is_none()))
    }

    /// What becomes of a frontend's packets that no endpoint takes.
    fn without_endpoints(&self, serving: Serving) -> Option<Verdict> {
        match serving {
            Serving::Reject => Some(Verdict::Goto(base::REJECT)),
            Serving::Drop => Some(Verdict::Goto(base::DROP)),
            Serving::ExternalLocal if self.local.is_empty() => Some(Verdict::Goto(base::DROP)),
            _ => None,
        }
    }

    /// What becomes of a node port's packets on loopback addresses.
    fn refused_on_localhost(&self, frontend: &Frontend) -> Option<Verdict> {
        let refused = self.refused_on_localhost && frontend.address.is_none();
        refused.then(|| Verdict::Goto(base::refusing(self.protocol)))
    }

    /// The chain that a frontend goes to; `own` names a port with its own chains.
    fn chain(
        &self,
        own: Option<&(PortName, PortKind)>,
        serving: Serving,
        nodeport: bool,
    ) -> Option<ChainId> {
        if let Some((port, kind)) = own {
            let (port, kind, role) = (port.clone(), *kind, role(serving)?);
            return Some(ChainId::Port(PortChain { port, kind, role }));
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

    /// The lists of a port with chains of its own, each with where it begins; no
    /// frontend may use one of them.
    fn listed(&self) -> impl Iterator<Item = (u32, &[EndpointAddr])> {
        let lists = self.lists.as_ref().map(|lists| {
            let rows = [lists.cluster.first, lists.local.first];
            let uses = |list: fn(Serving) -> bool| {
                self.frontends.iter().any(|(_, serving)| list(*serving))
            };
            let cluster =
                uses(|own| matches!(own, Serving::Cluster { .. } | Serving::ExternalLocal));
            let local = uses(|own| matches!(own, Serving::Local | Serving::ExternalLocal));
            let pairs = [(cluster, &*self.cluster), (local, &*self.local)];
            rows.into_iter().zip(pairs)
        });
        let used = lists.into_iter().flatten().filter(|(_, (used, _))| *used);
        used.map(|(first, (_, list))| (first, list))
    }

    /// The lists that a frontend's chain picks from, and where they are. Chains
    /// of its own have no use for one for each frontend.
    fn numbered(&self, sets: &FrontendSets, serving: Serving) -> [(SetId, &[EndpointAddr]); 2] {
        let none: &[EndpointAddr] = &[];
        let (all, local): (&[EndpointAddr], &[EndpointAddr]) = match serving {
            _ if self.own_balance().is_some() => (none, none),
            Serving::Cluster { .. } => (&self.cluster, none),
            Serving::Local => (none, &self.local),
            Serving::ExternalLocal => (&self.cluster, &self.local),
            Serving::Reject | Serving::Drop => (none, none),
        };
        [(sets.endpoints, all), (sets.local, local)]
    }
}

/// Where a frontend's elements are.
struct FrontendSets {
    services: SetId,
    nobody: SetId,
    endpoints: SetId,
    local: SetId,
}

fn sets(frontend: &Frontend) -> FrontendSets {
    match frontend.address {
        Some(_) => FrontendSets {
            services: SetId::Services,
            nobody: SetId::NoEndpoints,
            endpoints: SetId::Endpoints,
            local: SetId::LocalEndpoints,
        },
        None => FrontendSets {
            services: SetId::Nodeports,
            nobody: SetId::NodeportNoEndpoints,
            endpoints: SetId::NodeportEndpoints,
            local: SetId::NodeportLocalEndpoints,
        },
    }
}

/// What the own chain of a frontend so served is for.
fn role(serving: Serving) -> Option<PortRole> {
    match serving {
        Serving::Cluster { masquerade: false } => Some(PortRole::Cluster),
        Serving::Cluster { masquerade: true } => Some(PortRole::Masquerade),
        Serving::Local => Some(PortRole::Local),
        Serving::ExternalLocal => Some(PortRole::ExternalLocal),
        Serving::Reject | Serving::Drop => None,
    }
}

fn count(backends: &[EndpointAddr]) -> u32 {
    u32::try_from(backends.len()).unwrap_or(u32::MAX)
}
