//! A kernel for tests that refuses what the real one refuses.

mod poisoned;

pub use poisoned::Poisoned;

use crate::Cause;
use crate::RememberedClients;
use crate::model::Family;
use crate::nft::print;
use crate::nft::ruleset::{
    AffinitySet, Chain, ChainId, Element, Key, Op, SetId, SourceSet, Statement, Transaction, Value,
    Verdict,
};
use crate::nft::{Kernel, Object, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const MISSING: &str = "No such file or directory (ENOENT)";
const EXISTS: &str = "File exists (EEXIST)";
const BUSY: &str = "Device or resource busy (EBUSY)";
const FULL: &str = "File table overflow (ENFILE)";

/// One family's table as plain maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Sets with their elements.
    pub sets: BTreeMap<SetId, BTreeMap<Key, Element>>,
    /// How many elements sets may have, those that have a limit.
    pub sizes: BTreeMap<SetId, u32>,
    /// Sets of clients, each with how long it is remembered, in milliseconds.
    /// The rules that fill them do not run here.
    pub affinity_sets: BTreeMap<AffinitySet, BTreeMap<IpAddr, u64>>,
    /// Sets of sources.
    pub source_sets: BTreeSet<SourceSet>,
    /// Chains with their rules.
    pub chains: BTreeMap<ChainId, Chain>,
    /// How many transactions it took.
    pub applied: usize,
    /// Whether there is a table.
    table: bool,
}

impl Table {
    /// No table yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn step(&mut self, family: Family, op: &Op) -> Result<(), Refusal> {
        let refuse = |attempted: String, reason: &str| Refusal {
            family,
            cause: match reason {
                FULL => Cause::SetFull,
                _ => Cause::TableDiffers,
            },
            refused: object(op).into_iter().collect(),
            attempted,
            reason: reason.to_owned(),
        };
        let refuse_element = |verb, set: SetId, element: &Element, reason: &str| Refusal {
            refused: vec![Object::Element(set, element.key)],
            ..refuse(
                format!("{verb} element {} in {set}", print::element(element)),
                reason,
            )
        };
        match op {
            Op::ReplaceTable => {
                self.table = true;
                self.sets.clear();
                self.sizes.clear();
                self.affinity_sets.clear();
                self.source_sets.clear();
                self.chains.clear();
            }
            Op::AddSet { set, size } => {
                if !self.table {
                    let attempted = format!("add set {set}");
                    return Err(refuse(attempted, MISSING));
                }
                if !self.sets.contains_key(set) {
                    self.sets.insert(*set, BTreeMap::new());
                    self.sizes.extend(size.map(|size| (*set, size)));
                }
            }
            Op::AddAffinitySet(set) => {
                if !self.table {
                    let attempted = format!("add set {set}");
                    return Err(refuse(attempted, MISSING));
                }
                if self.affinity_sets.contains_key(set) {
                    let attempted = format!("add set {set}");
                    return Err(refuse(attempted, EXISTS));
                }
                self.affinity_sets.insert(set.clone(), BTreeMap::new());
            }
            Op::AddClients(set, clients) => {
                let attempted = format!("add {} clients to set {set}", clients.len());
                let Some(own) = self.affinity_sets.get_mut(set) else {
                    return Err(refuse(attempted, MISSING));
                };
                for client in clients {
                    if own.insert(client.address, client.remaining).is_some() {
                        return Err(refuse(attempted, EXISTS));
                    }
                }
            }
            Op::DeleteAffinitySet(set) => {
                let attempted = format!("delete set {set}");
                if self.is_set_used(set) {
                    return Err(refuse(attempted, BUSY));
                }
                if self.affinity_sets.remove(set).is_none() {
                    return Err(refuse(attempted, MISSING));
                }
            }
            Op::AddSourceSet(set) => {
                let attempted = format!("add set {set}");
                if !self.table {
                    return Err(refuse(attempted, MISSING));
                }
                if !self.source_sets.insert(set.clone()) {
                    return Err(refuse(attempted, EXISTS));
                }
            }
            Op::DeleteSourceSet(set) => {
                let attempted = format!("delete set {set}");
                let is_it = |own: &Statement| matches!(own, Statement::NotFrom(own) if own == set);
                if self.statements().any(is_it) {
                    return Err(refuse(attempted, BUSY));
                }
                if !self.source_sets.remove(set) {
                    return Err(refuse(attempted, MISSING));
                }
            }
            Op::AddChain(chain) | Op::RefillChain(chain) => {
                let refill = matches!(op, Op::RefillChain(_));
                let verb = if refill { "refill" } else { "add" };
                let attempted = format!("{verb} chain {}", chain.id);
                let known = self.chains.contains_key(&chain.id);
                if !self.table || (refill && !known) {
                    return Err(refuse(attempted, MISSING));
                }
                if known && !refill {
                    return Err(refuse(attempted, EXISTS));
                }
                if !self.knows_all_of(chain) {
                    return Err(refuse(attempted, MISSING));
                }
                // All but its rules stays what it was.
                let chain = match self.chains.get(&chain.id) {
                    Some(known) => Chain {
                        rules: chain.rules.clone(),
                        ..known.clone()
                    },
                    None => chain.clone(),
                };
                self.chains.insert(chain.id.clone(), chain);
            }
            Op::DeleteChain(chain) => {
                let attempted = format!("delete chain {chain}");
                if self.is_used(chain) {
                    return Err(refuse(attempted, BUSY));
                }
                if self.chains.remove(chain).is_none() {
                    return Err(refuse(attempted, MISSING));
                }
            }
            Op::DeleteElements(set, elements) => {
                for element in elements {
                    let known = self.sets.get_mut(set);
                    if known.and_then(|own| own.remove(&element.key)).is_none() {
                        return Err(refuse_element("delete", *set, element, MISSING));
                    }
                }
            }
            Op::AddElements(..) | Op::AddElementsOf(..) => {
                for (set, element) in op.elements() {
                    let refuse = |reason| Err(refuse_element("add", set, &element, reason));
                    if let Some(Value::Verdict(Verdict::Goto(chain))) = &element.value
                        && !self.chains.contains_key(chain)
                    {
                        return refuse(MISSING);
                    }
                    let Some(own) = self.sets.get_mut(&set) else {
                        return refuse(MISSING);
                    };
                    if own.contains_key(&element.key) {
                        return refuse(EXISTS);
                    }
                    let is_full = |size: &u32| own.len() >= *size as usize;
                    if self.sizes.get(&set).is_some_and(is_full) {
                        return refuse(FULL);
                    }
                    own.insert(element.key, element);
                }
            }
        }
        Ok(())
    }

    fn knows_all_of(&self, chain: &Chain) -> bool {
        chain
            .rules
            .iter()
            .flat_map(|rule| &rule.statements)
            .all(|statement| match statement {
                Statement::Verdict(Verdict::Goto(next) | Verdict::Jump(next)) => {
                    self.chains.contains_key(next)
                }
                Statement::InSet { set, .. }
                | Statement::VerdictMap { map: set, .. }
                | Statement::Dnat { map: set, .. } => self.sets.contains_key(set),
                Statement::InAffinity(set) | Statement::UpdateAffinity { set, .. } => {
                    self.affinity_sets.contains_key(set)
                }
                Statement::DnatListed { .. } => self.sets.contains_key(&SetId::PortEndpoints),
                Statement::NotFrom(set) => self.source_sets.contains(set),
                _ => true,
            })
    }

    fn is_set_used(&self, set: &AffinitySet) -> bool {
        self.statements().any(|statement| {
            matches!(statement,
                Statement::InAffinity(own) | Statement::UpdateAffinity { set: own, .. } if own == set)
        })
    }

    fn statements(&self) -> impl Iterator<Item = &Statement> {
        let rules = self.chains.values().flat_map(|chain| &chain.rules);
        rules.flat_map(|rule| &rule.statements)
    }

    fn is_used(&self, chain: &ChainId) -> bool {
        let goes = |verdict: &Verdict| matches!(verdict, Verdict::Goto(next) | Verdict::Jump(next) if next == chain);
        let by_rule = self.chains.values().flat_map(|own| &own.rules).any(|rule| {
            rule.statements
                .iter()
                .any(|s| matches!(s, Statement::Verdict(v) if goes(v)))
        });
        let by_element = self.sets.values().flat_map(BTreeMap::values).any(
            |element| matches!(&element.value, Some(Value::Verdict(verdict)) if goes(verdict)),
        );
        by_rule || by_element
    }
}

