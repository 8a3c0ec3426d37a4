//! From dirty Services to a transaction, one planner per family.
//!
//! A planner remembers what each Service does, from which the rules that it has can be made again.
//! [`Planner::prepare`] plans the dirty Services anew, compares their chains, and yields a
//! transaction; [`Planner::commit`] tells that it was taken. A sync costs what changed, and all Services
//! only where the chains change that they share.

mod own;
mod partial;
mod planned;
mod shared;
mod whole;

use super::kernel::Object;
use super::port::{Build, LARGE};
use super::rule::{Rule, Table};
use super::top;
use super::transaction::Transaction;
use crate::agenda::Agenda;
use crate::health_checks::HealthChecks;
use crate::model::ObjectName;
use crate::plan::ServicePlan;
use crate::{Config, NodeportAddresses, RuleLines, Summary, View};
use planned::Planned;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// More rules of single Services' chains are not changed at once, as whoever else changes rules waits
/// for it: some 0.4 seconds. All chains are written then, which is done piece by piece.
const LARGEST_CHANGE: usize = 32_768;

/// Decides one family's chains.
#[derive(Debug)]
pub(super) struct Planner {
    config: Config,
    pub(super) agenda: Agenda,
    pub(super) health: HealthChecks,
    /// What each Service has in the tables.
    applied: BTreeMap<ObjectName, Applied>,
    /// How many rules there are in each chain that Services share.
    shared: BTreeMap<Object, usize>,
    /// How many there are in their own.
    own_rules: usize,
    /// How many endpoints they list.
    listed: usize,
    /// Upstream's large-cluster mode, as the last sync decided it.
    large: bool,
    /// It begins with more endpoints than this.
    large_beyond: usize,
    /// More rules than this are not changed at once.
    largest_change: usize,
    /// The rules that lead to node ports.
    node_ports: Vec<Rule>,
    /// What leads to the chains may be gone.
    jumps_are_lost: bool,
    summary: Summary,
}

/// What a Service's rules are made of.
#[derive(Debug)]
struct Applied {
    plan: ServicePlan,
    /// Its endpoints' rules carry no comments.
    large: bool,
}

/// A prepared sync.
#[derive(Debug)]
pub struct Pending {
    /// What to send to the kernel.
    pub transaction: Transaction,
    planned: Arc<Planned>,
    /// Why it is whole when a change was asked for.
    why_all: Option<String>,
    /// Whether a chain changes, or jumps are put back.
    is_for_the_kernel: bool,
    /// How many rules of single Services' chains there are fewer, if it is not whole.
    rules_gone: usize,
    /// How many rules upstream would have written into chains of single Services, if it is not whole.
    rules_written: usize,
    node_ports: Vec<Rule>,
}

impl Planner {
    /// A planner whose first sync says everything.
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            agenda: Agenda::new(),
            health: HealthChecks::default(),
            applied: BTreeMap::new(),
            shared: BTreeMap::new(),
            own_rules: 0,
            listed: 0,
            large: false,
            large_beyond: LARGE,
            largest_change: LARGEST_CHANGE,
            node_ports: Vec::new(),
            jumps_are_lost: false,
            summary: Summary::default(),
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Sets the settings for the next sync. Other node-port addresses are other rules in one chain; all
    /// else may change any.
    pub(super) fn configure(&mut self, config: Config) {
        let but_for_node_ports = |config: &Config| Config {
            nodeport_addresses: NodeportAddresses::All,
            ..config.clone()
        };
        if but_for_node_ports(&config) != but_for_node_ports(&self.config) {
            self.agenda.distrust();
        }
        self.config = config;
    }

    /// What leads to the chains may be gone: the next sync puts it back.
    pub(super) fn distrust_jumps(&mut self) {
        self.jumps_are_lost = true;
    }

    /// Plans what is marked; `None` if there is nothing to change.
    pub(super) fn prepare(
        &mut self,
        view: View<'_>,
        local_addresses: &[IpAddr],
    ) -> Option<Pending> {
        let node_ports = top::to_node_ports(&self.config, local_addresses);
        if self.agenda.is_whole() {
            return Some(self.prepare_whole(view, node_ports));
        }
        let pending = self.prepare_partial(view, &node_ports);
        let changed = pending.planned.own_rules();
        if changed > self.largest_change {
            // Also if this is refused: a part of it may be there.
            self.agenda.distrust();
            let mut pending = self.prepare_whole(view, node_ports);
            pending.why_all = Some(format!(
                "{changed} rules change, which is too much at once; writing all"
            ));
            return Some(pending);
        }
        if !pending.is_for_the_kernel && pending.planned.services.is_empty() {
            self.agenda.done();
            return None;
        }
        Some(pending)
    }

