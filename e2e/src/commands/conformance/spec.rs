//! Services and their endpoints as the harness thinks of them: plain values, which the table
//! lists, the generator makes up and the shrinker takes apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use e2e::address::{self, ECHO_PORT, Pair};
use e2e::probe::Protocol;

/// The second port on which every pod answers, under the name `<pod>:8081`.
pub(crate) const SECOND_PORT: u16 = 8081;
/// The port on which every pod keeps connections.
pub(crate) const CHAT_PORT: u16 = 8082;
/// Node-1's addresses beside the primary ones.
pub(crate) const SECOND_ADDRESSES: Pair = Pair {
    v4: Ipv4Addr::new(192, 168, 61, 11),
    v6: Ipv6Addr::new(0xfd00, 0x61, 0, 0, 0, 0, 0, 11),
};
/// The zones of node-1, the node under test, and of node-2.
pub(crate) const ZONES: [&str; 2] = ["zone-a", "zone-b"];
/// Every pod that may be an endpoint, by node: the first two run on node-1.
pub(crate) const PODS: [(&str, u8); 4] = [("a1", 1), ("a2", 1), ("b1", 2), ("b2", 2)];
/// Addresses that a1 and b1 answer for besides, TCP only, by pod and family.
pub(crate) const RANGES: [[&str; 2]; 2] = [
    ["10.244.100.0/23", "fd00:10:244:100::/64"],
    ["10.244.102.0/23", "fd00:10:244:102::/64"],
];
/// The first host number that a node gives to a pod.
const FIRST_POD: u8 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// As Kubernetes writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// The address of this family.
    pub(crate) fn of(self, pair: Pair) -> IpAddr {
        match self {
            Self::V4 => pair.v4.into(),
            Self::V6 => pair.v6.into(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ClusterIp,
    NodePort,
    LoadBalancer,
    Headless,
    ExternalName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Cluster,
    Local,
}

/// What the status says of the load balancer's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ingress {
    /// There is none yet.
    None,
    /// Packets arrive with it as their destination.
    Vip,
    /// The load balancer sends to the nodes' own addresses.
    Proxy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    Unready,
    /// Terminating, and still answers.
    Serving,
    /// Terminating, and answers no more.
    Gone,
}

/// Which node the slice says that the endpoint is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The one where its pod runs.
    Real,
    /// One that doesn't exist.
    Unknown,
    /// It says nothing.
    Unsaid,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Index in [`PODS`].
    pub(crate) pod: usize,
    pub(crate) state: State,
    pub(crate) place: Place,
    pub(crate) zones: Vec<&'static str>,
    pub(crate) nodes: Vec<&'static str>,
    /// Number of the slice, of those of its family, that it is in.
    pub(crate) slice: u8,
}

impl Endpoint {
    pub(crate) fn new(pod: usize, state: State) -> Self {
        Self {
            pod,
            state,
            place: Place::Real,
            zones: Vec::new(),
            nodes: Vec::new(),
            slice: 0,
        }
    }

    /// Its pod's address.
    pub(crate) fn address(&self, family: Family) -> IpAddr {
        family.of(pod_addresses(self.pod))
    }
}

/// The addresses of the pod with this index in [`PODS`].
pub(crate) fn pod_addresses(pod: usize) -> Pair {
    let (_, node) = PODS[pod];
    let before = PODS[..pod].iter().filter(|(_, other)| *other == node);
    let host = (FIRST_POD..).zip(before).count();
    address::pod(node, FIRST_POD + u8::try_from(host).unwrap_or_default())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) target: u16,
}

/// A Service with all that makes its packets go where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// Chooses its addresses and node ports; no other Service has the same.
    pub(crate) slot: u8,
    pub(crate) kind: Kind,
    /// Its own first.
    pub(crate) families: Vec<Family>,
    pub(crate) ports: Vec<Port>,
    pub(crate) internal: Policy,
    pub(crate) external: Policy,
    /// The slot whose external IPs it has.
    pub(crate) external_ips: Option<u8>,
    pub(crate) ingress: Ingress,
    /// Session affinity's timeout, in seconds.
    pub(crate) affinity: Option<u32>,
    pub(crate) ranges: Vec<&'static str>,
    /// Whether its label leaves it to another proxy.
    pub(crate) other_proxy: bool,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// Where a Service is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frontend {
    ClusterIp,
    NodePort,
    ExternalIp,
    Balancer,
}