impl Kernel for Table {
    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        let mut next = self.clone();
        for op in &transaction.ops {
            next.step(transaction.family, op)?;
        }
        next.applied += 1;
        *self = next;
        Ok(())
    }

    fn delete_table(&mut self, _: Family) -> std::io::Result<bool> {
        let there = self.table;
        let applied = self.applied;
        *self = Self {
            applied,
            ..Self::default()
        };
        Ok(there)
    }

    fn clients(&mut self, _: Family) -> std::io::Result<RememberedClients> {
        let mut clients = RememberedClients::default();
        for (set, own) in &self.affinity_sets {
            let own = own
                .iter()
                .map(|(address, remaining)| (*address, *remaining));
            clients.add_set(&set.to_string(), own);
        }
        Ok(clients)
    }
}

/// What a step is about, unless it is about elements.
fn object(op: &Op) -> Option<Object> {
    match op {
        Op::AddSourceSet(set) | Op::DeleteSourceSet(set) => {
            Some(Object::Chain(ChainId::Sources(set.clone())))
        }
        Op::AddChain(chain) | Op::RefillChain(chain) => Some(Object::Chain(chain.id.clone())),
        Op::DeleteChain(chain) => Some(Object::Chain(chain.clone())),
        Op::AddAffinitySet(set) | Op::AddClients(set, _) | Op::DeleteAffinitySet(set) => {
            Some(Object::Clients(set.clone()))
        }
        _ => None,
    }
}
