//! Typed nftables objects. Each has one definition here; the text printer, the
//! netlink encoder and the table in memory all read it.

mod affinity;
mod chain;
mod chain_id;
mod counter;
mod digest;
mod element;
mod set;
mod sources;
mod statement;
mod transaction;

pub use crate::trace::HookPoint;
pub use affinity::{AffinitySet, Client, PortChain, PortKind, PortName, PortRole};
pub use chain::{Chain, Hook, HookKind, Rule};
pub use chain_id::ChainId;
pub use counter::Counter;
pub use element::{Element, Key, Value, Verdict};
pub use set::{DataType, KeyField, SetId};
pub use sources::SourceSet;
pub use statement::{Header, Pick, Side, Statement};
pub use transaction::{Elements, Op, Transaction};

/// Name of the table in both families. Upstream's own, so that a rollback to
/// any of its modes cleans ours up, and so that we can take over from it.
pub const TABLE: &str = "kube-proxy";

/// The table's comment in a listing.
pub const TABLE_COMMENT: &str = "rules for kube-proxy";
