//! Taking over a table, upstream's or our own, while connections go on.

use super::rig::LIMIT;
use anyhow::{Result, ensure};
use e2e::address::{ECHO_PORT, Pair, node};
use e2e::cleanup::ScratchDir;
use e2e::{Bed, Daemon, Node, Pod, Process, Stream, manifest, wait};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;

/// Connections of a stream before and after the change, so that it happens amid them.
const MARGIN: u64 = 10;

/// The table that upstream's nftables mode makes for the Service below: a chain
/// for each Service port, with an anonymous map of its endpoints.
fn upstream(ip: &str, addr: &str, cluster_ip: &str, node_ip: &str, pods: &[String; 2]) -> String {
    let [first, second] = pods;
    let reject = "reject-chain";
    let service = "service-ULMVA6XW-default/echo/tcp/echo";
    let external = "external-ULMVA6XW-default/echo/tcp/echo";
    format!(
        r#"table {ip} kube-proxy {{
	comment "rules for kube-proxy"
	set cluster-ips {{
		type {addr}
		comment "Active ClusterIPs"
		elements = {{ {cluster_ip} }}
	}}
	set nodeport-ips {{
		type {addr}
		comment "IPs that accept NodePort traffic"
		elements = {{ {node_ip} }}
	}}
	set hairpin-connections {{
		type {addr} . {addr} . inet_proto . inet_service
	}}
	map no-endpoint-services {{
		type {addr} . inet_proto . inet_service : verdict
		comment "vmap to drop or reject packets to services with no endpoints"
	}}
	map no-endpoint-nodeports {{
		type inet_proto . inet_service : verdict
	}}
	map firewall-ips {{
		type {addr} . inet_proto . inet_service : verdict
	}}
	map service-ips {{
		type {addr} . inet_proto . inet_service : verdict
		elements = {{ {cluster_ip} . tcp . 80 : goto {service} }}
	}}
	map service-nodeports {{
		type inet_proto . inet_service : verdict
		elements = {{ tcp . 30080 : goto {external} }}
	}}
	chain {reject} {{
		reject
	}}
	chain {service} {{
		meta l4proto tcp dnat {ip} addr . port to numgen random mod 2 map {{ 0 : {first} . {ECHO_PORT}, 1 : {second} . {ECHO_PORT} }}
	}}
	chain {external} {{
		meta mark set meta mark | 0x00004000
		goto {service}
	}}
	chain services {{
		{ip} daddr . meta l4proto . th dport vmap @service-ips
		{ip} daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
	}}
	chain masquerading {{
		meta mark & 0x00004000 != 0x00000000 meta mark set meta mark ^ 0x00004000 masquerade fully-random
		ct status dnat {ip} saddr . {ip} daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random
	}}
	chain firewall-check {{
		{ip} daddr . meta l4proto . th dport vmap @firewall-ips
	}}
	chain service-endpoints-check {{
		{ip} daddr . meta l4proto . th dport vmap @no-endpoint-services
	}}
	chain nodeport-endpoints-check {{
		{ip} daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
	}}
	chain cluster-ips-check {{
		{ip} daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
	}}
	chain filter-prerouting-pre-dnat {{
		type filter hook prerouting priority dstnat - 10; policy accept;
		ct state new jump firewall-check
	}}
	chain filter-output-pre-dnat {{
		type filter hook output priority -110; policy accept;
		ct state new jump firewall-check
	}}
	chain filter-input {{
		type filter hook input priority filter; policy accept;
		ct state new jump nodeport-endpoints-check
		ct state new jump service-endpoints-check
	}}
	chain filter-forward {{
		type filter hook forward priority filter; policy accept;
		ct state new jump service-endpoints-check
		ct state new jump cluster-ips-check
	}}
	chain filter-output {{
		type filter hook output priority filter; policy accept;
		ct state new jump service-endpoints-check
		ct state new jump cluster-ips-check
	}}
	chain nat-prerouting {{
		type nat hook prerouting priority dstnat; policy accept;
		jump services
	}}
	chain nat-output {{
		type nat hook output priority -100; policy accept;
		jump services
	}}
	chain nat-postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		jump masquerading
	}}
}}
"#
    )
}

/// A Service of both families, on a node port, with two pods.
fn objects(node: &Node, pods: &[&Pod]) -> Vec<Value> {
    let mut objects = vec![
        manifest::node(node),
        manifest::service_cidr(),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "echo", "namespace": "default"},
            "spec": {
                "type": "NodePort",
                "clusterIPs": ["10.96.0.10", "fd00:10:96::a"],
                "ports": [{"name": "echo", "port": 80, "nodePort": 30080, "protocol": "TCP"}],
            },
        }),
    ];
    objects.extend(manifest::endpoint_slices("echo", pods));
    objects
}

