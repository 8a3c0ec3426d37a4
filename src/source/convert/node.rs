//! Nodes and ServiceCIDRs.

use super::{Converted, ranges};
use crate::config::parse_ip;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::networking::v1 as networking;
use rules::model::{Node, ServiceCidr};
use std::net::IpAddr;

const ZONE: &str = "topology.kubernetes.io/zone";
/// Set by the cluster autoscaler on a node that it is about to remove.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// Converts a Node (docs/reference.md#the-node).
pub fn node(node: &core::Node) -> Converted<Node> {
    let mut problems = Vec::new();
    let spec = node.spec.as_ref();
    let taints = spec.and_then(|spec| spec.taints.as_ref());
    let doomed = taints
        .into_iter()
        .flatten()
        .any(|taint| taint.key == TO_BE_DELETED);
    let labels = node.metadata.labels.as_ref();
    let cidrs = spec
        .and_then(|spec| spec.pod_cidrs.as_ref())
        .into_iter()
        .flatten();
    let object = Node {
        name: node.metadata.name.as_deref().unwrap_or_default().into(),
        addresses: node_addresses(node, &mut problems),
        pod_cidrs: ranges("spec.podCIDRs", cidrs, &mut problems),
        zone: labels
            .and_then(|labels| labels.get(ZONE))
            .map(|zone| zone.as_str().into()),
        eligible: node.metadata.deletion_timestamp.is_none() && !doomed,
    };
    Converted::new(Some(object), problems)
}

/// The internal addresses, or the external ones if there are no others.
fn node_addresses(node: &core::Node, problems: &mut Vec<String>) -> Vec<IpAddr> {
    let all = node
        .status
        .as_ref()
        .and_then(|status| status.addresses.as_ref());
    let mut of_type = |kind: &str| -> Vec<IpAddr> {
        let own = all.into_iter().flatten().filter(|own| own.type_ == kind);
        own.filter_map(|own| {
            let found = parse_ip(&own.address);
            if found.is_none() {
                let text = &own.address;
                problems.push(format!(
                    "status.addresses: {kind} {text:?} is not an IP address"
                ));
            }
            found
        })
        .collect()
    };
    let internal = of_type("InternalIP");
    if internal.is_empty() {
        of_type("ExternalIP")
    } else {
        internal
    }
}

/// Converts a ServiceCIDR.
pub fn service_cidr(object: &networking::ServiceCIDR) -> Converted<ServiceCidr> {
    let mut problems = Vec::new();
    let cidrs = object
        .spec
        .as_ref()
        .and_then(|spec| spec.cidrs.as_ref())
        .into_iter()
        .flatten();
    let object = ServiceCidr {
        name: object.metadata.name.as_deref().unwrap_or_default().into(),
        cidrs: ranges("spec.cidrs", cidrs, &mut problems),
    };
    Converted::new(Some(object), problems)
}
