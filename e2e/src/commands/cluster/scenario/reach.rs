//! Every kind of frontend, from every kind of place, in both families.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use e2e::Vip;
use e2e::address::{cluster_ip, virtual_ip};
use serde_json::json;

use super::{from, outside};
use crate::cluster::fixture::Cluster;

/// The Service `kubernetes`, which the API server makes with an EndpointSlice of its own.
pub(super) fn kubernetes_service(cluster: &mut Cluster) -> Result<()> {
    let target = SocketAddr::new(IpAddr::V4(cluster_ip(1).v4), 443);
    for node in cluster.bed.nodes() {
        // TLS is not the point: it answers plain HTTP with 400.
        from(node.namespace(), node.name()).health(target, 400)?;
    }
    Ok(())
}

pub(super) fn cluster_ips(cluster: &mut Cluster) -> Result<()> {
    cluster.run("web", &[1, 2])?;
    let service = cluster.serve("web", &json!({}))?;
    let pods = ["web-1", "web-2"];
    for target in service.cluster_targets() {
        for pod in &cluster.pods {
            let from = from(pod.namespace(), pod.name());
            from.reaches(target, &pods)?;
            from.reaches_by_udp(target, &pods)?;
        }
        for node in cluster.bed.nodes() {
            let from = from(node.namespace(), node.name());
            from.reaches(target, &pods)?;
            from.reaches_by_udp(target, &pods)?;
        }
        // Another port of a known cluster IP.
        let wrong = SocketAddr::new(target.ip(), 81);
        from(cluster.pods[0].namespace(), "web-1").is_refused(wrong)?;
    }
    // A pod is seen by its own address, except by itself: the answer must come back through
    // the node.
    for (index, target) in service.cluster_targets().into_iter().enumerate() {
        let pod = &cluster.pods[0];
        let tally = from(pod.namespace(), pod.name()).reaches(target, &pods)?;
        let address = pod.addresses().both()[index];
        let node = cluster.bed.nodes()[0].addresses().both()[index];
        anyhow::ensure!(tally.seen_by("web-2") == [address], "web-2 saw {tally:?}");
        anyhow::ensure!(tally.seen_by("web-1") == [node], "web-1 saw {tally:?}");
    }
    Ok(())
}

pub(super) fn node_port(cluster: &mut Cluster) -> Result<()> {
    cluster.run("web", &[1, 2])?;
    let service = cluster.serve("web", &json!({"type": "NodePort"}))?;
    let pods = ["web-1", "web-2"];
    for node in cluster.bed.nodes() {
        let addresses = node.addresses().both();
        for target in service.node_targets(node) {
            // The node itself forwards, also to the other node's pod.
            outside(cluster).seen_as(target, &pods, &addresses)?;
            from(node.namespace(), node.name()).reaches(target, &pods)?;
            from(cluster.pods[0].namespace(), "web-1").reaches(target, &pods)?;
        }
    }
    Ok(())
}

pub(super) fn load_balancer(cluster: &mut Cluster) -> Result<()> {
    cluster.run("web", &[1, 2])?;
    let service = cluster.serve("web", &json!({"type": "LoadBalancer"}))?;
    let address = virtual_ip(10);
    cluster.set_ingress(&service, address)?;
    cluster.bed.balancer().serve(&[Vip {
        address,
        health_port: 10256,
    }]);
    let pods = ["web-1", "web-2"];
    for address in address.both() {
        let target = SocketAddr::new(address, Cluster::PORT);
        outside(cluster).reaches(target, &pods)?;
        outside(cluster).reaches_by_udp(target, &pods)?;
        let node = &cluster.bed.nodes()[2];
        from(node.namespace(), node.name()).reaches(target, &pods)?;
    }
    Ok(())
}
