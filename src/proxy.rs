//! The proxy itself: changes of the cluster come in, and rules and health answers follow.

pub mod daemon;
pub(crate) mod sync;

mod flows;
mod gate;
mod schedule;
