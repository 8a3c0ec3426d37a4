//! A change of one family's chains, as it is told to whoever holds them.

use super::names::ChainName;
use super::rule::{Rule, Table};
use crate::model::Family;
use std::fmt;
use std::sync::Arc;

/// A change of one family's chains in tables `filter` and `nat`.
///
/// One that is not [whole](Self::whole) is taken at once or not at all. Of a whole one, what comes before
/// [`Step::Together`] may be taken piece by piece, in this order: in each state in between every
/// connection is served by the old rules or the new ones.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// The family.
    pub family: Family,
    /// Whatever the tables held before, all of it is said: chains of Services
    /// ([`ChainName::is_of_service`]) that no step fills are deleted at the end, and what
    /// [`setup`](super::setup) lists is made where it is missing: built-in chains, the chains that jumps
    /// lead to, jumps, canaries.
    pub whole: bool,
    /// What [`setup`](super::setup) lists is looked for and made where it is missing, as in a
    /// transaction that is whole; there may be no steps beside that.
    pub restores_jumps: bool,
    /// The steps, which are made as they are asked for.
    pub steps: Arc<dyn Steps>,
}

/// Steps that are more than should be there at once.
pub trait Steps: fmt::Debug + Send + Sync {
    /// Calls `each` with each of them, in order.
    fn for_each_step(&self, each: &mut dyn FnMut(Step<'_>));

    /// How many rules all steps have. May make them all to count them, where nobody has asked for the
    /// steps before.
    fn rule_count(&self) -> usize;
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A chain is made, empty, if it is not there: others lead to it before it gets its rules together
    /// with what depends on them. Only in a transaction that is [whole](Transaction::whole).
    Make {
        /// The chain's table.
        table: Table,
        /// The chain.
        chain: ChainName,
    },
    /// A chain has these rules from here on, and no others. What they lead to is there already.
    Fill {
        /// The chain's table.
        table: Table,
        /// The chain.
        chain: ChainName,
        /// What there is of it so far.
        before: Before,
        /// Its rules, in order.
        rules: &'a [Rule],
    },
    /// Once in each transaction: the steps from here on to the first `Delete` are taken at once or not at
    /// all, also in a whole one. Before it nothing leads to chains that are new, but other new ones.
    Together,
    /// A chain that nothing leads to any more is emptied and deleted. Others' rules may lead there: then
    /// it stays, empty.
    Delete {
        /// The chain's table.
        table: Table,
        /// The chain.
        chain: ChainName,
    },
}

/// What there is of a chain before it is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing: that it is there is an error ([`Cause::TableDiffers`](crate::Cause::TableDiffers)).
    Absent,
    /// The chain: that it is not there is an error.
    Present,
    /// Nobody knows, in a transaction that is [whole](Transaction::whole).
    Unknown,
}
