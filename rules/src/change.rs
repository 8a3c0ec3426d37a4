//! What a source of objects (API server or manifests) tells the state.

use crate::model::{EndpointSlice, Node, ObjectName, Service, ServiceCidr};
use std::sync::Arc;

/// A kind of object that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// Services.
    Service,
    /// EndpointSlices.
    EndpointSlice,
    /// This node.
    Node,
    /// ServiceCIDRs.
    ServiceCidr,
}

impl ObjectKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::Service,
        Self::EndpointSlice,
        Self::Node,
        Self::ServiceCidr,
    ];
}

/// One thing that happened to the cluster's objects.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A Service is there, new or changed.
    Service(Service),
    /// A Service is gone, or no longer one that gets rules.
    ServiceGone(ObjectName),
    /// An EndpointSlice is there, new or changed.
    Slice(EndpointSlice),
    /// An EndpointSlice is gone, or no longer one that is used.
    SliceGone(ObjectName),
    /// This node is there, new or changed.
    Node(Node),
    /// This node is gone.
    NodeGone,
    /// A ServiceCIDR is there, new or changed.
    ServiceCidr(ServiceCidr),
    /// A ServiceCIDR is gone.
    ServiceCidrGone(Arc<str>),
    /// A complete list of one kind begins; objects come as ordinary changes.
    ListBegin(ObjectKind),
    /// The list is complete: objects of the kind that it did not hold are gone.
    ListEnd(ObjectKind),
}
