//! One Service in words: what it asks for, who serves it seen from a node, and what is wrong.
//!
//! [`endpoints`] and [`health`] say who serves, [`findings`] what is wrong; the frontends' answers
//! come from packets that are sent through whatever rules there are ([`Answers`]). [`Explanation`] is the whole,
//! for people and for scripts.

mod answers;
mod data;
mod endpoints;
mod findings;
mod frontends;
mod outcomes;
mod slices;

pub use answers::{Answers, Clients, Standpoint};
pub use data::{
    Answer, ClientAddress, EndpointExplained, Explanation, FrontendExplained, FrontendKind, Health,
    KernelState, NodeHealth, Policy, State,
};
pub use endpoints::{Place, endpoints, fair_share, health};
pub use findings::{Known, findings};
pub use frontends::{Wanted, wanted};
pub use outcomes::outcomes;

use crate::model::{Service, TrafficPolicy};

impl From<TrafficPolicy> for Policy {
    fn from(policy: TrafficPolicy) -> Self {
        match policy {
            TrafficPolicy::Cluster => Self::Cluster,
            TrafficPolicy::Local => Self::Local,
        }
    }
}

/// Whether clients outside the cluster are meant to reach it.
pub fn is_external(service: &Service) -> bool {
    let by_address = !service.external_ips.is_empty() || !service.load_balancer_ips.is_empty();
    let has_node_port = service.ports.iter().any(|port| port.node_port.is_some());
    by_address || has_node_port || service.kind.is_external()
}

#[cfg(test)]
mod tests;
