//! What the two external traffic policies cost a Service: who serves outside clients, with which
//! share of the connections, by which policy, now and after a drain; what follows from that, and
//! what helps.
//!
//! A share is of 1, and expected: which connection goes where is chance. How connections spread
//! over nodes is up to a [`Balancer`] that is not ours, so that it is assumed; what a node does with
//! them is what the rules do ([`select`](crate::select)).

mod drain;
mod flows;
mod overview;
mod remedy;
mod shares;
mod site;
mod verdict;
mod wishes;
mod words;

pub use drain::{AfterDrain, Drain, drains};
pub use flows::Flows;
pub use overview::{Summary, is_external, overview, primary_family};
pub use remedy::{Measure, Suggestion, Workload, WorkloadKind, suggestions};
pub use shares::{Balancer, EndpointShare, NodeShare, Outlook, Shares, Spread, outlook};
pub use site::{NodeFacts, Nodes, Out, Site, distinct_ports};
pub use verdict::{Verdict, findings, verdict};
pub use wishes::{AddressKept, ClientAddress, Wishes};

use crate::model::TrafficPolicy;

/// The other one.
pub fn other(policy: TrafficPolicy) -> TrafficPolicy {
    match policy {
        TrafficPolicy::Cluster => TrafficPolicy::Local,
        TrafficPolicy::Local => TrafficPolicy::Cluster,
    }
}

#[cfg(test)]
mod tests;
