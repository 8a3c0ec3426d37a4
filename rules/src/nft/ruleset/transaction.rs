//! A change of one family's table that lands whole or not at all.

use super::{AffinitySet, Chain, ChainId, Client, Counter, Element, SetId, SourceSet};
use crate::model::Family;
use std::fmt;
use std::sync::Arc;

/// One step of a transaction. Steps are in an order that the kernel accepts:
/// objects before what refers to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Make sure there is an empty table: add it, delete it with all that it
    /// holds (ours or upstream's), add it again.
    ReplaceTable,
    /// Add a set or map, with its comment.
    AddSet {
        /// Which one.
        set: SetId,
        /// How many elements it may have; `None` for any number.
        size: Option<u32>,
    },
    /// Add a counter, which begins at zero.
    AddCounter(Counter),
    /// Add an empty set of clients.
    AddAffinitySet(AffinitySet),
    /// Add clients to a set that has none of them.
    AddClients(AffinitySet, Vec<Client>),
    /// Delete a set of clients with all that is in it.
    DeleteAffinitySet(AffinitySet),
    /// Add a set of sources with all that is in it.
    AddSourceSet(SourceSet),
    /// Delete a set of sources with all that is in it.
    DeleteSourceSet(SourceSet),
    /// Add a chain with its comment and hook, then its rules.
    AddChain(Chain),
    /// Remove all rules of an existing chain and add these.
    RefillChain(Chain),
    /// Delete a chain with its rules.
    DeleteChain(ChainId),
    /// Delete elements, found by their keys.
    DeleteElements(SetId, Vec<Element>),
    /// Add elements.
    AddElements(SetId, Vec<Element>),
    /// Add elements of all sets, which are made as they are asked for: the
    /// bulk of a first sync.
    AddElementsOf(Arc<dyn Elements>),
}

/// Elements that are more than should be there at once.
pub trait Elements: fmt::Debug + Send + Sync {
    /// Calls `each` with each of them and its set.
    fn for_each_element(&self, each: &mut dyn FnMut(SetId, &Element));

    /// How many there are.
    fn element_count(&self) -> usize;
}

impl PartialEq for dyn Elements {
    fn eq(&self, other: &Self) -> bool {
        let all = |elements: &Self| {
            let mut all = Vec::new();
            elements.for_each_element(&mut |set, element| all.push((set, element.clone())));
            all
        };
        all(self) == all(other)
    }
}

impl Eq for dyn Elements {}

impl Op {
    /// Calls `each` with the elements that are added or deleted, and where. No
    /// more than one of a first sync's is there at a time.
    pub fn for_each_element(&self, mut each: impl FnMut(SetId, &Element)) {
        match self {
            Self::AddElements(set, all) | Self::DeleteElements(set, all) => {
                all.iter().for_each(|element| each(*set, element));
            }
            Self::AddElementsOf(elements) => elements.for_each_element(&mut each),
            _ => {}
        }
    }

    /// The same in a list.
    pub fn elements(&self) -> Vec<(SetId, Element)> {
        let mut elements = Vec::new();
        self.for_each_element(|set, element| elements.push((set, element.clone())));
        elements
    }
}

/// An ordered list of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The table's family.
    pub family: Family,
    /// The steps.
    pub ops: Vec<Op>,
}
