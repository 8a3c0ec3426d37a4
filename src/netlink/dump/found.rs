//! What was read: the table in the planner's types, and what in it is none of ours.

use nft_wire::nf_tables::Counted;
use rules::nft::ruleset::{
    AffinitySet, Chain, ChainId, Client, Counter, Element, Key, SetId, SourceSet,
};
use rules::nft::table::{self, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// More pieces of somebody else's than that are counted, not kept.
const FOREIGN: usize = 1000;

/// Where in the table something foreign is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The table itself.
    Table,
    /// A set or map as a whole.
    Set(String),
    /// An element of one of our sets.
    Element(SetId),
    /// A chain as a whole, its rules aside.
    Chain(String),
    /// A chain of somebody else's on a hook, to which packets come by themselves.
    BaseChain(String),
    /// A rule.
    Rule {
        /// Its chain, ours or not.
        chain: String,
        /// Its place among the chain's rules, from 1.
        position: usize,
        /// What the kernel calls it, as in `nft delete rule ... handle 7`.
        handle: u64,
    },
    /// A stateful object: a counter, a quota and the like.
    Object(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table => f.write_str("table"),
            Self::Set(name) => write!(f, "set {name}"),
            Self::Element(set) => write!(f, "element of {set}"),
            Self::Chain(name) | Self::BaseChain(name) => write!(f, "chain {name}"),
            Self::Rule {
                chain,
                position,
                handle,
            } => write!(f, "rule {position} of chain {chain} (handle {handle})"),
            Self::Object(name) => write!(f, "object {name}"),
        }
    }
}

/// Something in the table that is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreign {
    /// Where it is.
    pub place: Place,
    /// What it is or does.
    pub text: String,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// A family's table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// The ruleset's generation, if it was the same one from the beginning to the end of reading.
    pub generation: Option<u32>,
    /// Sets and maps: how many elements they may have, and those that they have, in no order.
    pub sets: BTreeMap<SetId, (Option<u32>, Vec<Element>)>,
    /// Counters, and what they counted.
    pub counters: BTreeMap<Counter, Counted>,
    /// Elements of [`SetId::ServiceConnections`], which rules put in, and what they counted. In
    /// `sets` that set has none: they are no part of what was planned.
    pub connections: Vec<(Key, Counted)>,
    /// Sets of clients.
    pub affinity_sets: BTreeMap<AffinitySet, Vec<Client>>,
    /// Clients that are not in `affinity_sets`, as there are too many.
    pub more_clients: usize,
    /// Sets of sources that are sets in the table.
    pub source_sets: BTreeSet<SourceSet>,
    /// Chains with those of their rules that are ours.
    pub chains: BTreeMap<ChainId, Chain>,
    /// What is not ours.
    pub foreign: Vec<Foreign>,
    /// Foreign pieces that are not in `foreign`, as there are too many.
    pub more_foreign: usize,
}

impl Dump {
    pub(super) fn note(&mut self, place: Place, text: impl Into<String>) {
        if self.foreign.len() >= FOREIGN {
            self.more_foreign += 1;
            return;
        }
        let text = text.into();
        self.foreign.push(Foreign { place, text });
    }

    /// The table in memory, which rules are followed in and others are compared with, and beside it
    /// what is foreign.
    pub fn into_table(self) -> (Table, Vec<Foreign>) {
        let sets = self.sets.into_iter().map(|(id, (size, all))| {
            let elements = all.into_iter().map(|element| (element.key, element));
            let elements = elements.collect();
            (id, table::Set { size, elements })
        });
        let affinity_sets = self.affinity_sets.into_iter().map(|(id, clients)| {
            let clients = clients
                .iter()
                .map(|client| (client.address, client.remaining));
            (id, clients.collect())
        });
        let table = Table::from_parts(table::Parts {
            sets: sets.collect(),
            counters: self.counters.into_keys().collect(),
            affinity_sets: affinity_sets.collect(),
            source_sets: self.source_sets,
            chains: self.chains,
        });
        (table, self.foreign)
    }
}
