//! Changes of a table, so that those of a transaction that is refused can be taken back.

use super::{Clients, Parts, Referred, Set, Table, of_chain, of_element};
use crate::nft::ruleset::{AffinitySet, Chain, ChainId, Counter, Element, Key, SetId, SourceSet};
use std::collections::HashMap;
use std::net::IpAddr;

/// What was there before each change, the last one last.
#[derive(Debug, Default)]
pub(super) struct Undo(Vec<Before>);

#[derive(Debug)]
enum Before {
    /// The whole table.
    Table(Box<(Parts, HashMap<Referred, usize>, bool)>),
    /// No such set.
    NoSet(SetId),
    /// No such counter.
    NoCounter(Counter),
    /// What was under a key.
    Element(SetId, Key, Option<Element>),
    Chain(ChainId, Option<Chain>),
    Clients(AffinitySet, Option<Clients>),
    /// No such client.
    NoClient(AffinitySet, IpAddr),
    /// Whether the set was there.
    Sources(SourceSet, bool),
}

impl Undo {
    /// Brings back what was there before the first change.
    pub(super) fn undo(self, table: &mut Table) {
        let mut forget = Self::default();
        for before in self.0.into_iter().rev() {
            match before {
                Before::Table(contents) => {
                    (table.parts, table.uses, table.there) = *contents;
                }
                Before::NoSet(set) => drop(table.parts.sets.remove(&set)),
                Before::NoCounter(counter) => {
                    table.parts.counters.remove(&counter);
                }
                Before::Element(set, key, element) => {
                    table.put_element(set, key, element, &mut forget);
                }
                Before::Chain(id, chain) => table.put_chain(id, chain, &mut forget),
                Before::Clients(set, clients) => table.put_clients(set, clients, &mut forget),
                Before::NoClient(set, address) => {
                    if let Some(clients) = table.parts.affinity_sets.get_mut(&set) {
                        clients.remove(&address);
                    }
                }
                Before::Sources(set, there) => table.put_sources(set, there, &mut forget),
            }
            // Its own changes are not to be kept.
            forget.0.clear();
        }
    }
}

impl Table {
    /// An empty table in the place of whatever there is.
    pub(super) fn begin_anew(&mut self, undo: &mut Undo) {
        let parts = std::mem::take(&mut self.parts);
        let uses = std::mem::take(&mut self.uses);
        let there = std::mem::replace(&mut self.there, true);
        undo.0.push(Before::Table(Box::new((parts, uses, there))));
    }

    /// A set that is not there so far.
    pub(super) fn add_set(&mut self, id: SetId, set: Set, undo: &mut Undo) {
        self.parts.sets.insert(id, set);
        undo.0.push(Before::NoSet(id));
    }

    /// A counter that is not there so far.
    pub(super) fn add_counter(&mut self, counter: Counter, undo: &mut Undo) {
        self.parts.counters.insert(counter);
        undo.0.push(Before::NoCounter(counter));
    }

    /// What is under a key of a set from now on; nothing where there is no such set.
    pub(super) fn put_element(
        &mut self,
        set: SetId,
        key: Key,
        element: Option<Element>,
        undo: &mut Undo,
    ) {
        let Some(elements) = self.parts.sets.get_mut(&set).map(|set| &mut set.elements) else {
            return;
        };
        let referred = element.as_ref().and_then(of_element);
        let before = match element {
            Some(element) => elements.insert(key, element),
            None => elements.remove(&key),
        };
        if let Some(referred) = before.as_ref().and_then(of_element) {
            self.uncount(&referred);
        }
        if let Some(referred) = referred {
            self.count(referred);
        }
        undo.0.push(Before::Element(set, key, before));
    }

    /// What is under a chain's name from now on.
    pub(super) fn put_chain(&mut self, id: ChainId, chain: Option<Chain>, undo: &mut Undo) {
        let referred: Vec<Referred> = chain.iter().flat_map(of_chain).collect();
        let before = match chain {
            Some(chain) => self.parts.chains.insert(id.clone(), chain),
            None => self.parts.chains.remove(&id),
        };
        for referred in before.iter().flat_map(of_chain) {
            self.uncount(&referred);
        }
        for referred in referred {
            self.count(referred);
        }
        undo.0.push(Before::Chain(id, before));
    }

    /// The clients of a set from now on; `None` for no such set.
    pub(super) fn put_clients(
        &mut self,
        set: AffinitySet,
        clients: Option<Clients>,
        undo: &mut Undo,
    ) {
        let before = match clients {
            Some(clients) => self.parts.affinity_sets.insert(set.clone(), clients),
            None => self.parts.affinity_sets.remove(&set),
        };
        undo.0.push(Before::Clients(set, before));
    }

    /// Adds a client to a set; false if there is no such set, or if it has that client.
    pub(super) fn add_client(
        &mut self,
        set: &AffinitySet,
        address: IpAddr,
        remaining: u64,
        undo: &mut Undo,
    ) -> bool {
        let clients = self.parts.affinity_sets.get_mut(set);
        let Some(clients) = clients.filter(|clients| !clients.contains_key(&address)) else {
            return false;
        };
        clients.insert(address, remaining);
        undo.0.push(Before::NoClient(set.clone(), address));
        true
    }

    /// Whether a set of sources is there from now on.
    pub(super) fn put_sources(&mut self, set: SourceSet, there: bool, undo: &mut Undo) {
        let before = match there {
            true => !self.parts.source_sets.insert(set.clone()),
            false => self.parts.source_sets.remove(&set),
        };
        undo.0.push(Before::Sources(set, before));
    }
}
