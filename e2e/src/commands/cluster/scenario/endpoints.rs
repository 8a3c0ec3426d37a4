//! Endpoints that come and go.

use anyhow::Result;
use serde_json::json;

use super::{from, outside};
use crate::cluster::fixture::Cluster;

pub(super) fn scale(cluster: &mut Cluster) -> Result<()> {
    cluster.run("web", &[1])?;
    let service = cluster.serve("web", &json!({"type": "NodePort"}))?;
    let steps: [(&[u8], &[&str]); 3] = [
        (&[], &["web-1"]),
        (&[2], &["web-1", "web-2"]),
        (&[3, 3], &["web-1", "web-2", "web-3", "web-4"]),
    ];
    for (more, expected) in steps {
        cluster.run("web", more)?;
        everywhere(cluster, &service, expected)?;
    }
    // The pods still run: only the rules keep connections away.
    cluster.forget_pod(0)?;
    cluster.forget_pod(3)?;
    everywhere(cluster, &service, &["web-2", "web-3"])
}

pub(super) fn unready(cluster: &mut Cluster) -> Result<()> {
    cluster.run("web", &[1, 2])?;
    let service = cluster.serve("web", &json!({"type": "NodePort"}))?;
    everywhere(cluster, &service, &["web-1", "web-2"])?;
    cluster.set_ready(0, false)?;
    everywhere(cluster, &service, &["web-2"])?;
    cluster.set_ready(0, true)?;
    everywhere(cluster, &service, &["web-1", "web-2"])
}

/// Without endpoints connections are rejected; without the Service its cluster IP is no one's.
pub(super) fn none(cluster: &mut Cluster) -> Result<()> {
    cluster.run("web", &[1])?;
    cluster.run("probe", &[2])?;
    let service = cluster.serve("web", &json!({"type": "NodePort"}))?;
    everywhere(cluster, &service, &["web-1"])?;
    cluster.set_ready(0, false)?;
    let probe = from(cluster.pods[1].namespace(), "a pod");
    for target in service.cluster_targets() {
        probe.is_refused(target)?;
        for node in cluster.bed.nodes() {
            from(node.namespace(), node.name()).is_refused(target)?;
        }
    }
    for node in cluster.bed.nodes() {
        for target in service.node_targets(node) {
            outside(cluster).is_refused(target)?;
        }
    }
    cluster.set_ready(0, true)?;
    everywhere(cluster, &service, &["web-1"])?;

    cluster.delete(&service)?;
    let probe = from(cluster.pods[1].namespace(), "a pod");
    for target in service.cluster_targets() {
        // Inside the ServiceCIDR, but no Service's.
        probe.is_dropped(target)?;
    }
    for node in cluster.bed.nodes() {
        for target in service.node_targets(node) {
            outside(cluster).is_refused(target)?;
        }
    }
    Ok(())
}

/// That exactly these pods answer on the node port of every node and on the cluster IPs, from
/// every node.
fn everywhere(
    cluster: &Cluster,
    service: &crate::cluster::fixture::Service,
    pods: &[&str],
) -> Result<()> {
    for node in cluster.bed.nodes() {
        for target in service.node_targets(node) {
            outside(cluster).reaches(target, pods)?;
        }
        for target in service.cluster_targets() {
            from(node.namespace(), node.name()).reaches(target, pods)?;
        }
    }
    Ok(())
}
