//! This node and the cluster's Service ranges.

use super::Family;
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

impl Node {
    /// The node with what it no longer tells as it was told `before`: addresses
    /// and pods' ranges of a family of which there is none left. Without them node
    /// ports would open on every address, and pods could not be told from
    /// others. Also yields the fields that are kept, in words.
    pub(crate) fn keeping(mut self, before: &Self) -> (Self, Vec<String>) {
        let mut kept = Vec::new();
        for family in Family::ALL {
            let own = lost(&self.addresses, &before.addresses, family, |ip| *ip);
            if !own.is_empty() {
                kept.push(format!("{family} address {}", own[0]));
            }
            self.addresses.extend(own);
        }
        for family in Family::ALL {
            let own = lost(&self.pod_cidrs, &before.pod_cidrs, family, IpNet::addr);
            if !own.is_empty() {
                kept.push(format!("{family} podCIDR {}", own[0]));
            }
            self.pod_cidrs.extend(own);
        }
        (self, kept)
    }
}

/// What there was of a family that there is nothing of now.
fn lost<T: Copy>(now: &[T], before: &[T], family: Family, ip: impl Fn(&T) -> IpAddr) -> Vec<T> {
    let of_family = |own: &&T| Family::of(ip(own)) == family;
    if now.iter().any(|own| of_family(&own)) {
        return Vec::new();
    }
    before.iter().filter(of_family).copied().collect()
}

/// A ServiceCIDR object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCidr {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `spec.cidrs`.
    pub cidrs: Vec<IpNet>,
}
