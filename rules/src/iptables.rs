//! Services as chains of iptables: the rules that upstream's kube-proxy makes in mode iptables, under
//! the same names, with the same comments and in the same order.
//!
//! [`ruleset`] makes those of one family, a [`Change`] leads from one state to another, and an
//! [`IptablesBackend`] has a [`Kernel`] take what changes.
//! [`print`] shows them as `iptables-restore` takes them and as `iptables-save` tells them, [`setup`]
//! is what is there once whatever the cluster holds. Where upstream leaves an order to chance, it is
//! that of names here.

pub mod explain;
pub mod names;
pub mod print;
pub mod rule;
pub mod setup;
pub mod top;
pub mod trace;

mod backend;
mod build;
mod change;
mod content;
mod kernel;
mod lists;
mod memory;
mod planner;
mod port;
mod transaction;

pub use backend::IptablesBackend;
pub use build::ruleset;
pub use change::{Change, TableChange};
pub use content::{Content, Ruleset};
pub use kernel::{Kernel, Object, Refusal};
pub use memory::Memory;
pub use planner::Pending;
pub use top::{INVALID_DROPPED, LOCALHOST_ACCEPTED};
pub use transaction::{Before, Step, Steps, Transaction};
