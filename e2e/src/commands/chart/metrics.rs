//! What alerts and dashboard ask for exists.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cleanup::ScratchDir;
use e2e::{Bed, Daemon, Node, exposition, manifest, wait};
use serde_json::{Value, json};

use crate::chart::checkout;
use crate::chart::helm::tool;

const ALERTS: &str = "charts/kube-proxy-rs/files/alerts.yaml";
const DASHBOARD: &str = "charts/kube-proxy-rs/files/dashboard.json";
/// The modes, and the table of each that `nft -i` makes its own.
const MODES: [(&str, &str); 2] = [("nftables", "ip kube-proxy"), ("iptables", "ip nat")];

/// promtool takes them, and each fires in its test.
pub(crate) fn check_alerts() -> Result<()> {
    tool("promtool", &["check", "rules", ALERTS])?;
    tool("promtool", &["test", "rules", "e2e/chart/alerts_test.yaml"]).map(drop)
}

/// Every metric that they name is in a running daemon's answer. One that was never observed is
/// not, so everything happens to this daemon that has a metric.
pub(crate) fn check_names() -> Result<()> {
    let mut asked = BTreeSet::new();
    names(&std::fs::read_to_string(checkout(ALERTS))?, &mut asked);
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(checkout(DASHBOARD))?)?;
    names(&dashboard.to_string(), &mut asked);
    ensure!(asked.len() > 10, "only {asked:?} found");
    for (mode, table) in MODES {
        let mut asked = asked.clone();
        asked.retain(|name| {
            !MODES
                .iter()
                .any(|(other, _)| *other != mode && name.contains(other))
        });
        has_all(mode, table, &asked).with_context(|| format!("mode {mode}"))?;
    }
    Ok(())
}

/// That a daemon in a mode has all of these, once a table of its rules is another process's.
fn has_all(mode: &str, table: &str, asked: &BTreeSet<String>) -> Result<()> {
    let bed = Bed::build(1)?;
    let node = &bed.nodes()[0];
    let directory = ScratchDir::create("chart-metrics")?;
    let manifests = directory.path().join("manifests");
    std::fs::create_dir(&manifests)?;
    let write = |ports: &[u16]| manifest::write(&manifests, "all", &objects(node, ports));
    write(&[53])?;
    let source = [
        "--manifests",
        &manifests.to_string_lossy(),
        "--proxy-mode",
        mode,
    ];
    let mut daemon = Daemon::start(node, &source, directory.path())?;
    daemon.wait_live(node)?;
    let health = SocketAddr::new(IpAddr::V4(node.addresses().v4), 10256);
    node.namespace().get(health, "/healthz")?;
    write(&[53, 54])?;
    let limit = Duration::from_secs(20);
    wait::until("a change of some Services", limit, || {
        ensure!(
            node.namespace()
                .metrics()?
                .contains("kubeproxy_sync_partial_proxy_rules_duration_seconds_count")
        );
        Ok(())
    })?;
    // What is drift first and then a refusal: the table is another process's, for its life.
    let mut owner = node.namespace().command("nft");
    let mut owner = owner
        .arg("-i")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let take = format!("delete table {table}; add table {table} {{ flags owner; }}\n");
    let taken = owner
        .stdin
        .as_mut()
        .map(|input| input.write_all(take.as_bytes()));
    taken.context("nft has no input")??;
    let every = wait::until("every metric", limit, || {
        let text = node.namespace().metrics()?;
        let there = exposition::names(&text);
        let missing: Vec<_> = asked
            .iter()
            .filter(|name| !there.contains(name.as_str()))
            .collect();
        ensure!(missing.is_empty(), "not in /metrics: {missing:?}");
        Ok(())
    });
    owner.kill()?;
    owner.wait()?;
    every.map(drop)
}

/// A Service with policy Local and these UDP ports, and one endpoint that is elsewhere.
fn objects(node: &Node, ports: &[u16]) -> Vec<Value> {
    let ports: Vec<_> = ports
        .iter()
        .map(|port| json!({"name": format!("p{port}"), "protocol": "UDP", "port": port}))
        .collect();
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "dns", "namespace": "default", "uid": "dns"},
        "spec": {
            "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "ipFamilies": ["IPv4"],
            "internalTrafficPolicy": "Local", "ports": ports,
        },
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "dns-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "dns"},
            // Later than the daemon's start, so that it counts.
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2099-01-01T00:00:00Z"},
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [{"addresses": ["10.244.9.9"], "conditions": {"ready": true}}],
    });
    vec![manifest::node(node), service, slice]
}

/// Collects the words in `text` that are metrics of ours.
fn names(text: &str, found: &mut BTreeSet<String>) {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = words.filter(|word| word.starts_with("kubeproxy_") || word.starts_with("process_"));
    found.extend(ours.map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_expressions() {
        let mut found = BTreeSet::new();
        names(
            "rate(kubeproxy_a_total{x=\"y\"}[5m]) > process_b",
            &mut found,
        );
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["kubeproxy_a_total", "process_b"]
        );
    }
}
