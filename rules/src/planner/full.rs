//! A sync that replaces the table.

use super::chains::sorted_chains;
use super::ledger::{Ledger, is_counted};
use super::own::OwnObjects;
use super::{Pending, Planner, address_element};
use crate::State;
use crate::base;
use crate::model::ObjectName;
use crate::plan::{PlannedServices, plan};
use crate::ruleset::{Op, SetId};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Planner {
    pub(super) fn prepare_full(&self, state: &State, pending: &mut Pending) {
        let mut names: Vec<&ObjectName> = state.names().collect();
        names.sort_unstable();
        let empty = Ledger::default();
        let mut own = OwnObjects::default();
        let mut clients = Vec::new();
        let mut planned = PlannedServices::default();
        for name in names {
            let Some(plan) = plan(&self.config, state, name, None) else {
                continue;
            };
            for (set, element) in plan.elements(name, is_counted) {
                let first = pending.touched.add(&empty, &self.config, set, &element);
                if !first {
                    planned.repeated.insert((set, element.key));
                }
            }
            own.change(&self.config, name, &BTreeSet::new(), None, Some(&plan));
            clients.extend(plan.clients(name, &self.clients));
            planned.services.push((name.clone(), Some(plan)));
        }
        let services = Arc::new(planned);
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
            ops.push(match set {
                SetId::NodeportIps => {
                    let addresses = pending.nodeport_ips.iter().copied();
                    Op::AddElements(set, addresses.map(address_element).collect())
                }
                _ => Op::AddElementsOf(set, services.clone()),
            });
        }
        pending.services = services;
    }
}
