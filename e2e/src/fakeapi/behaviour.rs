//! What goes wrong on purpose.

use std::time::Duration;

/// The kinds of objects that it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// v1 Services.
    Services,
    /// v1 Nodes.
    Nodes,
    /// discovery.k8s.io/v1 EndpointSlices.
    EndpointSlices,
    /// networking.k8s.io/v1 ServiceCIDRs.
    ServiceCidrs,
}

impl Kind {
    /// Each of them.
    pub const ALL: [Self; 4] = [
        Self::Services,
        Self::Nodes,
        Self::EndpointSlices,
        Self::ServiceCidrs,
    ];

    /// The name, the path of its collection, its group and version.
    pub(super) fn about(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Services => ("Service", "/api/v1/services", "v1"),
            Self::Nodes => ("Node", "/api/v1/nodes", "v1"),
            Self::EndpointSlices => (
                "EndpointSlice",
                "/apis/discovery.k8s.io/v1/endpointslices",
                "discovery.k8s.io/v1",
            ),
            Self::ServiceCidrs => (
                "ServiceCIDR",
                "/apis/networking.k8s.io/v1/servicecidrs",
                "networking.k8s.io/v1",
            ),
        }
    }
}

/// How it treats what comes; nothing is wrong by default.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// Takes connections and says nothing, not even the first word of TLS.
    pub mute: bool,
    /// Reads requests for these kinds and never answers.
    pub no_headers: Vec<Kind>,
    /// Sends half of a list of this kind and no more.
    pub half_list: Option<Kind>,
    /// Refuses to stream lists, as servers before 1.32 do.
    pub no_streams: bool,
    /// Speaks HTTP/1.1 alone with whoever connects.
    pub http1: bool,
    /// Answers every request this much later.
    pub delay: Duration,
}
