//! The table's named counters: a fixed list, whatever the cluster holds.

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
}

impl Counter {
    /// Every counter, in the order of a listing.
    pub const ALL: [Self; 6] = [
        Self::Connections,
        Self::NoEndpoint,
        Self::NoLocalEndpoint,
        Self::SourceRange,
        Self::UnallocatedClusterIp,
        Self::WrongPort,
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
        }
    }

    /// Why packets that it counts are refused; `None` if they are not.
    pub fn reason(self) -> Option<&'static str> {
        (self != Self::Connections).then(|| self.name())
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
