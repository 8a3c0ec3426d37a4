//! What is told of a Service.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A Service seen from one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `namespace/name`.
    pub service: String,
    /// `spec.type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `internalTrafficPolicy`.
    pub internal_policy: Policy,
    /// `externalTrafficPolicy`; `null` if it has no frontend for clients outside.
    pub external_policy: Option<Policy>,
    /// `sessionAffinity: ClientIP` with this timeout, in seconds; `null` without affinity.
    pub session_affinity_seconds: Option<u32>,
    /// `loadBalancerSourceRanges`; empty if every source may come.
    pub source_ranges: Vec<String>,
    /// `spec.selector`.
    pub selector: BTreeMap<String, String>,
    /// Why no proxy has rules for it; `null` if it has some.
    pub unproxied: Option<String>,
    /// Where it is reached.
    pub frontends: Vec<FrontendExplained>,
    /// Who is there to serve it.
    pub endpoints: Vec<EndpointExplained>,
    /// The health check node port; `null` without one.
    pub health: Option<Health>,
    /// Its rules as `iptables-save` tells them, table by table; empty where nftables serves.
    pub rules: Vec<String>,
    /// What the kernel holds, by family; empty if it was not looked at.
    pub kernel: Vec<KernelState>,
}

/// A traffic policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Policy {
    /// All endpoints serve.
    #[default]
    Cluster,
    /// Those on the node serve.
    Local,
}

/// What a frontend is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FrontendKind {
    /// One of `spec.clusterIPs`.
    ClusterIp,
    /// One of `status.loadBalancer.ingress`.
    LoadBalancerIp,
    /// One of `spec.externalIPs`.
    ExternalIp,
    /// A port of every node-port address.
    NodePort,
}

/// An address and port that clients connect to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FrontendExplained {
    /// What it is.
    pub kind: FrontendKind,
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// The address; `null` for a node port, which is on many.
    pub address: Option<IpAddr>,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The port that clients connect to.
    pub port: u16,
    /// The name of the Service's port, empty if it has none.
    pub port_name: String,
    /// The chain that serves it, as `nft` or `iptables` shows it; `null` if none does.
    pub chain: Option<String>,
    /// What that chain does, in words.
    pub meaning: String,
    /// The Service that has it instead; `null` if it is this one's.
    pub held_by: Option<String>,
    /// What clients outside the cluster get.
    pub outside: Answer,
    /// What pods on this node get.
    pub pods: Answer,
    /// What this node itself gets.
    pub node: Answer,
}

/// Who answers, and whose address the pod sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// What becomes of a connection.
    pub outcome: State,
    /// How many endpoints may answer.
    pub endpoints: usize,
    /// Whose address they see; `null` if nobody answers.
    pub client_address: Option<ClientAddress>,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// An endpoint answers.
    Served,
    /// It is refused: ICMP port unreachable.
    Rejected,
    /// It times out.
    Dropped,
    /// The rules do nothing with it.
    Untouched,
}

/// Whose address a pod sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClientAddress {
    /// The client's.
    Kept,
    /// A node's.
    Replaced,
}

/// An endpoint of one port.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointExplained {
    /// The name of the Service's port, empty if it has none.
    pub port_name: String,
    /// The pod's address.
    pub address: IpAddr,
    /// The pod's port; `null` if its EndpointSlice has no such port.
    pub port: Option<u16>,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// `namespace/name` of the pod, if the slice names one.
    pub pod: Option<String>,
    /// `nodeName`.
    pub node: Option<String>,
    /// The Node's `topology.kubernetes.io/zone`.
    pub zone: Option<String>,
    /// `conditions.ready`.
    pub ready: bool,
    /// `conditions.serving`.
    pub serving: bool,
    /// `conditions.terminating`.
    pub terminating: bool,
    /// It serves connections that come to cluster IPs on this node.
    pub used_inside: bool,
    /// It serves connections of clients outside, on this node; `null` if they cannot come.
    pub used_outside: Option<bool>,
    /// Why it does not serve, in words; `null` if it does.
    pub left_out: Option<String>,
    /// The share of connections from this node's pods that it gets, of 1.
    pub share_inside: f64,
    /// The share of connections from outside, all nodes together, if a balancer spreads them evenly
    /// over the nodes that serve; of 1. `null` if they cannot come.
    pub share_outside: Option<f64>,
}

/// The health check node port.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `healthCheckNodePort`.
    pub port: u16,
    /// What each node answers.
    pub nodes: Vec<NodeHealth>,
}

/// What one node's health check port answers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealth {
    /// The Node.
    pub node: String,
    /// Its addresses, where it is asked.
    pub addresses: Vec<IpAddr>,
    /// Ready endpoints on it.
    pub local_endpoints: usize,
    /// The status that it should answer: 200 or 503.
    pub expected: u16,
    /// The status that it answered; `null` if it was not asked, or did not answer.
    pub answered: Option<u16>,
    /// Why there is no answer; `null` if there is one, or it was not asked.
    pub error: Option<String>,
}

/// What the kernel's table of one family holds of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KernelState {
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// Whether it holds what it should; `null` if it could not be read.
    pub as_it_should: Option<bool>,
    /// What is different, a sentence each; or why it could not be read.
    pub differences: Vec<String>,
}

impl FrontendKind {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::ClusterIp => "cluster IP",
            Self::LoadBalancerIp => "load-balancer IP",
            Self::ExternalIp => "external IP",
            Self::NodePort => "node port",
        }
    }
}
