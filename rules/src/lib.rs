//! Every decision of kube-proxy-rs: which endpoints serve which frontend by
//! which policy, as which objects of nftables or chains of iptables, and what changes between two
//! states. Pure and synchronous: no clock, no input, no output.
//!
//! The flow is one way: [`model`] objects come as [`Change`]s into a [`State`],
//! which marks Services dirty; a [`Backend`] plans the dirty ones and has the
//! kernel take what changes. There are two, [`nft`] and [`iptables`]. What flows it leaves behind, [`flows`] finds; what it
//! does with a packet, [`trace`] tells.

pub mod advise;
pub mod check;
pub mod drift;
pub mod explain;
pub mod finding;
pub mod flows;
pub mod iptables;
pub mod localhost;
pub mod model;
pub mod nft;
pub mod owners;
pub mod plan;
pub mod select;
pub mod series;
pub mod spread;
pub mod trace;
pub mod usage;

mod agenda;
mod backend;
mod backoff;
mod change;
mod config;
mod health_checks;
mod limits;
mod remembered;
mod state;

pub use backend::{
    Backend, Cause, Commit, HealthCheck, Pending, Refusal, Remedy, RuleLines, Summary,
};
pub use backoff::Backoff;
pub use change::{Change, ObjectKind};
pub use config::{Config, Counters, LocalDetector, Localhost, NodeportAddresses};
pub use remembered::RememberedClients;
pub use state::{Applied, NodeNotice, Problem, ProblemKind, State, Trigger, View};

#[cfg(test)]
mod histories;
