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

use crate::agenda::Agenda;
use crate::config::{Config, NodeportAddresses};
use crate::health_checks::HealthChecks;
use crate::model::ObjectName;
use crate::nft::clients::Clients;
use crate::nft::ruleset::{ChainId, Element, Key, SetId, Transaction};
use crate::nft::service::{PlannedServices, Rows, ServiceObjects};
use crate::{HealthCheck, RememberedClients, State, Summary, View};
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
    applied: HashMap<ObjectName, ServiceObjects>,
    /// Who uses the elements and chains that Services share.
    ledger: Ledger,
    /// Shared chains in the table, used or not.
    chains: HashSet<ChainId>,
    /// Those of them that nothing in the table goes to.
    idle: HashSet<ChainId>,
    /// Chains of single Services that the last sync emptied.
    left_over: BTreeSet<ChainId>,
    service_cidrs: Vec<IpNet>,
    nodeport_ips: Vec<IpAddr>,
    agenda: Agenda,
    room: Room,
    rows: Rows,
    /// From how many elements on a set gets a size.
    large: usize,
    summary: Summary,
    health: HealthChecks,
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
    pub(super) services: Arc<PlannedServices>,
    touched: Touched,
    /// Shared chains that it adds.
    fresh: HashSet<ChainId>,
    /// Shared chains that it deletes, all of them idle.
    stale: HashSet<ChainId>,
    left_over: BTreeSet<ChainId>,
    service_cidrs: Vec<IpNet>,
    nodeport_ips: Vec<IpAddr>,
    room: Room,
    rows: Rows,
}

impl Planner {
    /// A planner whose first sync replaces whatever table there is.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            applied: HashMap::default(),
            ledger: Ledger::default(),
            chains: HashSet::new(),
            idle: HashSet::new(),
            left_over: BTreeSet::new(),
            service_cidrs: Vec::new(),
            nodeport_ips: Vec::new(),
            agenda: Agenda::new(),
            room: Room::default(),
            rows: Rows::new(),
            large: room::LARGE,
            summary: Summary::default(),
            health: HealthChecks::default(),
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
        if !same_rules || listed(&config) != listed(&self.config) {
            self.agenda.distrust();
        }
        self.config = config;
    }

    /// Figures over what is programmed.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What `healthCheckNodePort`s answer, by Service.
    pub fn health(&self) -> &BTreeMap<ObjectName, HealthCheck> {
        self.health.now()
    }

    /// Adds Services to plan at the next sync, unless that plans all of them. One that is left
    /// out and changes may be accepted now.
    pub fn mark<'a>(&mut self, services: impl IntoIterator<Item = &'a ObjectName>) {
        self.agenda.mark(services);
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
        if self.rows.is_used_up() {
            self.agenda.distrust();
        }
        let mut pending = self.nothing_yet(view.state, local_addresses);
        if !self.agenda.is_whole() {
            self.prepare_dirty(view, &mut pending);
            let outgrown = pending.room.too_small();
            if outgrown.is_some() {
                self.agenda.distrust();
                pending = self.nothing_yet(view.state, local_addresses);
                pending.outgrown = outgrown;
            }
        }
        if self.agenda.is_whole() {
            self.prepare_full(view, &Clients::new(clients()), &mut pending);
        }
        if pending.transaction.ops.is_empty() && pending.services.services.is_empty() {
            self.agenda.done();
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
            full: self.agenda.is_whole(),
            outgrown: None,
            services: Arc::default(),
            touched: Touched::default(),
            fresh: HashSet::new(),
            stale: HashSet::new(),
            left_over: BTreeSet::new(),
            service_cidrs: state.service_cidrs(family),
            nodeport_ips: nodeport.choose(family, local_addresses).unwrap_or_default(),
            room: self.room.clone(),
            rows: if self.agenda.is_whole() {
                Rows::new()
            } else {
                self.rows.clone()
            },
        }
    }

    /// The transaction is in the kernel. Costs what was planned.
    pub fn commit(&mut self, pending: Pending) {
        // It may be large, room is needed now, and it refers to the plans.
        drop(pending.transaction);
        let planned = Arc::unwrap_or_clone(pending.services);
        if pending.full {
            self.applied.clear();
            self.applied.reserve(planned.services.len());
            self.ledger = Ledger::default();
            self.chains.clear();
            self.idle.clear();
            self.summary = Summary::default();
        }
        self.agenda.done();
        for chain in &pending.stale {
            self.chains.remove(chain);
            self.idle.remove(chain);
        }
        self.chains.extend(pending.fresh);
        for chain in self.ledger.commit(pending.touched) {
            if !self.ledger.uses(&chain) && self.chains.contains(&chain) {
                self.idle.insert(chain);
            } else {
                self.idle.remove(&chain);
            }
        }
        self.left_over = pending.left_over;
        self.service_cidrs = pending.service_cidrs;
        self.nodeport_ips = pending.nodeport_ips;
        self.room = pending.room;
        self.rows = pending.rows;
        let checks = planned.services.iter().map(|(name, plan)| {
            let check = plan.as_ref().and_then(|plan| plan.health);
            (name, check)
        });
        self.health.planned(pending.full, checks);
        for (name, plan) in planned.services {
            let old = match plan {
                Some(plan) => {
                    self.summary.add(&plan);
                    self.applied.insert(name, plan)
                }
                None => self.applied.remove(&name),
            };
            if let Some(old) = old {
                self.summary.subtract(&old);
            }
        }
    }

    /// The health checks that changed since the last call; `None` where there is none any more.
    pub fn take_health_changes(&mut self) -> Vec<(ObjectName, Option<HealthCheck>)> {
        self.health.take_changes()
    }

    /// The table is not, or may not be, what the last sync left there: the next one replaces it
    /// whole.
    pub fn distrust(&mut self) {
        self.agenda.distrust();
    }

    /// Whether the next sync replaces the table.
    pub fn replaces(&self) -> bool {
        self.agenda.is_whole()
    }
}

impl Summary {
    fn add(&mut self, plan: &ServiceObjects) {
        self.no_local_internal += plan.no_local_internal;
        self.no_local_external += plan.no_local_external;
    }

    fn subtract(&mut self, plan: &ServiceObjects) {
        self.no_local_internal -= plan.no_local_internal;
        self.no_local_external -= plan.no_local_external;
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
