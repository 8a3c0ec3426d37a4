//! The way of the traffic as a drawing: clients, the balancer, nodes and pods, both policies side by
//! side; what is wide gets much.
//!
//! Whatever the Service's size, a drawing has few boxes: nodes beyond [`NODES`] are one box, and so
//! are the pods of a node beyond its part of [`PODS`].

mod draw;
mod groups;

pub(super) use draw::svg;

use groups::Groups;
use rules::advise::{AddressKept, Balancer, Flows, Site};
use rules::model::TrafficPolicy;

/// So many boxes for nodes, and one for all others.
const NODES: usize = 8;
/// So many boxes for pods, and one for the others of each node.
const PODS: usize = 16;

/// Both drawings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Drawing {
    /// The policy of today first.
    pub(super) panels: Vec<Panel>,
}

/// One policy.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) nodes: Vec<NodeBox>,
    pub(super) pods: Vec<PodBox>,
    /// From which node's box to which pod's, and the share of all connections that goes there.
    pub(super) bands: Vec<(usize, usize, f64)>,
    /// The most that any box for one pod gets in either panel, so that both are laid out alike.
    pub(super) widest: Vec<f64>,
    /// The same of nodes.
    pub(super) widest_nodes: Vec<f64>,
}

/// A node, or several.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NodeBox {
    pub(super) name: String,
    /// What it says instead of its share.
    pub(super) says: Option<&'static str>,
    pub(super) share: f64,
    pub(super) serves: bool,
}

/// A pod, or several of one node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PodBox {
    pub(super) name: String,
    /// Whose box it belongs to.
    pub(super) node: usize,
    pub(super) share: f64,
    /// It gets more than twice its fair share.
    pub(super) unfair: bool,
}

impl Drawing {
    /// Draws a site under two policies.
    pub(super) fn new(site: &Site<'_>, policies: [TrafficPolicy; 2], balancer: Balancer) -> Self {
        let flows = policies.map(|policy| Flows::new(site, policy, balancer));
        let groups = Groups::new(site, &flows);
        let mut panels: Vec<Panel> = ["Now", "Then"]
            .iter()
            .zip(policies)
            .zip(&flows)
            .map(|((when, policy), flows)| {
                let address = match AddressKept::under(policy) {
                    AddressKept::Kept => "client address kept",
                    AddressKept::Replaced => "client address replaced",
                };
                groups.panel(format!("{when}: {policy:?}, {address}"), flows)
            })
            .collect();
        let pods = panels.first().map_or(0, |panel| panel.pods.len());
        let most = |share: &dyn Fn(&Panel) -> f64| panels.iter().map(share).fold(0.0, f64::max);
        let widest: Vec<f64> = (0..pods)
            .map(|at| most(&|panel| panel.pods[at].share))
            .collect();
        let nodes = panels.first().map_or(0, |panel| panel.nodes.len());
        let widest_nodes: Vec<f64> = (0..nodes)
            .map(|at| most(&|panel| panel.nodes[at].share))
            .collect();
        for panel in &mut panels {
            panel.widest.clone_from(&widest);
            panel.widest_nodes.clone_from(&widest_nodes);
        }
        Self { panels }
    }
}
