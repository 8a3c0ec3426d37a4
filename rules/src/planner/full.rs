//! A sync that replaces the table.

use super::chains::sorted_chains;
use super::ledger::{Ledger, is_shared};
use super::own::OwnObjects;
use super::room::Room;
use super::{Pending, Planner, address_element};
use crate::State;
use crate::base;
use crate::clients::Clients;
use crate::plan::{Counts, PlannedServices, plan};
use crate::ruleset::{Op, SetId};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Planner {
    pub(super) fn prepare_full(&self, state: &State, remembered: &Clients, pending: &mut Pending) {
        let empty = Ledger::default();
        let mut own = OwnObjects::default();
        let mut clients = Vec::new();
        let mut planned = PlannedServices::default();
        let mut counts = Counts::default();
        counts.add(SetId::NodeportIps, pending.nodeport_ips.len());
        for (name, entry) in state.entries() {
            let Some(plan) = plan(&self.config, state, entry, None) else {
                continue;
            };
            plan.count(&mut counts);
            for chain in plan.shared_chains() {
                pending.touched.count_chain(&self.config, &chain, 1);
            }
            plan.for_each_element(name, &is_shared, &mut |set, element| {
                if !pending.touched.add_shared(&empty, set, element.key) {
                    planned.repeated.insert((set, element.key));
                    counts.remove(set, 1);
                }
            });
            own.change(&self.config, name, &BTreeSet::new(), None, Some(&plan));
            clients.extend(plan.clients(name, remembered));
            planned.services.push((name.clone(), Some(plan)));
        }
        planned.element_count = counts.total();
        let sets = SetId::ALL.into_iter();
        let filled: Vec<SetId> = sets.filter(|set| counts.of(*set) > 0).collect();
        pending.room = Room::new(counts, self.large);
        let services = Arc::new(planned);
        pending.chains = pending.touched.used_chains().collect();

        let ops = &mut pending.transaction.ops;
        ops.push(Op::ReplaceTable);
        ops.extend(base::sets(&self.config).into_iter().map(|set| Op::AddSet {
            set,
            size: pending.room.size(set),
        }));
        let fixed = base::chains(&self.config, &pending.service_cidrs);
        ops.extend(sorted_chains(&self.config, &pending.chains).map(Op::AddChain));
        ops.extend(fixed.into_iter().map(Op::AddChain));
        ops.extend(own.first());
        ops.extend(clients);
        for set in filled {
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
