//! From dirty Services to a transaction, one planner per family.
//!
//! A planner remembers what was applied. [`Planner::prepare`] plans the dirty
//! Services anew, diffs each against what it has in the table, and yields a
//! transaction; [`Planner::commit`] or [`Planner::fail`] tells how it went. A
//! sync costs what changed, whatever else the table holds.

mod chains;
mod dirty;
mod full;
mod ledger;
mod left_out;
mod own;
mod room;

use crate::config::{Config, NodeportAddresses};
use crate::model::ObjectName;
use crate::nft::clients::{Clients, RememberedClients};
use crate::nft::ruleset::{ChainId, Element, Key, SetId, Transaction};
use crate::plan::{PlannedServices, Rows, ServicePlan};
use crate::{State, View};
use foldhash::HashMap;
use ipnet::IpNet;
use ledger::{Ledger, Touched};
use room::Room;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

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
    /// Services that are planned as if they were not there.
    left_out: BTreeSet<ObjectName>,
    /// The next sync replaces the whole table.
    full: bool,
    room: Room,
    rows: Rows,
    /// From how many elements on a set gets a size.
    large: usize,
    summary: Summary,
    /// Services whose health checks may be others than they were told to be last.
    health_changed: BTreeSet<ObjectName>,
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

/// What is answered on a Service's `healthCheckNodePort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The port.
    pub port: u16,
    /// Distinct addresses of ready endpoints on this node.
    pub local_endpoints: usize,
}

/// A prepared sync.
#[derive(Debug)]
pub struct Pending {
    /// What to send to the kernel.
    pub transaction: Transaction,
    /// Whether it replaces the whole table.
    pub full: bool,
    /// The set, with its size, for which that had to be: it would have had
    /// more elements.
    pub outgrown: Option<(SetId, u32)>,
    /// What was planned anew.
    services: Arc<PlannedServices>,
    touched: Touched,
    chains: HashSet<ChainId>,
    left_over: BTreeSet<ChainId>,
    service_cidrs: Vec<IpNet>,
    nodeport_ips: Vec<IpAddr>,
    room: Room,
    rows: Rows,
}

impl Pending {
    /// How many Services were planned.
    pub fn service_count(&self) -> usize {
        self.services.services.len()
    }
}

impl Planner {
    /// A planner whose first sync replaces whatever table there is.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            applied: HashMap::default(),
            ledger: Ledger::default(),
            chains: HashSet::new(),
            left_over: BTreeSet::new(),
            service_cidrs: Vec::new(),
            nodeport_ips: Vec::new(),
            dirty: HashSet::new(),
            left_out: BTreeSet::new(),
            full: true,
            room: Room::default(),
            rows: Rows::new(),
            large: room::LARGE,
            summary: Summary::default(),
            health_changed: BTreeSet::new(),
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

    /// Figures over what is programmed.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Adds Services to plan at the next sync, unless that plans all of them. One that is left
    /// out and changes may be accepted now.
    pub fn mark<'a>(&mut self, services: impl IntoIterator<Item = &'a ObjectName>) {
        if self.full && self.left_out.is_empty() {
            return;
        }
        for name in services {
            self.left_out.remove(name);
            if !self.full {
                self.dirty.insert(name.clone());
            }
        }
    }

    /// [`prepare_seen`](Self::prepare_seen) by this node.
    pub fn prepare(
        &mut self,
        state: &State,
        local_addresses: &[IpAddr],
        clients: impl FnOnce() -> RememberedClients,
    ) -> Option<Pending> {
        self.prepare_seen(state.view(), local_addresses, clients)
    }

    /// Plans what is dirty. `local_addresses` are the node's interface
    /// addresses; `clients` lists those that the table remembers, and is asked
    /// only if that is going to be replaced. `None` means that there is nothing
    /// to change.
    pub fn prepare_seen(
        &mut self,
        view: View<'_>,
        local_addresses: &[IpAddr],
        clients: impl FnOnce() -> RememberedClients,
    ) -> Option<Pending> {
        self.full |= self.rows.is_used_up();
        let mut pending = self.nothing_yet(view.state, local_addresses);
        if !self.full {
            self.prepare_dirty(view, &mut pending);
            let outgrown = pending.room.too_small();
            if outgrown.is_some() {
                self.full = true;
                pending = self.nothing_yet(view.state, local_addresses);
                pending.outgrown = outgrown;
            }
        }
        if self.full {
            self.prepare_full(view, &Clients::new(clients()), &mut pending);
        }
        if pending.transaction.ops.is_empty() && pending.services.services.is_empty() {
            self.dirty.clear();
            return None;
        }
        Some(pending)
    }

    /// A sync that does not do anything so far.
    fn nothing_yet(&self, state: &State, local_addresses: &[IpAddr]) -> Pending {
        let family = self.config.family;
        let nodeport = &self.config.nodeport_addresses;
        Pending {
            transaction: Transaction {
                family,
                ops: Vec::new(),
            },
            full: self.full,
            outgrown: None,
            services: Arc::default(),
            touched: Touched::default(),
            chains: HashSet::new(),
            left_over: BTreeSet::new(),
            service_cidrs: state.service_cidrs(family),
            nodeport_ips: nodeport.choose(family, local_addresses).unwrap_or_default(),
            room: self.room.clone(),
            rows: if self.full {
                Rows::new()
            } else {
                self.rows.clone()
            },
        }
    }

    /// The transaction is in the kernel.
    pub fn commit(&mut self, pending: Pending) {
        // It may be large, room is needed now, and it refers to the plans.
        drop(pending.transaction);
        let planned = Arc::unwrap_or_clone(pending.services);
        if pending.full {
            self.applied.clear();
            self.applied.reserve(planned.services.len());
            self.ledger = Ledger::default();
            let before = std::mem::take(&mut self.summary);
            self.health_changed.extend(before.health.into_keys());
        }
        self.full = false;
        self.dirty.clear();
        self.ledger.commit(pending.touched);
        self.chains = pending.chains;
        self.left_over = pending.left_over;
        self.service_cidrs = pending.service_cidrs;
        self.nodeport_ips = pending.nodeport_ips;
        self.room = pending.room;
        self.rows = pending.rows;
        for (name, plan) in planned.services {
            let old = match plan {
                Some(plan) => {
                    self.summary.add(&name, &plan);
                    self.applied.insert(name.clone(), plan)
                }
                None => self.applied.remove(&name),
            };
            let health = self.applied.get(&name).and_then(|plan| plan.health);
            let health_stays = health.is_some();
            if health != old.as_ref().and_then(|plan| plan.health) {
                self.health_changed.insert(name.clone());
            }
            if let Some(old) = old {
                self.summary.subtract(&name, &old, health_stays);
            }
        }
    }

    /// What became of the health checks of Services since the last call: of those that changed,
    /// and of all when the table was replaced. `None` where there is none any more.
    pub fn take_health_changes(&mut self) -> Vec<(ObjectName, Option<HealthCheck>)> {
        let changed = std::mem::take(&mut self.health_changed).into_iter();
        let now = |name: &ObjectName| {
            let check = self.summary.health.get(name);
            check.map(|(port, local_endpoints)| HealthCheck {
                port: *port,
                local_endpoints: *local_endpoints,
            })
        };
        changed.map(|name| (name.clone(), now(&name))).collect()
    }

    /// The table is not, or may not be, what the last sync left there: the next one replaces it
    /// whole.
    pub fn distrust(&mut self) {
        self.full = true;
    }

    /// Whether the next sync replaces the table.
    pub fn replaces(&self) -> bool {
        self.full
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

#[cfg(test)]
mod tests;
