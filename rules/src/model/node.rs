//! This node and the cluster's Service ranges.

use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// A Node as the rules and the health server see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `status.addresses`: every InternalIP, or every ExternalIP when there
    /// is no InternalIP, in order.
    pub addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`.
    pub pod_cidrs: Vec<IpNet>,
    /// Label `topology.kubernetes.io/zone`.
    pub zone: Option<Arc<str>>,
    /// No `deletionTimestamp` and no taint `ToBeDeletedByClusterAutoscaler`:
    /// what `/healthz` calls an eligible node.
    pub eligible: bool,
}

/// A ServiceCIDR object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCidr {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `spec.cidrs`.
    pub cidrs: Vec<IpNet>,
}
