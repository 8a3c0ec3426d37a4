//! The cluster as one of its nodes sees it.

use super::State;
use crate::model::Node;

/// The objects of a [`State`] and the zone that they are seen from: what a plan depends on beside
/// its [`Config`](crate::Config). Objects are held once for any number of nodes.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(crate) state: &'a State,
    /// `topology.kubernetes.io/zone` of the node, for hints of EndpointSlices.
    pub(crate) zone: Option<&'a str>,
}

impl State {
    /// This node's view, as its object is now.
    pub fn view(&self) -> View<'_> {
        View {
            state: self,
            zone: self.node().and_then(|node| node.zone.as_deref()),
        }
    }

    /// Another node's view.
    pub fn view_from<'a>(&'a self, node: &'a Node) -> View<'a> {
        View {
            state: self,
            zone: node.zone.as_deref(),
        }
    }
}
