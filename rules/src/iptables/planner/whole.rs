//! A sync that says everything.

use super::planned::{Chains, Planned, PlannedService};
use super::{Pending, Planner, shared};
use crate::View;
use crate::iptables::rule::Rule;
use crate::plan;
use std::sync::Arc;

impl Planner {
    pub(super) fn prepare_whole(&self, view: View<'_>, node_ports: Vec<Rule>) -> Pending {
        let entries = view.state.entries();
        let entries = entries.filter(|(name, _)| !self.agenda.left_out().contains(*name));
        let services = entries.filter_map(|(name, entry)| {
            Some(PlannedService {
                name: name.clone(),
                plan: Some(plan::of_entry(&self.config, view, entry)?),
                chains: Chains::All,
            })
        });
        let mut services: Vec<_> = services.collect();
        services.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let plans = || services.iter().filter_map(PlannedService::named);
        let build = self.build(plans().map(|(_, plan)| plan.listed()).sum());
        let shared = shared::chains(build, plans(), &node_ports, |_| true);
        let planned = Arc::new(Planned::whole(build, services, shared));
        Pending {
            transaction: self.transaction(&planned),
            planned,
            why_all: None,
            is_for_the_kernel: true,
            rules_gone: 0,
            rules_written: 0,
            node_ports,
        }
    }
}
