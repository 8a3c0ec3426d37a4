//! The nftables backend: Services as sets, maps and chains of one table per
//! family.
//!
//! [`NftBackend`] is what a sync uses: a [`Planner`] that makes
//! [`ruleset::Transaction`]s, and a [`Kernel`] that takes them, the real one or a
//! [`Table`] in memory. [`print`] shows them as nft does,
//! [`trace`] sends packets through a table, [`totals`] adds up what tables counted.

pub mod explain;
pub mod names;
pub mod print;
pub mod ruleset;
pub mod table;
pub mod totals;
pub mod trace;

mod backend;
mod base;
mod clients;
mod kernel;
mod planner;
mod port_chains;
mod service;

pub use backend::NftBackend;
pub use base::counters;
pub use kernel::{Kernel, Object, Refusal};
pub use planner::{Pending, Planner};
pub use table::Table;
