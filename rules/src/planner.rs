//! From dirty Services to a transaction, one planner per family.
//!
//! A planner remembers what was applied. [`Planner::prepare`] plans the dirty
//! Services anew, diffs each against what it has in the table, and yields a
//! transaction; [`Planner::commit`] or [`Planner::fail`] tells how it went. A
//! sync costs what changed, whatever else the table holds.

mod ledger;
mod own;

use crate::State;
use crate::base;
use crate::clients::{Clients, RememberedClient};
use crate::config::{Config, NodeportAddresses};
use crate::model::ObjectName;
use crate::plan::{ServicePlan, plan};
use crate::ruleset::{Chain, ChainId, Element, Key, Op, SetId, Transaction};
use ipnet::IpNet;
use ledger::{Ledger, Touched};
use own::OwnObjects;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

/// Decides one family's table.
#[derive(Debug)]
pub struct Planner {
    config: Config,
    /// What each programmed Service has in the table.
    applied: HashMap<ObjectName, ServicePlan>,
    /// Who uses the elements and chains that Services share.
    ledger: Ledger,
    /// Shared chains in the table, used or left over.
    chains: HashSet<ChainId>,
    /// Chains of single Services that the last sync emptied.
    left_over: BTreeSet<ChainId>,
    service_cidrs: Vec<IpNet>,
    nodeport_ips: Vec<IpAddr>,
    dirty: HashSet<ObjectName>,
    /// The next sync replaces the whole table.
    full: bool,
    /// What that one remembers of clients.
    clients: Clients,
    summary: Summary,
}

/// Figures over all programmed Services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Service ports with internal policy Local that have endpoints, but none here.
    pub no_local_internal: i64,
    /// The same for external policy Local.
    pub no_local_external: i64,
    /// `healthCheckNodePort` and local ready endpoints, by Service.
    pub health: BTreeMap<ObjectName, (u16, usize)>,
}

/// A prepared sync.
#[derive(Debug)]
pub struct Pending {
    /// What to send to the kernel.
    pub transaction: Transaction,
    /// Whether it replaces the whole table.
    pub full: bool,
    /// How many Services were planned.
    pub services: usize,
    plans: Vec<(ObjectName, Option<ServicePlan>)>,
    touched: Touched,
    chains: HashSet<ChainId>,
    left_over: BTreeSet<ChainId>,
    service_cidrs: Vec<IpNet>,
    nodeport_ips: Vec<IpAddr>,
}

