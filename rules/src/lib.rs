//! Every decision of kube-proxy-rs: which endpoints serve which frontend by
//! which policy, as which nftables objects, and what changes between two
//! states. Pure and synchronous: no clock, no input, no output.
//!
//! The flow is one way: [`model`] objects go into a [`State`], which marks
//! Services dirty; a [`Planner`] turns the dirty ones into a [`Transaction`]
//! over typed [`ruleset`] objects, which the kernel or the printer renders.

pub mod model;
pub mod ruleset;
pub mod print;

mod event;
mod kernel;

pub use event::{Event, ObjectKind};
pub use kernel::{Kernel, Refusal};
