//! Single steps of a transaction, and what the kernel asks of each.

use super::undo::Undo;
use super::{Clients, Referred, Set, Table};
use crate::Cause;
use crate::model::Family;
use crate::nft::ruleset::{
    AffinitySet, Chain, ChainId, Client, Counter, Element, Op, SetId, Statement, Value, Verdict,
};
use crate::nft::{Object, Refusal, print};

/// Why the kernel refuses a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errno {
    Missing,
    Exists,
    Busy,
    Full,
}

impl Errno {
    fn reason(self) -> &'static str {
        match self {
            Self::Missing => "No such file or directory (ENOENT)",
            Self::Exists => "File exists (EEXIST)",
            Self::Busy => "Device or resource busy (EBUSY)",
            Self::Full => "File table overflow (ENFILE)",
        }
    }

    fn cause(self) -> Cause {
        match self {
            Self::Full => Cause::SetFull,
            _ => Cause::TableDiffers,
        }
    }
}

impl Table {
    /// Does one step.
    pub(super) fn step(&mut self, family: Family, op: &Op, undo: &mut Undo) -> Result<(), Refusal> {
        let about = |attempted: String| {
            move |errno: Errno| Refusal {
                family,
                cause: errno.cause(),
                refused: object(op).into_iter().collect(),
                attempted,
                reason: errno.reason().to_owned(),
            }
        };
        match op {
            Op::ReplaceTable => {
                self.begin_anew(undo);
                Ok(())
            }
            Op::AddSet { set, size } => self
                .new_set(*set, *size, undo)
                .map_err(about(format!("add set {set}"))),
            Op::AddCounter(counter) => self
                .new_counter(*counter, undo)
                .map_err(about(format!("add counter {counter}"))),
            Op::AddAffinitySet(set) => self
                .new_affinity_set(set, undo)
                .map_err(about(format!("add set {set}"))),
            Op::AddClients(set, clients) => {
                let attempted = format!("add {} clients to set {set}", clients.len());
                self.add_clients(set, clients, undo)
                    .map_err(about(attempted))
            }
            Op::DeleteAffinitySet(set) => self
                .delete(Referred::Clients(set.clone()), undo)
                .map_err(about(format!("delete set {set}"))),
            Op::AddSourceSet(set) => {
                let there = self.parts.source_sets.contains(set);
                let added = self.may_add(there).map(|()| {
                    self.put_sources(set.clone(), true, undo);
                });
                added.map_err(about(format!("add set {set}")))
            }
            Op::DeleteSourceSet(set) => self
                .delete(Referred::Sources(set.clone()), undo)
                .map_err(about(format!("delete set {set}"))),
            Op::AddChain(chain) => self
                .add_chain(chain, undo)
                .map_err(about(format!("add chain {}", chain.id))),
            Op::RefillChain(chain) => self
                .refill_chain(chain, undo)
                .map_err(about(format!("refill chain {}", chain.id))),
            Op::DeleteChain(chain) => self
                .delete(Referred::Chain(chain.clone()), undo)
                .map_err(about(format!("delete chain {chain}"))),
            Op::DeleteElements(set, elements) => elements.iter().try_for_each(|element| {
                self.delete_element(*set, element, undo)
                    .map_err(|errno| of_element(family, "delete", *set, element, errno))
            }),
            Op::AddElements(..) | Op::AddElementsOf(..) => {
                let mut result = Ok(());
                op.for_each_element(|set, element| {
                    if result.is_ok() {
                        result = self
                            .add_element(set, element, undo)
                            .map_err(|errno| of_element(family, "add", set, element, errno));
                    }
                });
                result
            }
        }
    }

    fn may_add(&self, is_there: bool) -> Result<(), Errno> {
        match (self.there, is_there) {
            (false, _) => Err(Errno::Missing),
            (true, true) => Err(Errno::Exists),
            (true, false) => Ok(()),
        }
    }

    fn new_set(&mut self, id: SetId, size: Option<u32>, undo: &mut Undo) -> Result<(), Errno> {
        // The same one once more is no error.
        let there = self.parts.sets.contains_key(&id);
        self.may_add(false)?;
        if !there {
            let set = Set {
                size,
                ..Set::default()
            };
            self.add_set(id, set, undo);
        }
        Ok(())
    }

    fn new_counter(&mut self, counter: Counter, undo: &mut Undo) -> Result<(), Errno> {
        self.may_add(self.parts.counters.contains(&counter))?;
        self.add_counter(counter, undo);
        Ok(())
    }

    fn new_affinity_set(&mut self, set: &AffinitySet, undo: &mut Undo) -> Result<(), Errno> {
        self.may_add(self.parts.affinity_sets.contains_key(set))?;
        self.put_clients(set.clone(), Some(Clients::new()), undo);
        Ok(())
    }

