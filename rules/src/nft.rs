//! The nftables backend: Services as sets, maps and chains of one table per
//! family.
//!
//! A [`Planner`] makes [`ruleset::Transaction`]s, which a [`Kernel`] takes: the
//! real one, or a [`Table`] in memory. [`print`] shows them as nft does,
//! [`trace`] sends packets through a table, [`drift`] weighs what others change.

pub mod drift;
pub mod names;
pub mod print;
pub mod ruleset;
pub mod table;
pub mod trace;

pub(crate) mod base;
pub(crate) mod clients;
pub(crate) mod kernel;
mod planner;
pub(crate) mod port_chains;
pub(crate) mod sources;

pub use clients::RememberedClients;
pub use kernel::{Kernel, Object};
pub use planner::{HealthCheck, Pending, Planner, Summary};
pub use table::Table;
