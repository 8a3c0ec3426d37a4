//! What one family's tables hold.

use super::names::ChainName;
use super::rule::{Match, Rule};
use crate::model::Family;
use std::collections::{BTreeMap, BTreeSet};

/// One family's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    /// The family.
    pub family: Family,
    /// Table `filter`.
    pub filter: Content,
    /// Table `nat`.
    pub nat: Content,
}

/// What one table has of ours, in the order in which upstream writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The chains, each once. Those without a rule are there as well.
    pub chains: Vec<ChainName>,
    /// The rules, each with its chain.
    pub rules: Vec<(ChainName, Rule)>,
}

impl Ruleset {
    pub(super) fn new(family: Family) -> Self {
        Self {
            family,
            filter: Content::default(),
            nat: Content::default(),
        }
    }

    /// The names of the kernel's counters that rules count in. Without them the rules are refused.
    pub fn counters(&self) -> BTreeSet<&'static str> {
        let rules = self.filter.rules.iter().chain(&self.nat.rules);
        let matches = rules.flat_map(|(_, rule)| &rule.matches);
        let counted = matches.filter_map(|own| match own {
            Match::Count(name) => Some(*name),
            _ => None,
        });
        counted.collect()
    }
}

impl Content {
    pub(super) fn add(&mut self, chain: ChainName, rule: Rule) {
        self.rules.push((chain, rule));
    }

    /// The rules of each chain.
    pub fn by_chain(&self) -> BTreeMap<ChainName, Vec<&Rule>> {
        let mut chains: BTreeMap<_, Vec<_>> =
            self.chains.iter().map(|name| (*name, Vec::new())).collect();
        for (name, rule) in &self.rules {
            chains.entry(*name).or_default().push(rule);
        }
        chains
    }
}
