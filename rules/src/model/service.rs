//! A Service as the rules see it.

use super::{ObjectName, Protocol};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// `internalTrafficPolicy` or `externalTrafficPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrafficPolicy {
    /// Every ready endpoint of the Service.
    #[default]
    Cluster,
    /// Endpoints on this node only.
    Local,
}

/// `spec.type`, of Services that have a cluster IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceType {
    /// Reached from outside by `spec.externalIPs`, or not at all.
    #[default]
    ClusterIp,
    /// Reached at the nodes' addresses.
    NodePort,
    /// Reached by way of a balancer that somebody else provides.
    LoadBalancer,
}

impl ServiceType {
    /// Type NodePort or LoadBalancer.
    pub fn is_external(self) -> bool {
        self != Self::ClusterIp
    }
}

impl std::fmt::Display for ServiceType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ClusterIp => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        })
    }
}

/// A Service with at least one cluster IP (headless and ExternalName Services
/// never become one of these).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// `metadata.namespace` and `metadata.name`.
    pub name: ObjectName,
    /// The manifest it was read from, for messages.
    pub origin: Option<Arc<str>>,
    /// `metadata.creationTimestamp`, seconds since the epoch; 0 if absent.
    /// The older of two Services that claim one frontend keeps it.
    pub created: i64,
    /// `spec.clusterIPs`, at most one of each family.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs`, either family.
    pub external_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress[].ip` of those with `ipMode` unset or VIP.
    pub load_balancer_ips: Vec<IpAddr>,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// `spec.internalTrafficPolicy`.
    pub internal_policy: TrafficPolicy,
    /// `spec.externalTrafficPolicy`.
    pub external_policy: TrafficPolicy,
    /// `spec.sessionAffinityConfig.clientIP.timeoutSeconds` with
    /// `sessionAffinity: ClientIP`; `None` without affinity.
    pub session_affinity: Option<u32>,
    /// `spec.loadBalancerSourceRanges`, either family; empty if every source
    /// may reach the load-balancer IPs.
    pub source_ranges: Box<[IpNet]>,
    /// `spec.healthCheckNodePort`, only for type LoadBalancer with external
    /// policy Local and a port other than 0.
    pub health_check_node_port: Option<u16>,
    /// `spec.type`. Decides whether a Service without any external frontend yet counts in the
    /// `external` no-local-endpoints metric.
    pub kind: ServiceType,
}

/// One of `spec.ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// `name`, empty if unset. Matched with the EndpointSlice port's name.
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`, never 0.
    pub port: u16,
    /// `nodePort`, `None` if 0 or unset.
    pub node_port: Option<u16>,
}
