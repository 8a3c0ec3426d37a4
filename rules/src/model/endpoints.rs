//! An EndpointSlice as the rules see it.

use super::{Family, ObjectName, Protocol, ServicePort};
use std::net::IpAddr;
use std::sync::Arc;

/// An EndpointSlice with a `kubernetes.io/service-name` label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// `metadata.namespace` and `metadata.name`.
    pub name: ObjectName,
    /// The Service named by the label, in the slice's own namespace.
    pub service: ObjectName,
    /// `addressType`; FQDN slices never become one of these.
    pub family: Family,
    /// `ports`, those with a port number other than 0.
    pub ports: Vec<EndpointPort>,
    /// `endpoints`.
    pub endpoints: Vec<Endpoint>,
    /// The `endpoints.kubernetes.io/last-change-trigger-time` annotation, in
    /// milliseconds since the epoch.
    pub last_change_trigger: Option<i64>,
}

impl EndpointSlice {
    /// Where the endpoints answer for a Service's port: by its name and protocol,
    /// as the number may be another.
    pub fn ports_of(&self, port: &ServicePort) -> impl Iterator<Item = u16> {
        let same = |own: &&EndpointPort| own.name == port.name && own.protocol == port.protocol;
        self.ports.iter().filter(same).map(|own| own.port)
    }
}

/// One of an EndpointSlice's `ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPort {
    /// `name`, empty if it is missing.
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`, never 0.
    pub port: u16,
}

/// One of an EndpointSlice's `endpoints`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The first of `addresses`; upstream never uses the others.
    pub address: IpAddr,
    /// `nodeName`.
    pub node: Option<Arc<str>>,
    /// `conditions.ready`, true if unset.
    pub ready: bool,
    /// `conditions.serving`, true if unset.
    pub serving: bool,
    /// `conditions.terminating`, false if unset.
    pub terminating: bool,
    /// `hints`.
    pub hints: Hints,
}

/// Whom an endpoint is meant for. Most endpoints have none, so that none costs
/// little: there are hundreds of thousands of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints(Option<Box<HintNames>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct HintNames {
    zones: Box<[Arc<str>]>,
    nodes: Box<[Arc<str>]>,
}

impl Hints {
    /// `forZones[].name` and `forNodes[].name`.
    pub fn new(
        zones: impl IntoIterator<Item = Arc<str>>,
        nodes: impl IntoIterator<Item = Arc<str>>,
    ) -> Self {
        let names = HintNames {
            zones: zones.into_iter().collect(),
            nodes: nodes.into_iter().collect(),
        };
        let any = !names.zones.is_empty() || !names.nodes.is_empty();
        Self(any.then(|| Box::new(names)))
    }

    /// `forZones[].name`.
    pub fn zones(&self) -> &[Arc<str>] {
        self.0.as_ref().map_or(&[], |names| &names.zones)
    }

    /// `forNodes[].name`.
    pub fn nodes(&self) -> &[Arc<str>] {
        self.0.as_ref().map_or(&[], |names| &names.nodes)
    }
}
