//! A sync that replaces the table.

use super::chains::sorted_chains;
use super::ledger::Ledger;
use super::own::OwnObjects;
use super::{Pending, Planner, address_element};
use crate::State;
use crate::base;
use crate::model::ObjectName;
use crate::plan::plan;
use crate::ruleset::{Element, Op, SetId};
use std::collections::{BTreeMap, BTreeSet};

impl Planner {
    pub(super) fn prepare_full(&self, state: &State, pending: &mut Pending) {
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
}
