//! A sync that replaces the table.

use super::chains::add_chains;
use super::ledger::Ledger;
use super::own::OwnObjects;
use super::room::Room;
use super::{Pending, Planner, address_element};
use crate::View;
use crate::nft::base;
use crate::nft::clients::Clients;
use crate::nft::ruleset::{Op, SetId};
use crate::nft::service::{Counts, PlannedServices, ServiceObjects};
use crate::plan;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Planner {
    pub(super) fn prepare_full(&self, view: View<'_>, remembered: &Clients, pending: &mut Pending) {
        let empty = Ledger::default();
        let mut own = OwnObjects::default();
        let mut clients = Vec::new();
        let mut planned = PlannedServices::default();
        let mut counts = Counts::default();
        counts.add(SetId::NodeportIps, pending.nodeport_ips.len());
        let entries = view.state.entries();
        planned.services.reserve(entries.len());
        for (name, entry) in entries {
            if self.agenda.left_out().contains(name) {
                continue;
            }
            let Some(plan) = plan::of_entry(&self.config, view, entry) else {
                continue;
            };
            let plan = ServiceObjects::new(plan, None, &pending.rows);
            plan.count(&mut counts);
            for chain in plan.shared_chains() {
                pending.touched.count_chain(&self.config, &chain, 1);
            }
            for (set, key) in plan.shared_keys() {
                if pending.touched.count_shared(&empty, set, key, 1) > 1 {
                    planned.repeated.insert((set, key));
                    counts.remove(set, 1);
                }
            }
            own.change(&self.config, name, &BTreeSet::new(), None, Some(&plan));
            clients.extend(plan.clients(name, remembered));
            planned.services.push((name.clone(), Some(plan)));
        }
        planned.element_count = counts.total();
        pending.room = Room::new(counts, self.large);
        let services = Arc::new(planned);
        pending.fresh = pending.touched.used_chains().collect();

        let ops = &mut pending.transaction.ops;
        ops.push(Op::ReplaceTable);
        ops.extend(base::counters(&self.config).map(Op::AddCounter));
        ops.extend(base::sets(&self.config).into_iter().map(|set| Op::AddSet {
            set,
            size: pending.room.size(set),
        }));
        let fixed = base::chains(&self.config, &pending.service_cidrs);
        ops.extend(add_chains(&self.config, &pending.fresh));
        ops.extend(fixed.into_iter().map(Op::AddChain));
        ops.extend(own.first());
        ops.extend(clients);
        if !pending.nodeport_ips.is_empty() {
            let addresses = pending.nodeport_ips.iter().copied();
            let elements = addresses.map(address_element).collect();
            ops.push(Op::AddElements(SetId::NodeportIps, elements));
        }
        ops.push(Op::AddElementsOf(services.clone()));
        pending.services = services;
    }
}
