//! A sync of what changed.

use super::own::{self, Difference};
use super::planned::{Chains, Planned, PlannedService};
use super::shared::{self, SharedChains};
use super::{Pending, Planner};
use crate::View;
use crate::iptables::kernel::Object;
use crate::iptables::port::Build;
use crate::iptables::rule::{Rule, Table};
use crate::iptables::top::SERVICES;
use crate::model::ObjectName;
use crate::plan::{self, ServicePlan};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the comparison of Services adds up to.
#[derive(Debug, Default)]
struct Sums {
    services: Vec<PlannedService>,
    /// Shared chains in which a Service has other rules.
    different: BTreeSet<Object>,
    /// Rules that chains lose by being refilled or deleted.
    gone: usize,
    /// Rules that chains are filled with.
    filled: usize,
    /// Rules of all chains of Services that were looked at.
    written: usize,
}

impl Planner {
    pub(super) fn prepare_partial(&self, view: View<'_>, node_ports: &[Rule]) -> Pending {
        let plans = self.plan_dirty(view);
        let build = self.build(self.listed_with(&plans));
        let mut sums = Sums::default();
        for (name, plan) in plans {
            self.compare(build, name, plan, &mut sums);
        }
        if node_ports != self.node_ports {
            sums.different.insert(Object {
                table: Table::Nat,
                chain: SERVICES,
            });
        }
        let shared = self.refilled(build, &sums, node_ports);
        let own = |service: &PlannedService| match &service.chains {
            Chains::Some(difference) => !difference.is_empty(),
            Chains::All => true,
        };
        let changes = !shared.is_empty() || sums.services.iter().any(own);
        let planned = Arc::new(Planned::partial(build, sums.services, shared, sums.filled));
        Pending {
            transaction: self.transaction(&planned),
            planned,
            why_all: None,
            is_for_the_kernel: changes || self.jumps_are_lost,
            rules_gone: sums.gone,
            rules_written: sums.written,
            node_ports: node_ports.to_vec(),
        }
    }

    /// In the order of their names.
    fn plan_dirty(&self, view: View<'_>) -> Vec<(ObjectName, Option<ServicePlan>)> {
        let plan = |name: &ObjectName| {
            let entry = view.state.entry(name);
            let entry = entry.filter(|_| !self.agenda.left_out().contains(name));
            entry.and_then(|entry| plan::of_entry(&self.config, view, entry))
        };
        let names = self.agenda.dirty().into_iter();
        names.map(|name| (name.clone(), plan(name))).collect()
    }

    /// How many endpoints all Services list once these are planned.
    fn listed_with(&self, plans: &[(ObjectName, Option<ServicePlan>)]) -> usize {
        plans.iter().fold(self.listed, |sum, (name, plan)| {
            let before = self.applied.get(name).map_or(0, |old| old.plan.listed());
            sum - before + plan.as_ref().map_or(0, ServicePlan::listed)
        })
    }

    /// What becomes of one Service.
    fn compare(
        &self,
        build: Build<'_>,
        name: ObjectName,
        plan: Option<ServicePlan>,
        sums: &mut Sums,
    ) {
        let old = self.applied.get(&name);
        let new_own = plan
            .as_ref()
            .map(|plan| own::chains(build, &name, plan))
            .unwrap_or_default();
        sums.written += own::count(&new_own);
        let same = match (old, &plan) {
            (None, None) => true,
            (Some(old), Some(new)) => old.large == build.large && old.plan == *new,
            _ => false,
        };
        if same {
            return;
        }
        let of_old = |old: &super::Applied| {
            let build = old.build(&self.config);
            let shared = shared::of_service(build, &name, &old.plan);
            (own::chains(build, &name, &old.plan), shared)
        };
        let (old_own, old_shared) = old.map(of_old).unwrap_or_default();
        let new_shared = plan
            .as_ref()
            .map(|plan| shared::of_service(build, &name, plan))
            .unwrap_or_default();
        let different = shared::different(&old_shared, &new_shared);
        sums.different.extend(different);
        let (difference, gone, filled) = Difference::between(old_own, &new_own);
        sums.gone += gone;
        sums.filled += filled;
        sums.services.push(PlannedService {
            name,
            plan,
            chains: Chains::Some(difference),
        });
    }

    /// The shared chains that differ, whole.
    fn refilled(&self, build: Build<'_>, sums: &Sums, node_ports: &[Rule]) -> SharedChains {
        if sums.different.is_empty() {
            return SharedChains::new();
        }
        let applied = self.applied.iter();
        let mut all: BTreeMap<&ObjectName, &ServicePlan> =
            applied.map(|(name, own)| (name, &own.plan)).collect();
        for service in &sums.services {
            match &service.plan {
                Some(plan) => all.insert(&service.name, plan),
                None => all.remove(&service.name),
            };
        }
        shared::chains(build, all, node_ports, |own| sums.different.contains(&own))
    }
}
