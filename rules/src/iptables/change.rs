//! What has to be told to tables that hold one state, for them to hold another.

use super::content::{Content, Ruleset};
use super::names::ChainName;
use super::rule::Rule;

/// From one state of a family to another. Both tables change by it, or should: whoever applies it does
/// so in one transaction if he can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Table `filter`.
    pub filter: TableChange,
    /// Table `nat`.
    pub nat: TableChange,
}

/// What becomes of one table's chains, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableChange {
    /// Chains that are made, empty at first: rules of others may lead there.
    pub fresh: Vec<ChainName>,
    /// Chains whose rules are replaced by these, fresh ones among them.
    pub refilled: Vec<(ChainName, Vec<Rule>)>,
    /// Chains that are emptied and deleted. No rule leads there any more.
    pub gone: Vec<ChainName>,
}

impl Change {
    /// The least that is to be told, chain by chain. What both have alike is not touched, so that its
    /// counts go on.
    pub fn between(before: &Ruleset, after: &Ruleset) -> Self {
        Self {
            filter: TableChange::between(&before.filter, &after.filter),
            nat: TableChange::between(&before.nat, &after.nat),
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.filter.is_empty() && self.nat.is_empty()
    }
}

impl TableChange {
    fn between(before: &Content, after: &Content) -> Self {
        let (before, after) = (before.by_chain(), after.by_chain());
        let mut change = Self::default();
        for (name, rules) in &after {
            let known = before.get(name);
            if known.is_none() {
                change.fresh.push(*name);
            }
            if known.map_or(!rules.is_empty(), |known| known != rules) {
                let rules = rules.iter().map(|rule| (*rule).clone()).collect();
                change.refilled.push((*name, rules));
            }
        }
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        change.gone.extend(gone);
        change
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.refilled.is_empty() && self.gone.is_empty()
    }
}
