//! What commands look at beyond what rules are made of: objects as the API has them, the pods
//! behind a Service, and what those belong to.
//!
//! [`Cluster`] answers questions about single objects, from an API server or a directory of
//! manifests; it asks for what is needed and no more, with the rights to `list` that every
//! kube-proxy has. [`Facts`] is all that is known of the Services of a question, each part with
//! its own error: what a command may not see is told, and is no reason to say nothing.
//! [`Facts::world`] is the [`World`](crate::world::World) of those Services.

mod api;
mod asked;
mod cluster;
mod facts;
mod files;
mod names;
mod objects;
mod query;
mod workloads;

pub use asked::Asked;
pub use cluster::Cluster;
pub use facts::Facts;
pub use names::NotFound;
pub use objects::{Unproxied, name_of, selector_of, unproxied};
pub use query::{Query, Unseen};
pub use workloads::workloads;

#[cfg(test)]
mod tests;