/// Streams of connections to the node port from outside, one of each family.
fn streams(bed: &Bed) -> Result<Vec<Stream>> {
    let targets = node(1).both().map(|ip| SocketAddr::new(ip, 30080));
    let streams = targets.map(|target| Stream::start(bed.client(), target));
    let streams: Vec<Stream> = streams.into_iter().collect::<Result<_>>()?;
    go_on(&streams)?;
    Ok(streams)
}

/// Waits until each stream has made some more connections, whatever became of them.
fn go_on(streams: &[Stream]) -> Result<()> {
    let goals: Vec<u64> = streams
        .iter()
        .map(|stream| stream.made() + MARGIN)
        .collect();
    wait::until("more connections", LIMIT, || {
        let mut streams = streams.iter().zip(&goals);
        ensure!(
            streams.all(|(stream, goal)| stream.made() >= *goal),
            "too few"
        );
        Ok(())
    })
    .map(drop)
}

fn all_answered(streams: Vec<Stream>, what: &str) -> Result<()> {
    go_on(&streams)?;
    for stream in streams {
        let report = stream.stop()?;
        ensure!(report.failures.is_empty(), "{what}: {:?}", report.failures);
        ensure!(report.answered() > 10, "{what}: {report:?}");
    }
    Ok(())
}

/// What `nft monitor` has seen the daemon commit.
fn commits(monitor: &Process) -> usize {
    let log = std::fs::read_to_string(monitor.log()).unwrap_or_default();
    let own = |line: &&str| line.contains("new generation") && line.contains("(kube-proxy)");
    log.lines().filter(own).count()
}

/// Starts a daemon and waits until both families' tables are its own.
fn start(node: &Node, manifests: &Path, logs: &Path, monitor: &Process) -> Result<Daemon> {
    let before = commits(monitor);
    let source = ["--manifests", manifests.to_str().unwrap_or_default()];
    let mut daemon = Daemon::start(node, &source, logs)?;
    wait::until("a commit for each family", LIMIT, || {
        daemon.check()?;
        let done = commits(monitor) - before;
        ensure!(done == 2, "{done} commits\n{}", daemon.tail(20));
        Ok(())
    })?;
    Ok(daemon)
}

#[test]
fn a_table_is_taken_over_without_one_failed_connection() -> Result<()> {
    let bed = Bed::build(1)?;
    let own = &bed.nodes()[0];
    let pods = [own.pod("echo-1")?, own.pod("echo-2")?];
    let scratch = ScratchDir::create("takeover")?;
    let (manifests, logs) = (
        scratch.path().join("manifests"),
        scratch.path().join("logs"),
    );
    std::fs::create_dir(&manifests)?;
    std::fs::create_dir(&logs)?;
    manifest::write(&manifests, "all", &objects(own, &[&pods[0], &pods[1]]))?;
    let Pair { v4, v6 } = node(1);
    let of_pods = |six: usize| [0, 1].map(|pod| pods[pod].addresses().both()[six].to_string());
    let namespace = own.namespace();
    namespace.nft(&upstream(
        "ip",
        "ipv4_addr",
        "10.96.0.10",
        &v4.to_string(),
        &of_pods(0),
    ))?;
    namespace.nft(&upstream(
        "ip6",
        "ipv6_addr",
        "fd00:10:96::a",
        &v6.to_string(),
        &of_pods(1),
    ))?;

    let mut command = namespace.command("nft");
    let monitor = Process::start("nft monitor", command.arg("monitor"), &logs.join("monitor"))?;
    let running = streams(&bed)?;
    let daemon = start(own, &manifests, &logs, &monitor)?;
    all_answered(running, "from upstream's table to ours")?;
    for family in ["ip", "ip6"] {
        let table = namespace.exec(&["nft", "list", "table", family, "kube-proxy"])?;
        ensure!(table.contains("map nodeports"), "{table}");
        ensure!(
            !table.contains("service-ips") && !table.contains("default/echo/tcp"),
            "{table}"
        );
    }
    assert_eq!(commits(&monitor), 2, "one transaction for each family");

    // Our own table, of an earlier run.
    let running = streams(&bed)?;
    daemon.terminate()?;
    go_on(&running)?;
    let daemon = start(own, &manifests, &logs, &monitor)?;
    all_answered(running, "from an earlier run's table to a new one")?;
    assert_eq!(
        commits(&monitor),
        4,
        "one transaction for each family again"
    );
    daemon.terminate()?;
    Ok(())
}
