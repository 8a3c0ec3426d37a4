//! Both traffic policies, and changes between them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use e2e::address::{CLIENT, virtual_ip};
use e2e::{Node, Vip, wait};
use serde_json::json;

use super::{from, outside};
use crate::cluster::fixture::{Cluster, Service};

/// Cluster to Local and back, with pods on node-1 and node-2 and none on node-3.
pub(super) fn switch(cluster: &mut Cluster) -> Result<()> {
    cluster.run("web", &[1, 2, 2])?;
    let service = cluster.serve("web", &json!({"type": "LoadBalancer"}))?;
    cluster.set_ingress(&service, virtual_ip(20))?;
    is_cluster(cluster, &service)?;

    let service = cluster.change(&service, &json!({"externalTrafficPolicy": "Local"}))?;
    ensure!(
        service.health_port != 0,
        "no healthCheckNodePort was allocated"
    );
    is_local(cluster, &service)?;
    health_weighs_endpoints(cluster, &service)?;

    let before = service.health_port;
    let service = cluster.change(&service, &json!({"externalTrafficPolicy": "Cluster"}))?;
    is_cluster(cluster, &service)?;
    for node in cluster.bed.nodes() {
        // Nothing listens there any more.
        outside(cluster).is_refused(primary(node, before))?;
    }
    Ok(())
}

/// All nodes serve, by all pods, under the nodes' addresses.
fn is_cluster(cluster: &Cluster, service: &Service) -> Result<()> {
    let address = virtual_ip(20);
    balance(cluster, 10256, &[1, 2, 3])?;
    let nodes: Vec<_> = cluster
        .bed
        .nodes()
        .iter()
        .flat_map(|n| n.addresses().both())
        .collect();
    let pods = ["web-1", "web-2", "web-3"];
    for ip in address.both() {
        outside(cluster).seen_as(SocketAddr::new(ip, Cluster::PORT), &pods, &nodes)?;
    }
    for node in cluster.bed.nodes() {
        for target in service.node_targets(node) {
            outside(cluster).seen_as(target, &pods, &nodes)?;
        }
    }
    Ok(())
}

/// Nodes serve by their own pods, under the client's address; node-3 has none and drops.
fn is_local(cluster: &Cluster, service: &Service) -> Result<()> {
    let address = virtual_ip(20);
    let all = ["web-1", "web-2", "web-3"];
    let local: [&[&str]; 3] = [&["web-1"], &["web-2", "web-3"], &[]];
    balance(cluster, service.health_port, &[1, 2])?;
    for ip in address.both() {
        let target = SocketAddr::new(ip, Cluster::PORT);
        outside(cluster).seen_as(target, &all, &CLIENT.both())?;
        // From inside, every pod of the cluster is as good, also on node-3.
        for node in cluster.bed.nodes() {
            from(node.namespace(), node.name()).reaches(target, &all)?;
        }
        let pod = &cluster.pods[0];
        from(pod.namespace(), pod.name()).reaches(target, &all)?;
    }
    for (node, pods) in cluster.bed.nodes().iter().zip(local) {
        for target in service.node_targets(node) {
            match pods {
                [] => outside(cluster).is_dropped(target)?,
                _ => outside(cluster).seen_as(target, pods, &CLIENT.both())?,
            }
        }
    }
    Ok(())
}

/// The health check port counts the node's own ready endpoints.
fn health_weighs_endpoints(cluster: &Cluster, service: &Service) -> Result<()> {
    let expected = [(200, 1), (200, 2), (503, 0)];
    for (node, (status, weight)) in cluster.bed.nodes().iter().zip(expected) {
        let response = outside(cluster).health(primary(node, service.health_port), status)?;
        let header = response.header("X-Load-Balancing-Endpoint-Weight");
        ensure!(
            header == Some(weight.to_string().as_str()),
            "{}: weight {header:?}",
            node.name()
        );
        let body: serde_json::Value = serde_json::from_str(&response.body)?;
        ensure!(
            body["localEndpoints"].as_u64() == Some(weight),
            "{}: body {body}",
            node.name()
        );
    }
    Ok(())
}

/// internalTrafficPolicy Local: cluster IPs serve by the node's own pods only.
pub(super) fn internal(cluster: &mut Cluster) -> Result<()> {
    cluster.run("web", &[1, 2])?;
    let service = cluster.serve("web", &json!({"internalTrafficPolicy": "Local"}))?;
    let nodes = cluster.bed.nodes();
    for target in service.cluster_targets() {
        from(nodes[0].namespace(), "node-1").reaches(target, &["web-1"])?;
        from(nodes[1].namespace(), "node-2").reaches(target, &["web-2"])?;
        from(nodes[2].namespace(), "node-3").is_dropped(target)?;
        let pod = &cluster.pods[1];
        from(pod.namespace(), pod.name()).reaches(target, &["web-2"])?;
    }
    Ok(())
}

/// Lets the load balancer serve, and waits until exactly these nodes get connections.
fn balance(cluster: &Cluster, health_port: u16, nodes: &[usize]) -> Result<()> {
    let address = virtual_ip(20);
    cluster.bed.balancer().serve(&[Vip {
        address,
        health_port,
    }]);
    wait::until("load balancer", Duration::from_secs(10), || {
        match cluster.bed.balancer().in_service(address) {
            found if found == nodes => Ok(()),
            found => bail!("nodes {found:?} in service instead of {nodes:?}"),
        }
    })
    .map(drop)
}

fn primary(node: &Node, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(node.addresses().v4), port)
}