    /// What rules are built with where so many endpoints are listed.
    fn build(&self, listed: usize) -> Build<'_> {
        Build {
            config: &self.config,
            large: listed > self.large_beyond,
        }
    }

    fn transaction(&self, planned: &Arc<Planned>) -> Transaction {
        Transaction {
            family: self.config.family,
            whole: planned.whole,
            restores_jumps: planned.whole || self.jumps_are_lost,
            steps: planned.clone(),
        }
    }

    /// The transaction is in the kernel. Costs what was planned.
    pub(super) fn commit(&mut self, pending: Pending) {
        self.jumps_are_lost &= !pending.transaction.restores_jumps;
        // It refers to the plans.
        drop(pending.transaction);
        let planned = Arc::unwrap_or_clone(pending.planned);
        let whole = planned.whole;
        if whole {
            self.applied.clear();
            self.shared.clear();
            self.own_rules = 0;
            self.listed = 0;
            self.summary = Summary::default();
        }
        self.own_rules += planned.own_rules();
        self.own_rules -= pending.rules_gone;
        self.large = planned.large;
        self.node_ports = pending.node_ports;
        let sizes = planned.shared.iter();
        self.shared
            .extend(sizes.map(|(chain, rules)| (*chain, rules.len())));
        let checks = planned.services.iter().map(|service| {
            let check = service.plan.as_ref().and_then(|plan| plan.health);
            (&service.name, check)
        });
        self.health.planned(whole, checks);
        for service in planned.services {
            self.replace(service.name, service.plan, planned.large);
        }
        let written = if whole {
            self.own_rules
        } else {
            pending.rules_written
        };
        self.summary.lines = Some(self.lines(written));
        self.agenda.done();
    }

    fn replace(&mut self, name: ObjectName, plan: Option<ServicePlan>, large: bool) {
        if let Some(plan) = &plan {
            self.listed += plan.listed();
            self.summary.no_local_internal += plan.no_local_internal;
            self.summary.no_local_external += plan.no_local_external;
        }
        let old = match plan {
            Some(plan) => self.applied.insert(name, Applied { plan, large }),
            None => self.applied.remove(&name),
        };
        if let Some(Applied { plan, .. }) = old {
            self.listed -= plan.listed();
            self.summary.no_local_internal -= plan.no_local_internal;
            self.summary.no_local_external -= plan.no_local_external;
        }
    }

    /// The rules that there are; so many of single Services' chains were written.
    fn lines(&self, written: usize) -> RuleLines {
        let of = |table: Table| {
            let chains = self.shared.iter().filter(|(own, _)| own.table == table);
            chains.map(|(_, count)| count).sum::<usize>()
        };
        RuleLines {
            filter: of(Table::Filter),
            nat: of(Table::Nat) + self.own_rules,
            nat_written: of(Table::Nat) + written,
        }
    }

    pub(super) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Upstream writes everything anew once an hour, but in large-cluster mode.
    pub(super) fn wants_periodic_replacement(&self) -> bool {
        !self.large
    }

    /// The Services that a prepared sync has these chains for; none for chains that all share.
    pub(super) fn owners(&self, pending: &Pending, objects: &[Object]) -> BTreeSet<ObjectName> {
        let refused: BTreeSet<_> = objects.iter().map(|own| own.chain).collect();
        if !refused.iter().any(|chain| chain.is_of_service()) {
            return BTreeSet::new();
        }
        let planned = &pending.planned;
        let has_one = |service: &&planned::PlannedService| {
            let chains = planned.own_chains(service);
            chains.iter().any(|(chain, _)| refused.contains(chain))
        };
        let owners = planned.services.iter().filter(has_one);
        owners.map(|service| service.name.clone()).collect()
    }
}

impl crate::Pending for Pending {
    fn replaces_all(&self) -> bool {
        self.planned.whole
    }

    fn restores_jumps(&self) -> bool {
        self.transaction.restores_jumps
    }

    fn is_for_the_kernel(&self) -> bool {
        self.is_for_the_kernel
    }

    fn why_all(&self) -> Option<String> {
        self.why_all.clone()
    }

    fn service_count(&self) -> usize {
        self.planned.services.len()
    }

    fn services(&self) -> impl Iterator<Item = &ObjectName> {
        let planned = self.planned.services.iter();
        planned.filter_map(|service| service.plan.as_ref().map(|_| &service.name))
    }
}

impl Applied {
    /// What its rules are built with.
    fn build<'a>(&self, config: &'a Config) -> Build<'a> {
        Build {
            config,
            large: self.large,
        }
    }
}

#[cfg(test)]
mod tests;
