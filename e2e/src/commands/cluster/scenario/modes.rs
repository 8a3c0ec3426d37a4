//! Mode iptables, as kubeadm's ConfigMap asks for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::wait;
use serde_json::json;

use super::{from, outside};
use crate::cluster::fixture::Cluster;

/// kubeadm's config.conf with the bed's ranges. The limit on connections is left alone, as only the
/// machine itself has it; the kubeconfig's place is where the control plane's files are.
const CONFIG: &str = "\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: 0.0.0.0
clientConnection: {acceptContentTypes: \"\", burst: 0, contentType: \"\", kubeconfig: KUBECONFIG, qps: 0}
clusterCIDR: 10.244.0.0/16,fd00:10:244::/48
configSyncPeriod: 0s
conntrack: {maxPerCore: 0, min: null, tcpCloseWaitTimeout: null, tcpEstablishedTimeout: null}
detectLocalMode: \"\"
healthzBindAddress: \"\"
hostnameOverride: \"\"
iptables: {localhostNodePorts: null, masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
metricsBindAddress: \"\"
mode: iptables
nodePortAddresses: null
";
const LIMIT: Duration = Duration::from_secs(20);

/// `iptables-save` has upstream's chains, connections to cluster IPs and node ports arrive, those to
/// 127.0.0.1 too; and when mode nftables serves again, nothing of it is left.
pub(super) fn kubeadm(cluster: &mut Cluster) -> Result<()> {
    cluster.run("web", &[1, 2])?;
    let service = cluster.serve("web", &json!({"type": "NodePort"}))?;
    cluster.take_daemon(0)?.terminate()?;
    let config = cluster.scratch().join("kubeadm.conf");
    let kubeconfig = e2e::controlplane::kubeconfig(cluster.scratch(), "system:kube-proxy");
    let text = CONFIG.replace("KUBECONFIG", &kubeconfig.to_string_lossy());
    std::fs::write(&config, text)?;
    let flag = format!("--config={}", config.display());
    cluster.start_daemon_by(0, &[&flag])?;
    let node = &cluster.bed.nodes()[0];
    let place = node.namespace();
    wait::until("upstream's chains, and no table", LIMIT, || {
        for (program, family) in [("iptables-nft-save", "ip"), ("ip6tables-nft-save", "ip6")] {
            let saved = place.exec(&[program])?;
            for part in [
                "\"default/web:tcp cluster IP\"",
                "-j KUBE-SERVICES",
                ":KUBE-PROXY-CANARY",
            ] {
                ensure!(saved.contains(part), "{program} has no {part}:\n{saved}");
            }
            let tables = place.exec(&["nft", "list", "tables", family])?;
            ensure!(!tables.contains("kube-proxy"), "{tables}");
        }
        Ok(())
    })?;
    let pods = ["web-1", "web-2"];
    for target in service.cluster_targets() {
        from(place, node.name()).reaches(target, &pods)?;
        from(place, node.name()).reaches_by_udp(target, &pods)?;
        from(cluster.pods[0].namespace(), "web-1").reaches(target, &pods)?;
    }
    for target in service.node_targets(node) {
        outside(cluster).reaches(target, &pods)?;
    }
    let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), service.node_port);
    from(place, node.name()).reaches(local, &pods)?;

    cluster.take_daemon(0)?.terminate()?;
    cluster.start_daemon(0)?;
    let place = cluster.bed.nodes()[0].namespace();
    wait::until("the table, and no chains", LIMIT, || {
        let saved = place.exec(&["iptables-nft-save"])?;
        ensure!(!saved.contains("KUBE-SERVICES"), "{saved}");
        place
            .exec(&["nft", "list", "table", "ip", "kube-proxy"])
            .map(drop)
            .context("the table")
    })?;
    for target in service.cluster_targets() {
        from(place, "node-1").reaches(target, &pods)?;
    }
    Ok(())
}
