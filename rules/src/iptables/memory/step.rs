//! A transaction, step by step.

use super::{CANARIES, CANARY, Chains, Refusal, jumps};
use crate::Cause;
use crate::iptables::kernel::Object;
use crate::iptables::names::ChainName;
use crate::iptables::rule::{Rule, Table};
use crate::iptables::transaction::{Before, Step, Transaction};
use std::collections::BTreeSet;

/// A transaction that is under way.
pub(super) struct Run<'a> {
    /// What packets meet.
    chains: &'a mut Chains,
    poisoned: &'a BTreeSet<ChainName>,
    transaction: &'a Transaction,
    seen: &'a mut dyn FnMut(&Chains),
    /// What they meet once all is said that is taken at once.
    next: Option<Chains>,
    /// All chains that were filled.
    filled: BTreeSet<Object>,
    rules: usize,
    deletes: bool,
    result: Result<(), Refusal>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        chains: &'a mut Chains,
        poisoned: &'a BTreeSet<ChainName>,
        transaction: &'a Transaction,
        seen: &'a mut dyn FnMut(&Chains),
    ) -> Self {
        Self {
            chains,
            poisoned,
            transaction,
            seen,
            next: None,
            filled: BTreeSet::new(),
            rules: 0,
            deletes: false,
            result: Ok(()),
        }
    }

    pub(super) fn step(&mut self, step: Step<'_>) {
        if self.result.is_ok() {
            self.result = self.take(step);
        }
    }

    fn take(&mut self, step: Step<'_>) -> Result<(), Refusal> {
        match step {
            Step::Make { table, chain } if self.transaction.whole => {
                self.now().entry(Object { table, chain }).or_default();
            }
            Step::Make { table, chain } => {
                let object = Object { table, chain };
                return Err(self.refusal("make", object, Cause::Invalid, "not whole"));
            }
            Step::Fill {
                table,
                chain,
                before,
                rules,
            } => self.fill(Object { table, chain }, before, rules)?,
            Step::Together => self.next = Some(self.chains.clone()),
            Step::Delete { table, chain } => {
                self.together();
                self.deletes = true;
                self.delete(Object { table, chain })?;
            }
        }
        if self.next.is_none() {
            (self.seen)(self.chains);
        }
        Ok(())
    }

    /// The chains that steps are about now.
    fn now(&mut self) -> &mut Chains {
        self.next.as_mut().unwrap_or(self.chains)
    }

    fn fill(&mut self, object: Object, before: Before, rules: &[Rule]) -> Result<(), Refusal> {
        let there = self.now().contains_key(&object);
        let expected = match before {
            Before::Absent => !there || self.had_to_stay(object),
            Before::Present => there,
            Before::Unknown => self.transaction.whole,
        };
        if !expected {
            let why = if there {
                "File exists (EEXIST)"
            } else {
                "No such file or directory (ENOENT)"
            };
            return Err(self.refusal("fill", object, Cause::TableDiffers, why));
        }
        if self.deletes {
            return Err(self.refusal("fill", object, Cause::Invalid, "after a deletion"));
        }
        if self.poisoned.contains(&object.chain) {
            return Err(self.refusal("fill", object, Cause::Invalid, "Invalid argument (EINVAL)"));
        }
        for chain in rules.iter().filter_map(Rule::leads_to) {
            let to = Object { chain, ..object };
            if !self.now().contains_key(&to) {
                let why = format!("no chain {chain}");
                return Err(self.refusal("fill", object, Cause::TableDiffers, &why));
            }
        }
        self.now().insert(object, rules.to_vec());
        self.filled.insert(object);
        self.rules += rules.len();
        Ok(())
    }

    /// Who leads to a chain.
    fn leading_to(chains: &Chains, object: Object) -> impl Iterator<Item = Object> {
        let of_table = chains
            .iter()
            .filter(move |(own, _)| own.table == object.table);
        let leads = of_table
            .filter(move |(_, rules)| rules.iter().any(|own| own.leads_to() == Some(object.chain)));
        leads.map(|(own, _)| *own)
    }

    /// Whether a chain is there only as others lead to it.
    fn had_to_stay(&mut self, object: Object) -> bool {
        let chains = self.now();
        let empty = chains.get(&object).is_some_and(Vec::is_empty);
        empty && Self::leading_to(chains, object).any(|own| !is_ours(&own))
    }

    fn delete(&mut self, object: Object) -> Result<(), Refusal> {
        if self.chains.remove(&object).is_none() {
            let why = "No such file or directory (ENOENT)";
            return Err(self.refusal("delete", object, Cause::TableDiffers, why));
        }
        let (by_us, by_others): (Vec<_>, Vec<_>) =
            Self::leading_to(self.chains, object).partition(is_ours);
        if !by_us.is_empty() {
            let why = "Device or resource busy (EBUSY)";
            return Err(self.refusal("delete", object, Cause::TableDiffers, why));
        }
        if !by_others.is_empty() {
            self.chains.insert(object, Vec::new());
        }
        Ok(())
    }

    /// What is taken at once is said.
    fn together(&mut self) {
        let Some(mut chains) = self.next.take() else {
            return;
        };
        if self.transaction.restores_jumps {
            set_up(&mut chains);
        }
        *self.chains = chains;
        (self.seen)(self.chains);
    }

    /// How many rules were filled in.
    pub(super) fn end(mut self) -> Result<usize, Refusal> {
        self.result.clone()?;
        self.together();
        if self.transaction.whole {
            let filled = &self.filled;
            let stray = |own: &&Object| own.chain.is_of_service() && !filled.contains(*own);
            let mut strays: Vec<Object> = self.chains.keys().filter(stray).copied().collect();
            strays.sort_by_key(|own| std::cmp::Reverse(own.chain.height()));
            for stray in strays {
                self.delete(stray)?;
                (self.seen)(self.chains);
            }
        }
        Ok(self.rules)
    }

    fn refusal(&self, verb: &str, object: Object, cause: Cause, reason: &str) -> Refusal {
        Refusal {
            family: self.transaction.family,
            cause,
            refused: vec![object],
            attempted: format!(
                "{verb} chain {} of table {}",
                object.chain,
                object.table.name()
            ),
            reason: reason.to_owned(),
        }
    }
}

fn is_ours(own: &Object) -> bool {
    own.chain.as_str().starts_with("KUBE-")
}

/// What there is once, whatever the cluster holds.
fn set_up(chains: &mut Chains) {
    for table in CANARIES {
        let chain = CANARY;
        chains.entry(Object { table, chain }).or_default();
    }
    for jump in jumps() {
        let table: Table = jump.table;
        if let Some(chain) = jump.rule.leads_to() {
            chains.entry(Object { table, chain }).or_default();
        }
        let chain = jump.from;
        let rules = chains.entry(Object { table, chain }).or_default();
        if !rules.contains(&jump.rule) {
            rules.insert(0, jump.rule);
        }
    }
}