    fn add_clients(
        &mut self,
        set: &AffinitySet,
        clients: &[Client],
        undo: &mut Undo,
    ) -> Result<(), Errno> {
        if !self.parts.affinity_sets.contains_key(set) {
            return Err(Errno::Missing);
        }
        let mut clients = clients.iter();
        let taken =
            clients.all(|client| self.add_client(set, client.address, client.remaining, undo));
        taken.then_some(()).ok_or(Errno::Exists)
    }

    /// Deletes what nothing refers to.
    fn delete(&mut self, what: Referred, undo: &mut Undo) -> Result<(), Errno> {
        let there = match &what {
            Referred::Chain(id) => self.parts.chains.contains_key(id),
            Referred::Clients(set) => self.parts.affinity_sets.contains_key(set),
            Referred::Sources(set) => self.parts.source_sets.contains(set),
        };
        if self.is_used(&what) {
            return Err(Errno::Busy);
        }
        if !there {
            return Err(Errno::Missing);
        }
        match what {
            Referred::Chain(id) => self.put_chain(id, None, undo),
            Referred::Clients(set) => self.put_clients(set, None, undo),
            Referred::Sources(set) => self.put_sources(set, false, undo),
        }
        Ok(())
    }

    fn add_chain(&mut self, chain: &Chain, undo: &mut Undo) -> Result<(), Errno> {
        self.may_add(self.parts.chains.contains_key(&chain.id))?;
        if !self.knows_all_of(chain) {
            return Err(Errno::Missing);
        }
        self.put_chain(chain.id.clone(), Some(chain.clone()), undo);
        Ok(())
    }

    /// All but a chain's rules stays what it was.
    fn refill_chain(&mut self, chain: &Chain, undo: &mut Undo) -> Result<(), Errno> {
        let known = self.parts.chains.get(&chain.id).ok_or(Errno::Missing)?;
        if !self.knows_all_of(chain) {
            return Err(Errno::Missing);
        }
        let chain = Chain {
            id: known.id.clone(),
            hook: known.hook,
            comment: known.comment,
            rules: chain.rules.clone(),
        };
        self.put_chain(chain.id.clone(), Some(chain), undo);
        Ok(())
    }

    fn delete_element(
        &mut self,
        set: SetId,
        element: &Element,
        undo: &mut Undo,
    ) -> Result<(), Errno> {
        if !self.elements(set).contains_key(&element.key) {
            return Err(Errno::Missing);
        }
        self.put_element(set, element.key, None, undo);
        Ok(())
    }

    fn add_element(&mut self, id: SetId, element: &Element, undo: &mut Undo) -> Result<(), Errno> {
        if let Some(Value::Verdict(Verdict::Goto(chain))) = &element.value
            && !self.parts.chains.contains_key(chain)
        {
            return Err(Errno::Missing);
        }
        let set = self.parts.sets.get(&id).ok_or(Errno::Missing)?;
        if set.elements.contains_key(&element.key) {
            return Err(Errno::Exists);
        }
        if set
            .size
            .is_some_and(|size| set.elements.len() >= size as usize)
        {
            return Err(Errno::Full);
        }
        self.put_element(id, element.key, Some(element.clone()), undo);
        Ok(())
    }

    fn knows_all_of(&self, chain: &Chain) -> bool {
        let mut statements = chain.rules.iter().flat_map(|rule| &rule.statements);
        statements.all(|statement| match statement {
            Statement::Verdict(Verdict::Goto(next) | Verdict::Jump(next)) => {
                self.parts.chains.contains_key(next)
            }
            Statement::InSet { set, .. }
            | Statement::CountIn { set, .. }
            | Statement::VerdictMap { map: set, .. }
            | Statement::Dnat { map: set, .. } => self.parts.sets.contains_key(set),
            Statement::InAffinity(set) | Statement::UpdateAffinity { set, .. } => {
                self.parts.affinity_sets.contains_key(set)
            }
            Statement::DnatListed { .. } => self.parts.sets.contains_key(&SetId::PortEndpoints),
            Statement::Count(counter) => self.parts.counters.contains(counter),
            Statement::NotFrom(set) => self.parts.source_sets.contains(set),
            _ => true,
        })
    }
}

fn of_element(family: Family, verb: &str, set: SetId, element: &Element, errno: Errno) -> Refusal {
    Refusal {
        family,
        cause: errno.cause(),
        refused: vec![Object::Element(set, element.key)],
        attempted: format!("{verb} element {} in {set}", print::element(element)),
        reason: errno.reason().to_owned(),
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
