//! What the operator chose, as far as the rules depend on it.

use crate::model::{Family, Protocol};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// How a packet is recognised as one from a pod of this node.
/// `detectLocalMode` of KubeProxyConfiguration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LocalDetector {
    /// Nothing counts as local: no masquerade of outside sources, no short
    /// circuit for pods. Upstream's behaviour when a family has no CIDR.
    #[default]
    None,
    /// The source address is in this range (`ClusterCIDR`, `NodeCIDR`).
    Source(IpNet),
    /// The packet came in by this interface (`BridgeInterface`), or by one
    /// whose name begins so (`InterfaceNamePrefix`). What the node itself
    /// sends came in by none.
    Interface {
        /// The name or its beginning, at most 15 bytes.
        name: Arc<str>,
        /// `name` is a beginning.
        wildcard: bool,
    },
}

/// Which local addresses answer node ports. `nodePortAddresses` of
/// KubeProxyConfiguration, after its keywords are resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NodeportAddresses {
    /// Every local address but the loopback ones.
    #[default]
    All,
    /// The local addresses in these ranges, again without the loopback ones.
    Within(Vec<IpNet>),
}

impl NodeportAddresses {
    /// Whether 127.0.0.1 or another address of that range is among those of IPv4.
    pub fn hold_ipv4_loopback(&self) -> bool {
        match self {
            Self::All => true,
            Self::Within(ranges) => ranges.iter().any(|range| {
                let first = IpAddr::from([127, 0, 0, 0]);
                range.addr().is_ipv4() && (range.addr().is_loopback() || range.contains(&first))
            }),
        }
    }

    /// Resolves configured ranges for one family: none of the family, or one
    /// of length zero, means all (docs/reference.md#node-port-addresses).
    pub fn from_ranges(family: Family, ranges: &[IpNet]) -> Self {
        let own: Vec<IpNet> = ranges
            .iter()
            .copied()
            .filter(|range| Family::of(range.addr()) == family)
            .collect();
        if own.is_empty() || own.iter().any(|range| range.prefix_len() == 0) {
            Self::All
        } else {
            Self::Within(own)
        }
    }

    /// Chooses from the node's interface addresses of the family; `None` when
    /// all of them answer and no list is kept.
    pub fn choose(&self, family: Family, local: &[IpAddr]) -> Option<Vec<IpAddr>> {
        let Self::Within(ranges) = self else {
            return None;
        };
        let mut chosen: Vec<IpAddr> = local
            .iter()
            .copied()
            .filter(|address| Family::of(*address) == family && !address.is_loopback())
            .filter(|address| ranges.iter().any(|range| range.contains(address)))
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        Some(chosen)
    }
}

/// What becomes of node ports on loopback addresses where nftables serves: its rules cannot bring
/// such connections to an endpoint (KEP-6032).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Localhost {
    /// No rule says anything about them.
    #[default]
    Untouched,
    /// They are refused, and counted by protocol.
    Refused,
    /// This process serves TCP on 127.0.0.1 or `::1` as a proxy ([`localhost`](crate::localhost));
    /// other protocols are refused and counted.
    Proxied {
        /// Under `externalTrafficPolicy: Local` every endpoint serves, as in mode iptables, to which
        /// such clients are the node itself. Otherwise those of this node alone, as upstream has it
        /// in mode nftables.
        local_policy_serves_all: bool,
    },
}

impl Localhost {
    /// Whether node ports of this protocol are refused there.
    pub fn refuses(self, protocol: Protocol) -> bool {
        match self {
            Self::Untouched => false,
            Self::Refused => true,
            Self::Proxied { .. } => protocol != Protocol::Tcp,
        }
    }
}

/// Which of the kernel's named counters (`nfnetlink_acct`) there are for rules to count in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// For packets that were dropped as invalid.
    pub invalid_dropped: bool,
    /// For connections to node ports on loopback addresses.
    pub localhost_nodeports: bool,
}

/// Settings of one family's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The family.
    pub family: Family,
    /// This node's name, lower case; endpoints with it are local.
    pub node_name: Arc<str>,
    /// The packet mark for masquerade: `1 << nftables.masqueradeBit`.
    pub masquerade_mark: u32,
    /// `masqueradeAll`: masquerade everything sent to a cluster IP.
    pub masquerade_all: bool,
    /// How local pods are recognised.
    pub local_detector: LocalDetector,
    /// Which addresses answer node ports.
    pub nodeport_addresses: NodeportAddresses,
    /// The node's primary address of the family. Source ranges that hold it
    /// also let in connections that the node makes from the load-balancer IP
    /// itself (docs/reference.md#source-ranges).
    pub node_ip: Option<IpAddr>,
    /// Count connections of each frontend.
    pub count_services: bool,
    /// `iptables.localhostNodePorts`, where the node-port addresses [allow it]: node ports answer on
    /// loopback addresses too. Mode iptables alone, and never in IPv6.
    ///
    /// [allow it]: NodeportAddresses::hold_ipv4_loopback
    pub localhost_nodeports: bool,
    /// Node ports on loopback addresses where nftables serves.
    pub localhost: Localhost,
    /// Packets to forward are dropped that conntrack calls invalid: upstream does so in mode iptables
    /// where the sysctl `nf_conntrack_tcp_be_liberal` is 0 (kubernetes/kubernetes#74839).
    pub drop_invalid: bool,
    /// The counters that there are, in mode iptables.
    pub counters: Counters,
}

impl Config {
    /// Upstream's default masquerade bit, 14.
    pub const DEFAULT_MASQUERADE_MARK: u32 = 1 << 14;

    /// Upstream's defaults, all local addresses answering node ports.
    pub fn new(family: Family, node_name: impl Into<Arc<str>>) -> Self {
        Self {
            family,
            node_name: node_name.into(),
            masquerade_mark: Self::DEFAULT_MASQUERADE_MARK,
            masquerade_all: false,
            local_detector: LocalDetector::None,
            nodeport_addresses: NodeportAddresses::All,
            node_ip: None,
            count_services: false,
            localhost_nodeports: false,
            localhost: Localhost::Untouched,
            drop_invalid: false,
            counters: Counters::default(),
        }
    }
}
