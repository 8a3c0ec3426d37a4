//! Services, EndpointSlices, the Node and ServiceCIDRs, reduced to what the
//! rules need. Names follow the Kubernetes API fields they come from.

mod endpoints;
mod net;
mod node;
mod service;

pub use endpoints::{Endpoint, EndpointPort, EndpointSlice, Hints};
pub use net::{EndpointAddr, Family, Frontend, Protocol};
pub use node::{Node, ServiceCidr};
pub use service::{Service, ServicePort, ServiceType, TrafficPolicy};

use std::fmt;
use std::sync::Arc;

/// `namespace/name` of a namespaced object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl ObjectName {
    /// Builds a name from its two parts.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
