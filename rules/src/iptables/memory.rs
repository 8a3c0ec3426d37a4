//! Chains in memory, for tests: takes and refuses what the kernel does.

mod step;

use super::kernel::{Kernel, Object, Refusal};
use super::names::ChainName;
use super::rule::Rule;
use super::setup::{CANARIES, CANARY, jumps};
use super::transaction::{Step, Transaction};
use crate::Commit;
use crate::model::Family;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// The chains of one family, all tables.
pub type Chains = BTreeMap<Object, Vec<Rule>>;

/// The tables of both families. What may be taken piece by piece is: a whole transaction that is refused
/// leaves behind all that comes before its [`Step::Together`].
#[derive(Clone, Debug, Default)]
pub struct Memory {
    families: BTreeMap<Family, Chains>,
    /// Chains that it refuses to fill.
    pub poisoned: BTreeSet<ChainName>,
    /// How many transactions were sent, taken or not.
    pub sent: usize,
    /// How many rules were filled in.
    pub filled: usize,
    /// Where in the history the last one stands.
    pub commit: Commit,
}

impl Memory {
    /// Empty tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// A family's chains.
    pub fn chains(&self, family: Family) -> Chains {
        self.families.get(&family).cloned().unwrap_or_default()
    }

    /// Somebody else changes them.
    pub fn edit(&mut self, family: Family, change: impl FnOnce(&mut Chains)) {
        change(self.families.entry(family).or_default());
    }

    /// Applies a transaction, and shows the chains whenever packets may meet them.
    ///
    /// # Errors
    /// As [`Kernel::apply`].
    pub fn apply_watched(
        &mut self,
        transaction: &Transaction,
        seen: &mut dyn FnMut(&Chains),
    ) -> Result<(), Refusal> {
        self.sent += 1;
        let chains = self.families.entry(transaction.family).or_default();
        let before = (!transaction.whole).then(|| chains.clone());
        let mut run = step::Run::new(chains, &self.poisoned, transaction, seen);
        let steps = &transaction.steps;
        steps.for_each_step(&mut |step: Step<'_>| run.step(step));
        let result = run.end();
        if let (Err(_), Some(before)) = (&result, before) {
            *chains = before;
        }
        self.filled += result.as_ref().copied().unwrap_or_default();
        result.map(drop)
    }
}

impl Kernel for Memory {
    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        self.apply_watched(transaction, &mut |_| ())
    }

    fn would_take(&mut self, transaction: &Transaction) -> bool {
        self.clone().apply(transaction).is_ok()
    }

    fn clean_up(&mut self, family: Family) -> io::Result<bool> {
        let chains = self.families.entry(family).or_default();
        let ours: BTreeSet<ChainName> = jumps()
            .iter()
            .filter_map(|own| own.rule.leads_to())
            .chain(chains.keys().map(|own| own.chain))
            .filter(|own| own.as_str().starts_with("KUBE-") && *own != super::top::FIREWALL)
            .collect();
        let before = chains.len();
        for rules in chains.values_mut() {
            rules.retain(|rule| rule.leads_to().is_none_or(|to| !ours.contains(&to)));
        }
        chains.retain(|own, _| !ours.contains(&own.chain));
        Ok(chains.len() != before)
    }

    fn last_commit(&self) -> Commit {
        self.commit
    }
}

#[cfg(test)]
mod tests;
