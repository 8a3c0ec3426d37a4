//! The boundary to whatever holds the rules.

use super::ruleset::{AffinitySet, ChainId, Key, SetId, Transaction};
use crate::model::Family;
use crate::{Commit, RememberedClients};
use std::io;

/// Something that takes transactions: the kernel, or a table in memory.
pub trait Kernel {
    /// Applies a transaction whole, or changes nothing.
    ///
    /// # Errors
    /// Names the objects that were refused, or the step that failed.
    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal>;

    /// The family's table is about to be replaced: the last moment to read what goes with it.
    fn before_replacement(&mut self, _family: Family) {}

    /// The clients that the family's present table remembers for session
    /// affinity, ours or upstream's; none if there is no table.
    ///
    /// # Errors
    /// They cannot be listed.
    fn clients(&mut self, family: Family) -> io::Result<RememberedClients>;

    /// Deletes the family's table with all that it holds, ours or upstream's; true if there was
    /// one.
    ///
    /// # Errors
    /// It is there and cannot be deleted.
    fn delete_table(&mut self, family: Family) -> io::Result<bool>;

    /// Where in the history of the ruleset the transaction stands that was applied last.
    fn last_commit(&self) -> Commit {
        Commit::default()
    }
}

/// Why a transaction was not applied, down to the object.
pub type Refusal = crate::Refusal<Object>;

/// An object of the table that single Services are the reason for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// A chain, or one of its rules.
    Chain(ChainId),
    /// An element.
    Element(SetId, Key),
    /// A set of clients, or one of them.
    Clients(AffinitySet),
}