impl Frontend {
    pub(crate) const ALL: [Self; 4] = [
        Self::ClusterIp,
        Self::NodePort,
        Self::ExternalIp,
        Self::Balancer,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClusterIp => "cluster-ip",
            Self::NodePort => "node-port",
            Self::ExternalIp => "external-ip",
            Self::Balancer => "balancer",
        }
    }
}

impl Service {
    /// A dual-stack Service for TCP and UDP with every kind of frontend and no endpoints.
    pub(crate) fn new(name: &str, slot: u8) -> Self {
        Self {
            name: name.to_owned(),
            slot,
            kind: Kind::LoadBalancer,
            families: Family::BOTH.to_vec(),
            ports: [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)]
                .map(|(name, protocol)| Port {
                    name,
                    protocol,
                    port: 80,
                    target: ECHO_PORT,
                })
                .into(),
            internal: Policy::Cluster,
            external: Policy::Cluster,
            external_ips: Some(slot),
            ingress: Ingress::Vip,
            affinity: None,
            ranges: Vec::new(),
            other_proxy: false,
            endpoints: Vec::new(),
        }
    }

    pub(crate) fn has_node_ports(&self) -> bool {
        matches!(self.kind, Kind::NodePort | Kind::LoadBalancer)
    }

    /// Whether anything but its cluster IP is met by packets.
    pub(crate) fn is_external(&self) -> bool {
        self.has_node_ports() || self.external_ips.is_some()
    }

    /// The node port of a port, shared by the protocols of the same number.
    pub(crate) fn node_port(&self, port: &Port) -> u16 {
        let numbers = self.ports.iter().map(|port| port.port);
        let mut numbers: Vec<_> = numbers.collect();
        numbers.dedup();
        let index = numbers.iter().position(|number| *number == port.port);
        let index = u16::try_from(index.unwrap_or_default()).unwrap_or_default();
        30_000 + u16::from(self.slot) * 8 + index
    }

    /// The health check port, if it has one.
    pub(crate) fn health_port(&self) -> Option<u16> {
        let has = self.kind == Kind::LoadBalancer && self.external == Policy::Local;
        has.then_some(30_000 + u16::from(self.slot) * 8 + 7)
    }

    pub(crate) fn cluster_ip(&self, family: Family) -> IpAddr {
        family.of(cluster_ips(1, self.slot))
    }

    /// Where packets meet one of its ports, if they do by its spec.
    pub(crate) fn target(
        &self,
        frontend: Frontend,
        family: Family,
        port: &Port,
    ) -> Option<SocketAddr> {
        let (address, number) = match frontend {
            Frontend::ClusterIp => {
                let has = !matches!(self.kind, Kind::Headless | Kind::ExternalName);
                has.then(|| (self.cluster_ip(family), port.port))?
            }
            Frontend::NodePort => {
                let number = self.node_port(port);
                self.has_node_ports()
                    .then(|| (family.of(address::node(1)), number))?
            }
            Frontend::ExternalIp => (family.of(external_ips(self.external_ips?)), port.port),
            Frontend::Balancer => {
                let has = self.kind == Kind::LoadBalancer && self.ingress != Ingress::None;
                has.then(|| (family.of(address::virtual_ip(self.slot)), port.port))?
            }
        };
        Some(SocketAddr::new(address, number))
    }

    /// How many pods its connections might reach, rightly or not.
    pub(crate) fn reach(&self) -> usize {
        let mut pods: Vec<_> = self.endpoints.iter().map(|endpoint| endpoint.pod).collect();
        pods.sort_unstable();
        pods.dedup();
        pods.len()
    }
}

/// The cluster IP number `host` of block `block`: Services have block 1, canaries block 2.
pub(crate) const fn cluster_ips(block: u8, host: u8) -> Pair {
    let last = ((block as u16) << 8) | host as u16;
    Pair {
        v4: Ipv4Addr::new(10, 96, block, host),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, last),
    }
}

/// The external IPs of a slot.
pub(crate) const fn external_ips(slot: u8) -> Pair {
    Pair {
        v4: Ipv4Addr::new(192, 0, 2, slot),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, slot as u16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_have_the_addresses_that_their_nodes_give() {
        let [a1, a2, b1, b2] = [0, 1, 2, 3].map(|pod| pod_addresses(pod).v4.to_string());
        assert_eq!([a1.as_str(), a2.as_str()], ["10.244.1.10", "10.244.1.11"]);
        assert_eq!([b1.as_str(), b2.as_str()], ["10.244.2.10", "10.244.2.11"]);
    }
}
