//! A transaction as one run of netlink messages.

use super::clients;
use super::elements::{About, List};
use super::messages::Messages;
use super::objects;
use super::sources;
use nft_wire::{TooLong, Writer};
use rules::model::Family;
use rules::nft::ruleset::{Chain, Op, SetId, Transaction};
use std::ops::Range;

/// Messages between a begin and an end mark.
pub(super) struct Batch {
    messages: Messages,
    /// What each message is about.
    subjects: Vec<Subject>,
}

/// What a message is about.
pub(super) struct Subject {
    /// The transaction's step.
    pub(super) step: usize,
    /// Which of the step's elements of a set.
    pub(super) elements: Option<(SetId, Range<usize>)>,
}

impl Batch {
    /// Encodes a transaction as messages that are numbered from `begin` on; the last one asks
    /// for an acknowledgement, so that silence is no success. The kernel takes it at the given
    /// generation of the ruleset only, if there is one.
    pub(super) fn new(transaction: &Transaction, begin: u32, generation: Option<u32>) -> Self {
        let mut batch = Self {
            messages: Messages::new(begin, generation, room(transaction)),
            subjects: Vec::new(),
        };
        for (at, op) in transaction.ops.iter().enumerate() {
            batch.add(transaction.family, at, op);
        }
        batch.messages.end();
        batch
    }

    /// The messages.
    pub(super) fn messages(&self) -> &Messages {
        &self.messages
    }

    /// Lets the kernel take it at another generation, if it was made for one; 0 for any.
    pub(super) fn set_generation(&mut self, generation: u32) {
        self.messages.set_generation(generation);
    }

    /// The messages, if all could be written.
    pub(super) fn into_bytes(self) -> Result<Vec<u8>, TooLong> {
        self.messages.into_bytes()
    }

    /// What a message is about.
    pub(super) fn find(&self, sequence: u32) -> Option<&Subject> {
        self.subjects.get(self.messages.position(sequence)?)
    }

    /// Adds one step's messages.
    fn add(&mut self, family: Family, at: usize, op: &Op) {
        match op {
            Op::ReplaceTable => {
                self.message(at, |out, seq| objects::add_table(out, seq, family));
                self.message(at, |out, seq| objects::delete_table(out, seq, family));
                self.message(at, |out, seq| objects::add_table(out, seq, family));
            }
            Op::AddSet { set, size } => self.message(at, |out, seq| {
                objects::add_set(out, seq, family, *set, *size);
            }),
            Op::AddCounter(counter) => self.message(at, |out, seq| {
                objects::add_counter(out, seq, family, *counter);
            }),
            Op::AddAffinitySet(set) => self.message(at, |out, seq| {
                let set = objects::affinity_set(family, set);
                objects::add_own_set(out, seq, family, set);
            }),
            Op::DeleteAffinitySet(set) => self.message(at, |out, seq| {
                objects::delete_own_set(out, seq, family, &set.to_string());
            }),
            Op::AddSourceSet(set) => {
                self.message(at, |out, seq| {
                    let set = objects::source_set(family, &set.to_string());
                    objects::add_own_set(out, seq, family, set);
                });
                for some in set.ranges().chunks(sources::RANGES_PER_MESSAGE) {
                    self.message(at, |out, seq| {
                        sources::add_ranges(out, seq, family, set, some);
                    });
                }
            }
            Op::DeleteSourceSet(set) => self.message(at, |out, seq| {
                objects::delete_own_set(out, seq, family, &set.to_string());
            }),
            Op::AddClients(set, clients) => {
                for some in clients.chunks(clients::CLIENTS_PER_MESSAGE) {
                    self.message(at, |out, seq| clients::add(out, seq, family, set, some));
                }
            }
            Op::AddChain(chain) => {
                self.message(at, |out, seq| objects::add_chain(out, seq, family, chain));
                self.add_rules(family, at, chain);
            }
            Op::RefillChain(chain) => {
                self.message(at, |out, seq| {
                    objects::delete_rules(out, seq, family, &chain.id);
                });
                self.add_rules(family, at, chain);
            }
            Op::DeleteChain(chain) => self.message(at, |out, seq| {
                objects::delete_chain(out, seq, family, chain);
            }),
            Op::AddElements(..) | Op::AddElementsOf(..) | Op::DeleteElements(..) => {
                self.elements(at, family, op);
            }
        }
    }

    fn add_rules(&mut self, family: Family, at: usize, chain: &Chain) {
        for rule in &chain.rules {
            self.message(at, |out, seq| {
                objects::add_rule(out, seq, family, &chain.id, rule);
            });
        }
    }

    /// As many messages as the elements need, none for none. The elements of
    /// several sets may come in any order.
    fn elements(&mut self, step: usize, family: Family, op: &Op) {
        let add = !matches!(op, Op::DeleteElements(..));
        let mut lists = [const { None::<List> }; SetId::ALL.len()];
        op.for_each_element(|set, element| {
            let about = About { family, set, add };
            let list = lists[set as usize].get_or_insert_with(|| List::new(about));
            if list.is_full() {
                self.finish(step, set, list);
            }
            list.add(element);
        });
        for (set, list) in SetId::ALL.into_iter().zip(&mut lists) {
            if let Some(list) = list {
                self.finish(step, set, list);
            }
        }
    }

    fn finish(&mut self, step: usize, set: SetId, list: &mut List) {
        let subject = Subject {
            step,
            elements: Some((set, list.elements())),
        };
        self.message_about(subject, |out, sequence| list.finish(out, sequence));
    }

    /// Adds one message about a step.
    fn message(&mut self, step: usize, encode: impl FnOnce(&mut Writer, u32)) {
        let elements = None;
        self.message_about(Subject { step, elements }, encode);
    }

    fn message_about(&mut self, subject: Subject, encode: impl FnOnce(&mut Writer, u32)) {
        self.messages.add(encode);
        self.subjects.push(subject);
    }
}

/// Room for the Services of a first sync, so that megabytes are not copied again
/// and again, nor there twice, while the batch grows. What stays unused of it is
/// never touched, so it is no memory.
fn room(transaction: &Transaction) -> usize {
    const ELEMENT: usize = 96;
    let services = transaction.ops.iter().find_map(|op| match op {
        Op::AddElementsOf(services) => Some(services),
        _ => None,
    });
    services.map_or(0, |services| services.element_count() * ELEMENT)
}

#[cfg(test)]
mod tests;
