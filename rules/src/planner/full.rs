//! A sync that replaces the table.

use super::chains::sorted_chains;
use super::ledger::{Ledger, is_counted, is_shared};
use super::own::OwnObjects;
use super::{Pending, Planner, address_element};
use crate::State;
use crate::base;
use crate::model::ObjectName;
use crate::plan::{PlannedServices, plan};
use crate::ruleset::{Element, Op, SetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Planner {
    pub(super) fn prepare_full(&self, state: &State, pending: &mut Pending) {
        let mut names: Vec<&ObjectName> = state.names().collect();
        names.sort_unstable();
        let mut shared: BTreeMap<SetId, Vec<Element>> = BTreeMap::new();
        let empty = Ledger::default();
        let mut own = OwnObjects::default();
        let mut clients = Vec::new();
        let mut services = Vec::new();
        for name in names {
            let Some(plan) = plan(&self.config, state, name, None) else {
                continue;
            };
            for (set, element) in plan.elements(name, is_counted) {
                let first = pending.touched.add(&empty, &self.config, set, &element);
                if first && is_shared(set) {
                    shared.entry(set).or_default().push(element);
                }
            }
            own.change(&self.config, name, &BTreeSet::new(), None, Some(&plan));
            clients.extend(plan.clients(name, &self.clients));
            services.push((name.clone(), Some(plan)));
        }
        let services = Arc::new(PlannedServices { services });
        if !pending.nodeport_ips.is_empty() {
            let elements = pending
                .nodeport_ips
                .iter()
                .map(|ip| address_element(*ip))
                .collect();
            shared.insert(SetId::NodeportIps, elements);
        }
        pending.chains = pending.touched.used_chains().collect();

        let ops = &mut pending.transaction.ops;
        ops.push(Op::ReplaceTable);
        ops.extend(base::sets(&self.config).into_iter().map(Op::AddSet));
        let fixed = base::chains(&self.config, &pending.service_cidrs);
        ops.extend(sorted_chains(&self.config, &pending.chains).map(Op::AddChain));
        ops.extend(fixed.into_iter().map(Op::AddChain));
        ops.extend(own.first());
        ops.extend(clients);
        for set in SetId::ALL {
            match shared.remove(&set) {
                Some(elements) => ops.push(Op::AddElements(set, elements)),
                None if is_shared(set) => {}
                None => ops.push(Op::AddElementsOf(set, services.clone())),
            }
        }
        pending.services = services;
    }
}
