//! A transaction as one run of netlink messages.

use super::clients;
use super::elements::{About, List};
use super::objects;
use super::sources;
use super::subsystem;
use rules::model::Family;
use rules::nft::ruleset::{Chain, Op, SetId, Transaction};
use std::ops::Range;

/// Messages between a begin and an end mark.
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// The number of the first message after the begin mark.
    first: u32,
    next_sequence: u32,
    /// What each message is about, by sequence number from `first`.
    subjects: Vec<Subject>,
    /// The begin mark names a generation.
    has_generation: bool,
    /// Where the last message starts.
    last_start: usize,
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
            bytes: Vec::with_capacity(room(transaction)),
            first: begin + 1,
            next_sequence: begin + 1,
            subjects: Vec::new(),
            has_generation: generation.is_some(),
            last_start: 0,
        };
        match generation {
            Some(generation) => subsystem::begin_at(&mut batch.bytes, begin, generation),
            None => subsystem::begin(&mut batch.bytes, begin),
        }
        for (at, op) in transaction.ops.iter().enumerate() {
            batch.add(transaction.family, at, op);
        }
        acknowledge(&mut batch.bytes, batch.last_start);
        subsystem::end(&mut batch.bytes, batch.next_sequence);
        batch
    }

    /// Whether the kernel takes it at one generation of the ruleset only.
    pub(super) fn has_generation(&self) -> bool {
        self.has_generation
    }

    /// Lets the kernel take it at another generation, if it was made for one; 0 for any.
    pub(super) fn set_generation(&mut self, generation: u32) {
        /// Behind `struct nlmsghdr`, `struct nfgenmsg` and the attribute's header.
        const AT: usize = 24;
        if let Some(value) = self.bytes.get_mut(AT..AT + 4) {
            value.copy_from_slice(&generation.to_be_bytes());
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of the last message before the end mark.
    pub(super) fn last_sequence(&self) -> u32 {
        self.next_sequence - 1
    }

    /// The number of the end mark.
    pub(super) fn end_sequence(&self) -> u32 {
        self.next_sequence
    }

    /// What a message is about.
    pub(super) fn find(&self, sequence: u32) -> Option<&Subject> {
        let at = sequence.checked_sub(self.first)? as usize;
        self.subjects.get(at)
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
            Op::AddAffinitySet(set) => self.message(at, |out, seq| {
                objects::add_affinity_set(out, seq, family, set);
            }),
            Op::DeleteAffinitySet(set) => self.message(at, |out, seq| {
                objects::delete_own_set(out, seq, family, &set.to_string());
            }),
            Op::AddSourceSet(set) => {
                self.message(at, |out, seq| {
                    objects::add_source_set(out, seq, family, set);
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
    fn message(&mut self, step: usize, encode: impl FnOnce(&mut Vec<u8>, u32)) {
        let elements = None;
        self.message_about(Subject { step, elements }, encode);
    }

    fn message_about(&mut self, subject: Subject, encode: impl FnOnce(&mut Vec<u8>, u32)) {
        self.last_start = self.bytes.len();
        encode(&mut self.bytes, self.next_sequence);
        self.subjects.push(subject);
        self.next_sequence += 1;
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

/// Sets the acknowledgement flag of the message at an offset.
pub(super) fn acknowledge(bytes: &mut [u8], at: usize) {
    const FLAGS: usize = 6;
    #[expect(clippy::cast_possible_truncation, reason = "it is 4")]
    const ACK: u16 = libc::NLM_F_ACK as u16;
    if let Some(flags) = bytes.get_mut(at + FLAGS..at + FLAGS + 2) {
        let old = u16::from_ne_bytes([flags[0], flags[1]]);
        flags.copy_from_slice(&(old | ACK).to_ne_bytes());
    }
}

/// A request that changes nothing and needs the same rights.
pub(super) fn probe(sequence: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    subsystem::ask_generation(&mut bytes, sequence);
    acknowledge(&mut bytes, 0);
    bytes
}
