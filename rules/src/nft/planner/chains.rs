//! The order of shared chains.

use crate::config::Config;
use crate::nft::base;
use crate::nft::ruleset::{ChainId, Op};
use std::cmp::Reverse;
use std::collections::HashSet;

/// The steps that add shared chains, in an order in which each comes after what
/// it refers to.
pub(super) fn add_chains(config: &Config, chains: &HashSet<ChainId>) -> Vec<Op> {
    let mut sorted: Vec<&ChainId> = chains.iter().collect();
    sorted.sort_unstable_by(|a, b| (depth(a), a).cmp(&(depth(b), b)));
    let add = |id: &ChainId| {
        let set = match id {
            ChainId::Sources(set) if set.is_set() => Some(Op::AddSourceSet(set.clone())),
            _ => None,
        };
        let chain = base::shared_chain(config, id).map(Op::AddChain);
        set.into_iter().chain(chain)
    };
    sorted.into_iter().flat_map(add).collect()
}

/// The steps that delete shared chains that nobody goes to any more, each
/// before what it refers to.
pub(super) fn delete_chains(mut chains: Vec<ChainId>) -> Vec<Op> {
    chains.sort_unstable_by_key(|chain| Reverse(depth(chain)));
    let delete = |id: ChainId| {
        let set = match &id {
            ChainId::Sources(set) if set.is_set() => Some(Op::DeleteSourceSet(set.clone())),
            _ => None,
        };
        [Op::DeleteChain(id)].into_iter().chain(set)
    };
    chains.into_iter().flat_map(delete).collect()
}

/// How far a shared chain is from a translation.
fn depth(chain: &ChainId) -> u8 {
    match chain {
        ChainId::Cluster { .. } | ChainId::Local { .. } | ChainId::Sources(_) => 0,
        ChainId::ExternalLocal { .. } => 1,
        ChainId::Fixed(_) | ChainId::Port(_) => 2,
    }
}
