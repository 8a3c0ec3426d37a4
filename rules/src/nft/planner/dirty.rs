//! A sync of what changed.

use super::chains::{add_chains, delete_chains};
use super::own::OwnObjects;
use super::{Pending, Planner, address_element};
use crate::View;
use crate::model::ObjectName;
use crate::nft::base;
use crate::nft::ruleset::{ChainId, Element, Key, Op, SetId};
use crate::nft::service::{PlannedServices, ServiceObjects};
use crate::plan;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

impl Planner {
    pub(super) fn prepare_dirty(&self, view: View<'_>, pending: &mut Pending) {
        let mut gone: BTreeMap<SetId, Vec<Element>> = BTreeMap::new();
        let mut come: BTreeMap<SetId, Vec<Element>> = BTreeMap::new();
        let mut own = OwnObjects::default();
        let mut services = Vec::new();
        for name in self.agenda.dirty() {
            let old = self.applied.get(name);
            let entry = view.state.entry(name);
            let entry = entry.filter(|_| !self.agenda.left_out().contains(name));
            let new = entry.and_then(|entry| plan::of_entry(&self.config, view, entry));
            let new = new.map(|plan| ServiceObjects::new(plan, old, &pending.rows));
            if old == new.as_ref() {
                continue;
            }
            own.change(&self.config, name, &self.left_over, old, new.as_ref());
            let (lost, gained) = changes(name, old, new.as_ref());
            for (set, element) in lost {
                if pending
                    .touched
                    .remove(&self.ledger, &self.config, set, &element)
                {
                    gone.entry(set).or_default().push(element);
                }
            }
            for (set, element) in gained {
                if pending
                    .touched
                    .add(&self.ledger, &self.config, set, &element)
                {
                    come.entry(set).or_default().push(element);
                }
            }
            services.push((name.clone(), new));
        }
        pending.services = Arc::new(PlannedServices {
            services,
            ..PlannedServices::default()
        });
        pending.touched.cancel(&mut gone, &mut come);
        self.change_nodeport_ips(pending, &mut gone, &mut come);
        pending.room.change(&gone, &come);

        // A chain that lost its last user stays for one more sync: older
        // kernels refuse to delete it along with the elements that went there,
        // and counts that go back and forth find it again.
        let used = |chain: &ChainId| pending.touched.uses(&self.ledger, chain);
        let stale: HashSet<ChainId> = self
            .idle
            .iter()
            .filter(|chain| !used(chain))
            .cloned()
            .collect();
        let fresh: HashSet<ChainId> = pending
            .touched
            .used_chains()
            .filter(|chain| !self.chains.contains(chain))
            .collect();

        let ops = &mut pending.transaction.ops;
        ops.extend(add_chains(&self.config, &fresh));
        let filled = own.filled();
        ops.extend(own.first());
        if pending.service_cidrs != self.service_cidrs {
            ops.push(Op::RefillChain(base::check_cluster_ips(
                &pending.service_cidrs,
            )));
        }
        ops.extend(
            gone.into_iter()
                .map(|(set, elements)| Op::DeleteElements(set, elements)),
        );
        ops.extend(
            come.into_iter()
                .map(|(set, elements)| Op::AddElements(set, elements)),
        );
        ops.extend(delete_chains(stale.iter().cloned().collect()));
        pending.left_over = own.last(&self.left_over, &filled, ops);
        pending.fresh = fresh;
        pending.stale = stale;
    }

    fn change_nodeport_ips(
        &self,
        pending: &Pending,
        gone: &mut BTreeMap<SetId, Vec<Element>>,
        come: &mut BTreeMap<SetId, Vec<Element>>,
    ) {
        let without = |these: &[IpAddr], those: &[IpAddr]| -> Vec<Element> {
            let only = these.iter().filter(|ip| !those.contains(ip));
            only.map(|ip| address_element(*ip)).collect()
        };
        let lost = without(&self.nodeport_ips, &pending.nodeport_ips);
        let gained = without(&pending.nodeport_ips, &self.nodeport_ips);
        if !lost.is_empty() {
            gone.insert(SetId::NodeportIps, lost);
        }
        if !gained.is_empty() {
            come.insert(SetId::NodeportIps, gained);
        }
    }
}

type SetElement = (SetId, Element);

/// The elements to delete and to add between two plans of a Service.
fn changes(
    name: &ObjectName,
    old: Option<&ServiceObjects>,
    new: Option<&ServiceObjects>,
) -> (Vec<SetElement>, Vec<SetElement>) {
    let old = old.map(|plan| plan.elements(name)).unwrap_or_default();
    let new = new.map(|plan| plan.elements(name)).unwrap_or_default();
    if old.is_empty() || new.is_empty() {
        return (old, new);
    }
    // A multiset difference: elements that Services share may stand more than
    // once in one Service's own list (two ports with the same endpoint).
    let mut balance: HashMap<(SetId, Key), Vec<SetElement>> = HashMap::with_capacity(old.len());
    for (set, element) in old {
        balance
            .entry((set, element.key))
            .or_default()
            .push((set, element));
    }
    let mut gained = Vec::new();
    for (set, element) in new {
        let same = balance.get_mut(&(set, element.key)).and_then(|list| {
            let at = list.iter().position(|(_, own)| *own == element)?;
            Some(list.swap_remove(at))
        });
        if same.is_none() {
            gained.push((set, element));
        }
    }
    let mut lost: Vec<SetElement> = balance.into_values().flatten().collect();
    lost.sort_unstable_by_key(|(set, element)| (*set, element.key));
    (lost, gained)
}
