//! The table's named counters: a fixed list, whatever the cluster holds.

use crate::model::Protocol;
use std::fmt;

/// A named counter. Rules of chains that only see the first packets of connections count there, so
/// packets are attempts: one for each connection that is translated, one for each packet that is
/// refused (a TCP client that gets no answer sends its first packet again).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counter {
    /// Connections that were sent to an endpoint.
    Connections,
    /// No endpoint anywhere: rejected.
    NoEndpoint,
    /// Policy Local, endpoints, and none of them on this node: dropped.
    NoLocalEndpoint,
    /// From outside of loadBalancerSourceRanges: dropped.
    SourceRange,
    /// To an address of a ServiceCIDR that no Service has: dropped.
    UnallocatedClusterIp,
    /// To a cluster IP, on a port that its Service has not: rejected.
    WrongPort,
    /// Conntrack calls it invalid: dropped rather than forwarded.
    Invalid,
    /// To a node port on a loopback address: rejected.
    LocalhostNodeport(Protocol),
}

impl Counter {
    /// Every counter, in the order of a listing. Not each is in every table
    /// ([`counters`](crate::nft::counters)).
    pub const ALL: [Self; 10] = [
        Self::Connections,
        Self::NoEndpoint,
        Self::NoLocalEndpoint,
        Self::SourceRange,
        Self::UnallocatedClusterIp,
        Self::WrongPort,
        Self::Invalid,
        Self::LocalhostNodeport(Protocol::Tcp),
        Self::LocalhostNodeport(Protocol::Udp),
        Self::LocalhostNodeport(Protocol::Sctp),
    ];

    /// The name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::NoEndpoint => "no-endpoint",
            Self::NoLocalEndpoint => "no-local-endpoint",
            Self::SourceRange => "source-ranges",
            Self::UnallocatedClusterIp => "unallocated-cluster-ip",
            Self::WrongPort => "wrong-port",
            Self::Invalid => "invalid",
            Self::LocalhostNodeport(Protocol::Tcp) => "localhost-node-port-tcp",
            Self::LocalhostNodeport(Protocol::Udp) => "localhost-node-port-udp",
            Self::LocalhostNodeport(Protocol::Sctp) => "localhost-node-port-sctp",
        }
    }

    /// The counter of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|counter| counter.name() == name)
    }

    /// The comment in a listing.
    pub fn comment(self) -> &'static str {
        match self {
            Self::Connections => "connections that were sent to an endpoint",
            Self::NoEndpoint => "rejected: no endpoint anywhere",
            Self::NoLocalEndpoint => "dropped: policy Local, no endpoint on this node",
            Self::SourceRange => "dropped: not in loadBalancerSourceRanges",
            Self::UnallocatedClusterIp => "dropped: no Service has this cluster IP",
            Self::WrongPort => "rejected: the cluster IP's Service has no such port",
            Self::Invalid => "dropped: not forwarded, as conntrack calls it invalid",
            Self::LocalhostNodeport(Protocol::Tcp) => "rejected: TCP to a node port on localhost",
            Self::LocalhostNodeport(Protocol::Udp) => "rejected: UDP to a node port on localhost",
            Self::LocalhostNodeport(Protocol::Sctp) => "rejected: SCTP to a node port on localhost",
        }
    }

    /// Why packets that it counts are refused; `None` if they are not.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Connections => None,
            Self::LocalhostNodeport(_) => Some("localhost-node-port"),
            other => Some(other.name()),
        }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
