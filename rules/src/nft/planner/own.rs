//! Chains and sets that single Services have of their own: what changes among
//! them when a Service's plan does.

use crate::config::Config;
use crate::model::ObjectName;
use crate::nft::ruleset::{AffinitySet, Chain, ChainId, Op, PortChain, PortRole};
use crate::nft::service::ServiceObjects;
use std::collections::{BTreeMap, BTreeSet};

/// The changes of all Services in one sync.
#[derive(Debug, Default)]
pub(super) struct OwnObjects {
    new_sets: Vec<AffinitySet>,
    /// New ones and those with other rules, each after what it goes on to.
    chains: Vec<(Chain, How)>,
    /// Nothing goes there any more: emptied now, deleted by the next sync, as
    /// older kernels refuse to delete a chain along with the elements that
    /// went there.
    emptied: BTreeSet<ChainId>,
    /// Only rules went there, so these go at once.
    gone: Vec<ChainId>,
    gone_sets: Vec<AffinitySet>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Add,
    Refill,
}

impl OwnObjects {
    /// Notes the difference between two plans of a Service. `left_over` are
    /// the chains that the last sync emptied.
    pub(super) fn change(
        &mut self,
        config: &Config,
        name: &ObjectName,
        left_over: &BTreeSet<ChainId>,
        old: Option<&ServiceObjects>,
        new: Option<&ServiceObjects>,
    ) {
        let has_own =
            |plan: Option<&ServiceObjects>| plan.is_some_and(ServiceObjects::has_own_chains);
        if !has_own(old) && !has_own(new) {
            return;
        }
        let chains = |plan: Option<&ServiceObjects>| {
            plan.map(|plan| plan.chains(config, name))
                .unwrap_or_default()
        };
        let had = chains(old)
            .into_iter()
            .map(|chain| (chain.id.clone(), chain));
        let mut had: BTreeMap<ChainId, Chain> = had.collect();
        for chain in chains(new) {
            match had.remove(&chain.id) {
                Some(before) if before == chain => {}
                None if !left_over.contains(&chain.id) => self.chains.push((chain, How::Add)),
                _ => self.chains.push((chain, How::Refill)),
            }
        }
        for id in had.into_keys() {
            if is_endpoint(&id) {
                self.gone.push(id);
            } else {
                self.emptied.insert(id);
            }
        }
        let sets = |plan: Option<&ServiceObjects>| -> BTreeSet<AffinitySet> {
            let sets = plan.map(|plan| plan.affinity_sets(name));
            sets.unwrap_or_default().into_iter().collect()
        };
        let (had, wanted) = (sets(old), sets(new));
        self.new_sets.extend(wanted.difference(&had).cloned());
        self.gone_sets.extend(had.difference(&wanted).cloned());
    }

    /// The steps before elements may refer to the chains.
    pub(super) fn first(&mut self) -> Vec<Op> {
        let sets = self.new_sets.drain(..).map(Op::AddAffinitySet);
        let chains = self.chains.drain(..).map(|(chain, how)| match how {
            How::Add => Op::AddChain(chain),
            How::Refill => Op::RefillChain(chain),
        });
        sets.chain(chains).collect()
    }

    /// The steps after the last element has left. `left_over` loses what was
    /// used again, and is deleted; returns what is left over now.
    pub(super) fn last(
        mut self,
        left_over: &BTreeSet<ChainId>,
        used_again: &BTreeSet<ChainId>,
        ops: &mut Vec<Op>,
    ) -> BTreeSet<ChainId> {
        let empty = |id: &ChainId| {
            Op::RefillChain(Chain {
                id: id.clone(),
                hook: None,
                comment: "",
                rules: Vec::new(),
            })
        };
        ops.extend(self.emptied.iter().map(empty));
        let stale = left_over.difference(used_again).cloned();
        ops.extend(stale.chain(self.gone.drain(..)).map(Op::DeleteChain));
        ops.extend(self.gone_sets.drain(..).map(Op::DeleteAffinitySet));
        self.emptied
    }

    /// Which chains get rules.
    pub(super) fn filled(&self) -> BTreeSet<ChainId> {
        self.chains
            .iter()
            .map(|(chain, _)| chain.id.clone())
            .collect()
    }
}

fn is_endpoint(id: &ChainId) -> bool {
    matches!(
        id,
        ChainId::Port(PortChain {
            role: PortRole::Endpoint(_),
            ..
        })
    )
}
