//! The boundary to whatever holds the chains.

use super::names::ChainName;
use super::rule::Table;
use super::transaction::Transaction;
use crate::Commit;
use crate::model::Family;
use std::io;

/// Something that takes transactions: the kernel, or tables in memory.
pub trait Kernel {
    /// Applies a transaction. If it is refused, the old rules serve: of one that is
    /// [whole](Transaction::whole), what is filled before [`Step::Together`](super::Step::Together) may be
    /// there already; of another one, nothing is.
    ///
    /// # Errors
    /// Names the chains that were refused, or the step that failed.
    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal>;

    /// Whether the transaction would be taken. Nothing changes.
    fn would_take(&mut self, transaction: &Transaction) -> bool;

    /// Removes the family's chains and the jumps to them, ours or upstream's, from all tables, but not
    /// the kubelet's; true if there was something.
    ///
    /// # Errors
    /// It is there and cannot be removed.
    fn clean_up(&mut self, family: Family) -> io::Result<bool>;

    /// Where in the history of the ruleset the transaction stands that was applied last.
    fn last_commit(&self) -> Commit {
        Commit::default()
    }
}

/// Why a transaction was not applied, down to the chain.
pub type Refusal = crate::Refusal<Object>;

/// A chain, or one of its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// The chain's table.
    pub table: Table,
    /// The chain.
    pub chain: ChainName,
}
