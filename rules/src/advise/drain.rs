//! What a drain of a node does to a Service.

use super::shares::{Balancer, Shares, Spread};
use super::site::Site;
use crate::model::TrafficPolicy;
use schemars::JsonSchema;
use serde::Serialize;

/// A node without its pods, as long as they run nowhere else.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// The node's name.
    pub node: String,
    /// How many endpoints are lost.
    pub endpoints_lost: usize,
    /// Then, under policy Cluster.
    #[serde(rename = "Cluster")]
    pub cluster: AfterDrain,
    /// Then, under policy Local.
    #[serde(rename = "Local")]
    pub local: AfterDrain,
}

/// What is left under one policy.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AfterDrain {
    /// How many nodes still serve.
    pub nodes_serving: usize,
    /// Whether the node itself still does.
    pub node_serves: bool,
    /// How even it is then.
    #[serde(flatten)]
    pub spread: Spread,
    /// Nobody serves any more.
    pub down: bool,
}

/// What a drain of each node that runs endpoints does; `kubectl drain` leaves the pods of
/// DaemonSets, so that there is nothing to tell of those.
pub fn drains(site: &Site<'_>, balancer: Balancer) -> Vec<Drain> {
    let all = 0..site.nodes.len();
    let with_pods = all.filter(|at| !site.local[*at].is_empty());
    with_pods.map(|at| drain(site, at, balancer)).collect()
}

fn drain(site: &Site<'_>, at: usize, balancer: Balancer) -> Drain {
    let node = &site.nodes[at].name;
    let slices = site.slices_without(node);
    let after = Site::of_slices(site.service, &slices, site.port, site.family, site.all);
    let under = |policy| {
        let shares = Shares::new(&after, policy, balancer);
        let nodes_serving = shares.serves.iter().filter(|serves| **serves).count();
        AfterDrain {
            nodes_serving,
            node_serves: shares.serves[at],
            spread: shares.spread(&after),
            down: nodes_serving == 0,
        }
    };
    Drain {
        node: node.to_string(),
        endpoints_lost: site.local[at].len(),
        cluster: under(TrafficPolicy::Cluster),
        local: under(TrafficPolicy::Local),
    }
}
