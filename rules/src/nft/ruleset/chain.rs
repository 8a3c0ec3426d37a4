//! Chains and their rules.

use super::{ChainId, Statement};
use crate::trace::HookPoint;

/// The type of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// `type filter`.
    Filter,
    /// `type nat`.
    Nat,
}

/// What makes a chain a base chain; the policy is always accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The type.
    pub kind: HookKind,
    /// The hook.
    pub point: HookPoint,
    /// The order among the hook's chains, lowest first.
    pub priority: i32,
}

/// A chain with its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub id: ChainId,
    /// Set for base chains.
    pub hook: Option<Hook>,
    /// A comment in the listing; empty for none. At most 127 bytes.
    pub comment: &'static str,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

/// A rule: its statements, evaluated in order until one does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The statements.
    pub statements: Vec<Statement>,
}
