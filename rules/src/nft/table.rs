//! One family's table in memory. Takes transactions as the kernel does, and refuses what the
//! kernel refuses; is filled by them, or from what the kernel holds.

mod poisoned;
mod step;
mod undo;

pub use poisoned::Poisoned;

use super::ruleset::{
    AffinitySet, Chain, ChainId, Counter, Element, Key, SetId, SourceSet, Statement, Transaction,
    Value, Verdict,
};
use super::{Kernel, Refusal};
use crate::RememberedClients;
use crate::model::Family;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use undo::Undo;

/// A set or map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// How many elements it may have; `None` for any number.
    pub size: Option<u32>,
    /// Its elements.
    pub elements: BTreeMap<Key, Element>,
}

/// Clients of a set, each with how long it is remembered, in milliseconds.
pub type Clients = BTreeMap<IpAddr, u64>;

/// What a table holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Sets and maps.
    pub sets: BTreeMap<SetId, Set>,
    /// Counters. What they count is not part of what a table is.
    pub counters: BTreeSet<Counter>,
    /// Sets of clients. The rules that fill them do not run here.
    pub affinity_sets: BTreeMap<AffinitySet, Clients>,
    /// Sets of sources.
    pub source_sets: BTreeSet<SourceSet>,
    /// Chains with their rules.
    pub chains: BTreeMap<ChainId, Chain>,
}

/// Something that rules and elements refer to, and that cannot go before they do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Referred {
    Chain(ChainId),
    Clients(AffinitySet),
    Sources(SourceSet),
}

/// One family's table, or its absence.
#[derive(Clone, Debug, Default)]
pub struct Table {
    parts: Parts,
    /// How many rules' statements and elements refer to each object; none is not listed.
    uses: HashMap<Referred, usize>,
    /// Whether there is a table.
    there: bool,
    applied: usize,
}

/// What they hold, however it came about.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        (self.there, &self.parts) == (other.there, &other.parts)
    }
}

impl Eq for Table {}

impl Table {
    /// No table yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A table that holds this, without a look at whether a kernel would take it.
    pub fn from_parts(parts: Parts) -> Self {
        let mut table = Self {
            there: true,
            parts,
            ..Self::default()
        };
        let mut all = Vec::new();
        for chain in table.parts.chains.values() {
            all.extend(of_chain(chain));
        }
        for set in table.parts.sets.values() {
            all.extend(set.elements.values().filter_map(of_element));
        }
        for referred in all {
            *table.uses.entry(referred).or_default() += 1;
        }
        table
    }

    /// What somebody else does to it, who is not held up by what the kernel asks.
    pub fn edit(&mut self, edit: impl FnOnce(&mut Parts)) {
        let mut parts = std::mem::take(&mut self.parts);
        edit(&mut parts);
        let applied = self.applied;
        *self = Self::from_parts(parts);
        self.applied = applied;
    }

    /// What it holds.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Chains with their rules.
    pub fn chains(&self) -> &BTreeMap<ChainId, Chain> {
        &self.parts.chains
    }

    /// Sets of clients.
    pub fn affinity_sets(&self) -> &BTreeMap<AffinitySet, Clients> {
        &self.parts.affinity_sets
    }

    /// The sets and maps that there are, each with its elements.
    pub fn sets(&self) -> impl Iterator<Item = (SetId, &BTreeMap<Key, Element>)> {
        let sets = self.parts.sets.iter();
        sets.map(|(id, set)| (*id, &set.elements))
    }

    /// The elements of a set; none if there is no such set.
    pub fn elements(&self, set: SetId) -> &BTreeMap<Key, Element> {
        static NONE: BTreeMap<Key, Element> = BTreeMap::new();
        let set = self.parts.sets.get(&set);
        set.map_or(&NONE, |set| &set.elements)
    }

    /// How many transactions it took.
    pub fn applied(&self) -> usize {
        self.applied
    }

    fn is_used(&self, referred: &Referred) -> bool {
        self.uses.contains_key(referred)
    }

    fn count(&mut self, referred: Referred) {
        *self.uses.entry(referred).or_default() += 1;
    }

    fn uncount(&mut self, referred: &Referred) {
        match self.uses.get_mut(referred) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.uses.remove(referred)),
        }
    }
}

/// What a chain's rules refer to.
fn of_chain(chain: &Chain) -> impl Iterator<Item = Referred> {
    let statements = chain.rules.iter().flat_map(|rule| &rule.statements);
    statements.filter_map(|statement| match statement {
        Statement::Verdict(Verdict::Goto(next) | Verdict::Jump(next)) => {
            Some(Referred::Chain(next.clone()))
        }
        Statement::InAffinity(set) | Statement::UpdateAffinity { set, .. } => {
            Some(Referred::Clients(set.clone()))
        }
        Statement::NotFrom(set) => Some(Referred::Sources(set.clone())),
        _ => None,
    })
}

/// What an element refers to.
fn of_element(element: &Element) -> Option<Referred> {
    match &element.value {
        Some(Value::Verdict(Verdict::Goto(next) | Verdict::Jump(next))) => {
            Some(Referred::Chain(next.clone()))
        }
        _ => None,
    }
}

impl Kernel for Table {
    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        let mut undo = Undo::default();
        for op in &transaction.ops {
            if let Err(refusal) = self.step(transaction.family, op, &mut undo) {
                undo.undo(self);
                return Err(refusal);
            }
        }
        self.applied += 1;
        Ok(())
    }

    fn delete_table(&mut self, _: Family) -> io::Result<bool> {
        let there = self.there;
        let applied = self.applied;
        *self = Self {
            applied,
            ..Self::default()
        };
        Ok(there)
    }

    fn clients(&mut self, _: Family) -> io::Result<RememberedClients> {
        let mut clients = RememberedClients::default();
        for (set, known) in &self.parts.affinity_sets {
            let known = known.iter();
            let known = known.map(|(address, remaining)| (*address, *remaining));
            clients.add_set(&set.to_string(), known);
        }
        Ok(clients)
    }
}

#[cfg(test)]
mod tests;
