//! Every decision of kube-proxy-rs: which endpoints serve which frontend by
//! which policy, as which nftables objects, and what changes between two
//! states. Pure and synchronous: no clock, no input, no output.
//!
//! The flow is one way: [`model`] objects come as [`Event`]s into a [`State`],
//! which marks Services dirty; a [`Planner`] turns the dirty ones into a
//! [`ruleset::Transaction`], which a [`Kernel`] takes or [`print`] renders.
//! What flows it leaves behind, [`conntrack`] finds; what it does with a
//! packet, [`trace`] tells.

pub mod conntrack;
pub mod drift;
pub mod fake;
pub mod model;
pub mod print;
pub mod ruleset;
pub mod trace;

mod backoff;
mod base;
mod clients;
mod config;
mod event;
mod kernel;
mod limits;
mod plan;
mod planner;
mod port_chains;
mod select;
mod sources;
mod state;

pub use backoff::Backoff;
pub use clients::RememberedClients;
pub use config::{Config, LocalDetector, NodeportAddresses};
pub use event::{Event, ObjectKind};
pub use kernel::{Cause, Commit, Kernel, Object, Refusal, Remedy};
pub use planner::{Pending, Planner, Summary};
pub use state::{Applied, NodeNotice, Problem, ProblemKind, State, Trigger};
