//! Kubernetes objects as the daemon's `--manifests` directory takes them.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::address::{ECHO_PORT, SERVICE_CIDR, pod_cidrs};
use crate::{Node, Pod};

/// A Node with its addresses and pod ranges.
pub fn node(node: &Node) -> Value {
    let cidrs = pod_cidrs(node.number());
    let addresses: Vec<_> = node
        .addresses()
        .both()
        .iter()
        .map(|address| json!({"type": "InternalIP", "address": address}))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name(), "labels": {"kubernetes.io/hostname": node.name()}},
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
        "status": {"addresses": addresses},
    })
}

/// The ServiceCIDR that cluster IPs are taken from.
pub fn service_cidr() -> Value {
    let cidrs: Vec<_> = SERVICE_CIDR.split(',').collect();
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": cidrs},
    })
}

/// The two EndpointSlices, one per family, of Service `service` with these ready pods.
pub fn endpoint_slices(service: &str, pods: &[&Pod]) -> Vec<Value> {
    [("IPv4", "v4"), ("IPv6", "v6")]
        .into_iter()
        .enumerate()
        .map(|(index, (family, suffix))| {
            let endpoints: Vec<_> = pods
                .iter()
                .map(|pod| {
                    json!({
                        "addresses": [pod.addresses().both()[index]],
                        "conditions": {"ready": true, "serving": true, "terminating": false},
                        "nodeName": pod.node(),
                        "targetRef": {"kind": "Pod", "namespace": "default", "name": pod.name()},
                    })
                })
                .collect();
            json!({
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": format!("{service}-{suffix}"),
                    "namespace": "default",
                    "labels": {"kubernetes.io/service-name": service},
                },
                "addressType": family,
                "ports": [{"name": "echo", "port": ECHO_PORT, "protocol": "TCP"}],
                "endpoints": endpoints,
            })
        })
        .collect()
}

/// Writes `objects` as one `kind: List` to `directory/name.json`, whole or not at all.
///
/// # Errors
/// If a file can't be written.
pub fn write(directory: &Path, name: &str, objects: &[Value]) -> Result<()> {
    let text = serde_json::to_string_pretty(&list(objects)).context("print a manifest")?;
    replace(directory, name, &text)
}

/// [`write()`] for many objects, without the spaces that make it readable.
///
/// # Errors
/// If a file can't be written.
pub fn write_compact(directory: &Path, name: &str, objects: &[Value]) -> Result<()> {
    replace(directory, name, &list(objects).to_string())
}

fn list(objects: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": objects})
}

fn replace(directory: &Path, name: &str, text: &str) -> Result<()> {
    // Made outside the directory, which the daemon watches.
    let draft = directory.with_extension("draft");
    let target = directory.join(format!("{name}.json"));
    std::fs::write(&draft, text).with_context(|| format!("write {}", draft.display()))?;
    std::fs::rename(&draft, &target).with_context(|| format!("write {}", target.display()))
}
