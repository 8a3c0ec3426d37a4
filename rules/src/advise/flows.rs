//! From which node to which endpoint connections go: what a drawing is made of.

use super::shares::{Balancer, Shares};
use super::site::Site;
use crate::model::TrafficPolicy;

/// The shares of a policy, with the way from nodes to endpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Flows {
    /// The policy.
    pub policy: TrafficPolicy,
    /// The shares.
    pub shares: Shares,
}

impl Flows {
    /// What flows under a policy and a balancer.
    pub fn new(site: &Site<'_>, policy: TrafficPolicy, balancer: Balancer) -> Self {
        Self {
            policy,
            shares: Shares::new(site, policy, balancer),
        }
    }

    /// Hands out each node, endpoint, and the share of all connections that goes from one to the
    /// other; both are positions in the site.
    pub fn each(&self, site: &Site<'_>, mut take: impl FnMut(usize, usize, f64)) {
        for (at, share) in self.shares.nodes.iter().enumerate() {
            let list = match self.policy {
                TrafficPolicy::Cluster => &site.lists[site.list_of[at]],
                TrafficPolicy::Local => &site.local[at],
            };
            if *share > 0.0 {
                let each = share / list.len().max(1) as f64;
                list.iter().for_each(|number| take(at, *number, each));
            }
        }
    }
}
