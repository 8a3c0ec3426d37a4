//! The sets and maps of the table: a fixed list, whatever the cluster holds.

use std::fmt;

/// What one field of a set's key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyField {
    /// `ipv4_addr` or `ipv6_addr`, by the table's family.
    Address,
    /// `inet_proto`.
    Protocol,
    /// `inet_service`.
    Port,
    /// A position in a list, as `numgen random mod N` yields it: 32 bits, host
    /// byte order. nft can only name its type through `typeof`.
    Index,
}

/// What the elements of a map yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// A verdict; the map is a `vmap`.
    Verdict,
    /// An address and a port, for `dnat`.
    Endpoint,
}

/// A named set or map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SetId {
    /// Frontends with an IP of their own → the chain that serves them.
    Services,
    /// Node ports → the chain that serves them.
    Nodeports,
    /// The backends of each frontend with an IP, numbered from 0.
    Endpoints,
    /// The backends of each node port, numbered from 0.
    NodeportEndpoints,
    /// Those of `Endpoints` that run on this node, for policy Local.
    LocalEndpoints,
    /// Those of `NodeportEndpoints` that run on this node, for policy Local.
    NodeportLocalEndpoints,
    /// The backends of Service ports with many frontends, each port's in a row.
    PortEndpoints,
    /// Frontends with an IP that nothing serves → reject or drop.
    NoEndpoints,
    /// Node ports that nothing serves → reject or drop.
    NodeportNoEndpoints,
    /// Node ports that are refused on loopback addresses → the chain that counts and rejects; only
    /// there where some are.
    LocalhostNodeports,
    /// Load-balancer frontends that only some sources may reach → the chain
    /// that drops the others.
    SourceChecked,
    /// Every cluster IP.
    ClusterIps,
    /// The addresses that answer node ports, unless all local ones do.
    NodeportIps,
    /// Endpoints of this node that may meet themselves through a Service.
    Hairpin,
    /// The frontends that were connected to, each with a counter. Rules put them in, nobody else;
    /// only there where connections of single Services are counted.
    ServiceConnections,
}

impl SetId {
    /// Every set, in the order of a listing.
    pub const ALL: [Self; 15] = [
        Self::Services,
        Self::Nodeports,
        Self::Endpoints,
        Self::NodeportEndpoints,
        Self::LocalEndpoints,
        Self::NodeportLocalEndpoints,
        Self::PortEndpoints,
        Self::NoEndpoints,
        Self::NodeportNoEndpoints,
        Self::LocalhostNodeports,
        Self::SourceChecked,
        Self::ClusterIps,
        Self::NodeportIps,
        Self::Hairpin,
        Self::ServiceConnections,
    ];

    /// How many frontends are counted at the most: connections to others are served all the same.
    /// The kernel makes room for the set at once (8 bytes for each), and keeps 16 bytes for each
    /// CPU with each frontend that is connected to.
    pub const CONNECTIONS_MAX: u32 = 16_384;

    /// The name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Nodeports => "nodeports",
            Self::Endpoints => "endpoints",
            Self::NodeportEndpoints => "nodeport-endpoints",
            Self::LocalEndpoints => "local-endpoints",
            Self::NodeportLocalEndpoints => "nodeport-local-endpoints",
            Self::PortEndpoints => "port-endpoints",
            Self::NoEndpoints => "no-endpoints",
            Self::NodeportNoEndpoints => "nodeport-no-endpoints",
            Self::LocalhostNodeports => "localhost-nodeports",
            Self::SourceChecked => "source-checked",
            Self::ClusterIps => "cluster-ips",
            Self::NodeportIps => "nodeport-ips",
            Self::Hairpin => "hairpin",
            Self::ServiceConnections => "service-connections",
        }
    }

    /// The fields of the key, in order.
    pub fn key(self) -> &'static [KeyField] {
        use KeyField::{Address, Index, Port, Protocol};
        match self {
            Self::Services | Self::NoEndpoints | Self::SourceChecked | Self::ServiceConnections => {
                &[Address, Protocol, Port]
            }
            Self::Nodeports | Self::NodeportNoEndpoints | Self::LocalhostNodeports => {
                &[Protocol, Port]
            }
            Self::Endpoints | Self::LocalEndpoints => &[Address, Protocol, Port, Index],
            Self::NodeportEndpoints | Self::NodeportLocalEndpoints => &[Protocol, Port, Index],
            Self::PortEndpoints => &[Index],
            Self::ClusterIps | Self::NodeportIps => &[Address],
            Self::Hairpin => &[Address, Address, Protocol, Port],
        }
    }

    /// What an element yields; `None` for a plain set.
    pub fn data(self) -> Option<DataType> {
        match self {
            Self::Services
            | Self::Nodeports
            | Self::NoEndpoints
            | Self::NodeportNoEndpoints
            | Self::LocalhostNodeports
            | Self::SourceChecked => Some(DataType::Verdict),
            Self::Endpoints
            | Self::NodeportEndpoints
            | Self::LocalEndpoints
            | Self::NodeportLocalEndpoints
            | Self::PortEndpoints => Some(DataType::Endpoint),
            Self::ClusterIps | Self::NodeportIps | Self::Hairpin | Self::ServiceConnections => None,
        }
    }

    /// Whether rules put the elements in, which count.
    pub fn is_counting(self) -> bool {
        self == Self::ServiceConnections
    }

    /// Whether several Services may have the same element: one cluster IP for
    /// all ports, one endpoint behind two Services.
    pub(crate) fn is_shared(self) -> bool {
        matches!(self, Self::ClusterIps | Self::Hairpin)
    }

    /// The comment in a listing: what a reader of the ruleset wants to know.
    pub fn comment(self) -> &'static str {
        match self {
            Self::Services => "cluster, external and load-balancer IPs: who serves them",
            Self::Nodeports => "node ports: who serves them",
            Self::Endpoints => "frontend . n : its n-th endpoint",
            Self::NodeportEndpoints => "node port . n : its n-th endpoint",
            Self::LocalEndpoints => "frontend . n : its n-th endpoint on this node",
            Self::NodeportLocalEndpoints => "node port . n : its n-th endpoint on this node",
            Self::PortEndpoints => "endpoints of ports with many frontends, each port's in a row",
            Self::NoEndpoints => {
                "frontends without endpoints: reject; policy Local without local ones: drop"
            }
            Self::NodeportNoEndpoints => {
                "node ports without endpoints: reject; policy Local without local ones: drop"
            }
            Self::LocalhostNodeports => "node ports that are refused on loopback addresses",
            Self::SourceChecked => {
                "frontends with loadBalancerSourceRanges: who drops other sources"
            }
            Self::ClusterIps => "cluster IPs of all Services",
            Self::NodeportIps => "addresses that answer node ports",
            Self::Hairpin => "endpoints on this node that reach themselves through a Service",
            Self::ServiceConnections => "frontends that were connected to, and how often",
        }
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
