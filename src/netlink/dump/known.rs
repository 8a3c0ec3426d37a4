//! From the table's names back to what they stand for.

use ipnet::IpNet;
use rules::model::Family;
use rules::nft::names;
use rules::nft::ruleset::{ChainId, SourceSet};
use std::collections::BTreeMap;

/// What names in the table stand for.
pub(super) struct Names {
    pub(super) family: Family,
    /// Names of sources are digests, so these have to be read before who refers to them.
    pub(super) sources: BTreeMap<String, SourceSet>,
}

impl Names {
    pub(super) fn chain(&self, name: &str) -> Option<ChainId> {
        let sources = || self.sources.get(name).cloned().map(ChainId::Sources);
        names::chain(name, self.family).or_else(sources)
    }

    /// Sources that have this name.
    pub(super) fn learn(&mut self, name: &str, ranges: &[IpNet]) -> Option<SourceSet> {
        let set = SourceSet::new(ranges);
        if set.to_string() != name {
            return None;
        }
        self.sources.insert(name.to_owned(), set.clone());
        Some(set)
    }
}