impl Planner {
    /// A planner whose first sync replaces whatever table there is.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            applied: HashMap::new(),
            ledger: Ledger::default(),
            chains: HashSet::new(),
            left_over: BTreeSet::new(),
            service_cidrs: Vec::new(),
            nodeport_ips: Vec::new(),
            dirty: HashSet::new(),
            full: true,
            clients: Clients::default(),
            summary: Summary::default(),
        }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Sets the settings for the next sync, as the Node object changes them.
    /// Another list of node-port addresses is a change of elements; all else
    /// changes rules, so it replaces the table.
    pub fn configure(&mut self, config: Config) {
        let listed = |config: &Config| config.nodeport_addresses != NodeportAddresses::All;
        let same_rules = Config {
            nodeport_addresses: self.config.nodeport_addresses.clone(),
            ..config.clone()
        } == self.config;
        self.full |= !same_rules || listed(&config) != listed(&self.config);
        self.config = config;
    }

    /// Whether the next sync replaces the whole table.
    pub fn replaces_table(&self) -> bool {
        self.full
    }

    /// Tells which clients the table remembers that is going to be replaced.
    pub fn remember(&mut self, clients: Vec<RememberedClient>) {
        self.clients = Clients::new(clients);
    }

    /// Figures over what is programmed.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Adds Services to plan at the next sync.
    pub fn mark<'a>(&mut self, services: impl IntoIterator<Item = &'a ObjectName>) {
        self.dirty.extend(services.into_iter().cloned());
    }

    /// Plans what is dirty. `local_addresses` are the node's interface
    /// addresses; `None` means that there is nothing to change.
    pub fn prepare(&mut self, state: &State, local_addresses: &[IpAddr]) -> Option<Pending> {
        let family = self.config.family;
        let service_cidrs = state.service_cidrs(family);
        let nodeport_ips = self
            .config
            .nodeport_addresses
            .choose(family, local_addresses)
            .unwrap_or_default();
        let mut pending = Pending {
            transaction: Transaction {
                family,
                ops: Vec::new(),
            },
            full: self.full,
            services: 0,
            plans: Vec::new(),
            touched: Touched::default(),
            chains: HashSet::new(),
            left_over: BTreeSet::new(),
            service_cidrs,
            nodeport_ips,
        };
        if self.full {
            self.prepare_full(state, &mut pending);
        } else {
            self.prepare_dirty(state, &mut pending);
        }
        if pending.transaction.ops.is_empty() && pending.plans.is_empty() {
            self.dirty.clear();
            return None;
        }
        Some(pending)
    }

    /// The transaction is in the kernel.
    pub fn commit(&mut self, pending: Pending) {
        // It may be large, and room is needed now.
        drop(pending.transaction);
        if pending.full {
            self.applied.clear();
            self.ledger = Ledger::default();
            self.summary = Summary::default();
        }
        self.full = false;
        self.clients = Clients::default();
        self.dirty.clear();
        self.ledger.commit(pending.touched);
        self.chains = pending.chains;
        self.left_over = pending.left_over;
        self.service_cidrs = pending.service_cidrs;
        self.nodeport_ips = pending.nodeport_ips;
        for (name, plan) in pending.plans {
            let old = match plan {
                Some(plan) => {
                    self.summary.add(&name, &plan);
                    self.applied.insert(name.clone(), plan)
                }
                None => self.applied.remove(&name),
            };
            let health_stays = self
                .applied
                .get(&name)
                .is_some_and(|plan| plan.health.is_some());
            if let Some(old) = old {
                self.summary.subtract(&name, &old, health_stays);
            }
        }
    }

    /// The transaction was refused. The kernel still holds what it held; as it
    /// evidently is not what we thought, the next sync replaces it whole.
    pub fn fail(&mut self) {
        self.full = true;
    }

    fn prepare_full(&self, state: &State, pending: &mut Pending) {
        let mut names: Vec<&ObjectName> = state.names().collect();
        names.sort_unstable();
        let mut sets: BTreeMap<SetId, Vec<Element>> = BTreeMap::new();
        let empty = Ledger::default();
        let mut own = OwnObjects::default();
        let mut clients = Vec::new();
        for name in names {
            let Some(plan) = plan(&self.config, state, name, None) else {
                continue;
            };
            for (set, element) in plan.elements(name) {
                if pending.touched.add(&empty, &self.config, set, &element) {
                    sets.entry(set).or_default().push(element);
                }
            }
            own.change(&self.config, name, &BTreeSet::new(), None, Some(&plan));
            clients.extend(plan.clients(name, &self.clients));
            pending.plans.push((name.clone(), Some(plan)));
        }
        if !pending.nodeport_ips.is_empty() {
            let elements = pending
                .nodeport_ips
                .iter()
                .map(|ip| address_element(*ip))
                .collect();
            sets.insert(SetId::NodeportIps, elements);
        }
        pending.services = pending.plans.len();
        pending.chains = pending.touched.used_chains().collect();

        let ops = &mut pending.transaction.ops;
        ops.push(Op::ReplaceTable);
        ops.extend(base::sets(&self.config).into_iter().map(Op::AddSet));
        let fixed = base::chains(&self.config, &pending.service_cidrs);
        ops.extend(sorted_chains(&self.config, &pending.chains).map(Op::AddChain));
        ops.extend(fixed.into_iter().map(Op::AddChain));
        ops.extend(own.first());
        ops.extend(clients);
        ops.extend(
            sets.into_iter()
                .map(|(set, elements)| Op::AddElements(set, elements)),
        );
    }

    fn prepare_dirty(&self, state: &State, pending: &mut Pending) {
        let mut gone: BTreeMap<SetId, Vec<Element>> = BTreeMap::new();
        let mut come: BTreeMap<SetId, Vec<Element>> = BTreeMap::new();
        let mut own = OwnObjects::default();
        let mut names: Vec<&ObjectName> = self.dirty.iter().collect();
        names.sort_unstable();
        for name in names {
            let old = self.applied.get(name);
            let new = plan(&self.config, state, name, old);
            if old == new.as_ref() {
                continue;
            }
            own.change(&self.config, name, &self.left_over, old, new.as_ref());
            let (lost, gained) = changes(name, old, new.as_ref());
            for (set, element) in lost {
                if pending
                    .touched
                    .remove(&self.ledger, &self.config, set, &element)
                {
                    gone.entry(set).or_default().push(element);
                }
            }
            for (set, element) in gained {
                if pending
                    .touched
                    .add(&self.ledger, &self.config, set, &element)
                {
                    come.entry(set).or_default().push(element);
                }
            }
            pending.plans.push((name.clone(), new));
        }
        pending.services = pending.plans.len();
        pending.touched.cancel(&mut gone, &mut come);
        self.change_nodeport_ips(pending, &mut gone, &mut come);

        // A chain that lost its last user stays for one more sync: older
        // kernels refuse to delete it along with the elements that went there,
        // and counts that go back and forth find it again.
        let used = |chain: &ChainId| pending.touched.uses(&self.ledger, chain);
        let mut stale: Vec<ChainId> = self
            .chains
            .iter()
            .filter(|chain| !self.ledger.uses(chain) && !used(chain))
            .cloned()
            .collect();
        stale.sort_unstable_by_key(|chain| std::cmp::Reverse(depth(chain)));
        let fresh: HashSet<ChainId> = pending
            .touched
            .used_chains()
            .filter(|chain| !self.chains.contains(chain))
            .collect();
        pending.chains = self
            .chains
            .iter()
            .filter(|c| !stale.contains(c))
            .cloned()
            .collect();
        pending.chains.extend(fresh.iter().cloned());

        let ops = &mut pending.transaction.ops;
        ops.extend(sorted_chains(&self.config, &fresh).map(Op::AddChain));
        let filled = own.filled();
        ops.extend(own.first());
        if pending.service_cidrs != self.service_cidrs {
            ops.push(Op::RefillChain(base::check_cluster_ips(
                &pending.service_cidrs,
            )));
        }
        ops.extend(
            gone.into_iter()
                .map(|(set, elements)| Op::DeleteElements(set, elements)),
        );
        ops.extend(
            come.into_iter()
                .map(|(set, elements)| Op::AddElements(set, elements)),
        );
        ops.extend(stale.into_iter().map(Op::DeleteChain));
        pending.left_over = own.last(&self.left_over, &filled, ops);
    }

    fn change_nodeport_ips(
        &self,
        pending: &Pending,
        gone: &mut BTreeMap<SetId, Vec<Element>>,
        come: &mut BTreeMap<SetId, Vec<Element>>,
    ) {
        let without = |these: &[IpAddr], those: &[IpAddr]| -> Vec<Element> {
            let only = these.iter().filter(|ip| !those.contains(ip));
            only.map(|ip| address_element(*ip)).collect()
        };
        let lost = without(&self.nodeport_ips, &pending.nodeport_ips);
        let gained = without(&pending.nodeport_ips, &self.nodeport_ips);
        if !lost.is_empty() {
            gone.insert(SetId::NodeportIps, lost);
        }
        if !gained.is_empty() {
            come.insert(SetId::NodeportIps, gained);
        }
    }
}

