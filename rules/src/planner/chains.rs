//! The order of shared chains.

use crate::base;
use crate::config::Config;
use crate::ruleset::{Chain, ChainId};
use std::collections::HashSet;

/// Chains in an order in which each comes after those that it goes on to.
pub(super) fn sorted_chains<'a>(
    config: &'a Config,
    chains: &HashSet<ChainId>,
) -> impl Iterator<Item = Chain> + 'a {
    let mut sorted: Vec<ChainId> = chains.iter().cloned().collect();
    sorted.sort_unstable_by(|a, b| (depth(a), a).cmp(&(depth(b), b)));
    sorted
        .into_iter()
        .filter_map(move |chain| base::shared_chain(config, &chain))
}

/// How far a shared chain is from a translation.
pub(super) fn depth(chain: &ChainId) -> u8 {
    match chain {
        ChainId::Cluster { .. } | ChainId::Local { .. } => 0,
        ChainId::ExternalLocal { .. } => 1,
        ChainId::Fixed(_) | ChainId::Port(_) => 2,
    }
}