impl Summary {
    fn add(&mut self, name: &ObjectName, plan: &ServicePlan) {
        self.no_local_internal += plan.no_local_internal;
        self.no_local_external += plan.no_local_external;
        if let Some(health) = plan.health {
            self.health.insert(name.clone(), health);
        }
    }

    fn subtract(&mut self, name: &ObjectName, plan: &ServicePlan, health_stays: bool) {
        self.no_local_internal -= plan.no_local_internal;
        self.no_local_external -= plan.no_local_external;
        if plan.health.is_some() && !health_stays {
            self.health.remove(name);
        }
    }
}

fn address_element(address: IpAddr) -> Element {
    Element {
        key: Key::Address(address),
        value: None,
        comment: None,
    }
}

/// Chains in an order in which each comes after those that it goes on to.
fn sorted_chains<'a>(
    config: &'a Config,
    chains: &HashSet<ChainId>,
) -> impl Iterator<Item = Chain> + 'a {
    let mut sorted: Vec<ChainId> = chains.iter().cloned().collect();
    sorted.sort_unstable_by(|a, b| (depth(a), a).cmp(&(depth(b), b)));
    sorted
        .into_iter()
        .filter_map(move |chain| base::shared_chain(config, &chain))
}

/// How far a shared chain is from a translation.
fn depth(chain: &ChainId) -> u8 {
    match chain {
        ChainId::Cluster { .. } | ChainId::Local { .. } => 0,
        ChainId::ExternalLocal { .. } => 1,
        ChainId::Fixed(_) | ChainId::Port(_) => 2,
    }
}

type SetElement = (SetId, Element);

/// The elements to delete and to add between two plans of a Service.
fn changes(
    name: &ObjectName,
    old: Option<&ServicePlan>,
    new: Option<&ServicePlan>,
) -> (Vec<SetElement>, Vec<SetElement>) {
    let old = old.map(|plan| plan.elements(name)).unwrap_or_default();
    let new = new.map(|plan| plan.elements(name)).unwrap_or_default();
    if old.is_empty() || new.is_empty() {
        return (old, new);
    }
    // A multiset difference: elements that Services share may stand more than
    // once in one Service's own list (two ports with the same endpoint).
    let mut balance: HashMap<(SetId, Key), Vec<SetElement>> = HashMap::with_capacity(old.len());
    for (set, element) in old {
        balance
            .entry((set, element.key))
            .or_default()
            .push((set, element));
    }
    let mut gained = Vec::new();
    for (set, element) in new {
        let same = balance.get_mut(&(set, element.key)).and_then(|list| {
            let at = list.iter().position(|(_, own)| *own == element)?;
            Some(list.swap_remove(at))
        });
        if same.is_none() {
            gained.push((set, element));
        }
    }
    let mut lost: Vec<SetElement> = balance.into_values().flatten().collect();
    lost.sort_unstable_by_key(|(set, element)| (*set, element.key));
    (lost, gained)
}

#[cfg(test)]
mod tests;
