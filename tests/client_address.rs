//! The test of docs/client-address.md with real packets: `kube-proxy echo` in pods behind a Service of
//! each external traffic policy, `kube-proxy probe` from a client outside.

use e2e::address::{CLIENT, Pair};
use e2e::cleanup::ScratchDir;
use e2e::{Bed, Daemon, Pod, manifest, wait};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::process::{Child, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kube-proxy");
/// Where echo listens; the pods have a server of the testbed's on another port.
const PORT: u16 = 8888;
const CALLS: u64 = 300;
/// Whatever waits for the daemon may take that long.
const LIMIT: Duration = Duration::from_secs(30);

/// Name, policy, node port.
const SERVICES: [(&str, &str, u16); 2] = [
    ("echo-cluster", "Cluster", 30110),
    ("echo-local", "Local", 30120),
];

/// Ends with the test.
struct Echo(Child);

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn echo(pod: &Pod) -> Echo {
    let mut command = pod.namespace().command(PROGRAM);
    command.args(["echo", "--port", &PORT.to_string()]);
    command
        .env("POD_NAME", pod.name())
        .env("NODE_NAME", pod.node());
    let started = command
        .env("POD_NAMESPACE", "default")
        .stderr(Stdio::null())
        .spawn();
    Echo(started.expect("echo starts"))
}

fn service(name: &str, policy: &str, node_port: u16) -> Value {
    let number = node_port % 100;
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "type": "NodePort", "externalTrafficPolicy": policy, "selector": {"app": "echo"},
            "clusterIP": format!("10.96.7.{number}"), "clusterIPs": [format!("10.96.7.{number}")],
            "ipFamilies": ["IPv4"],
            "ports": [{"name": "echo", "protocol": "TCP", "port": 80, "targetPort": PORT,
                "nodePort": node_port}],
        },
    })
}

/// The slices of both Services, with echo's port.
fn slices(pods: &[&Pod]) -> Vec<Value> {
    let of_service = |(name, _, _): &(&str, &str, u16)| manifest::endpoint_slices(name, pods);
    let mut slices: Vec<Value> = SERVICES.iter().flat_map(of_service).collect();
    for slice in &mut slices {
        slice["ports"][0]["port"] = json!(PORT);
    }
    slices
}

/// What a client outside sees of a node port.
fn probe(bed: &Bed, node: Pair, port: u16, calls: u64) -> Value {
    let url = format!("http://{}:{port}/", node.v4);
    let count = calls.to_string();
    let words = [
        "probe",
        &url,
        "--count",
        &count,
        "-o",
        "json",
        "--fail-on",
        "never",
    ];
    let output = bed
        .client()
        .command(PROGRAM)
        .args(words)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn addresses(probe: &Value) -> Vec<IpAddr> {
    let clients = probe["clients"].as_array().expect("clients");
    let text = |row: &Value| row["address"].as_str().expect("an address").parse();
    clients
        .iter()
        .map(|row| text(row).expect("an address"))
        .collect()
}

#[test]
fn local_keeps_the_clients_address_and_cluster_replaces_it() {
    let bed = Bed::build(2).expect("a bed of two nodes");
    let pods: Vec<Pod> = [(0, "echo-1"), (1, "echo-2a"), (1, "echo-2b")]
        .map(|(node, name): (usize, &str)| bed.nodes()[node].pod(name).expect("a pod"))
        .into();
    let _echoes: Vec<Echo> = pods.iter().map(echo).collect();
    let dir = ScratchDir::create("client-address").expect("a directory");
    let manifests = dir.path().join("manifests");
    std::fs::create_dir(&manifests).expect("a directory");
    let mut cluster = vec![manifest::service_cidr()];
    cluster.extend(bed.nodes().iter().map(manifest::node));
    cluster.extend(SERVICES.map(|(name, policy, port)| service(name, policy, port)));
    cluster.extend(slices(&pods.iter().collect::<Vec<_>>()));
    manifest::write(&manifests, "cluster", &cluster).expect("manifests");
    let source = ["--manifests", manifests.to_str().expect("UTF-8")];
    let _daemons: Vec<Daemon> = bed
        .nodes()
        .iter()
        .map(|node| Daemon::start(node, &source, dir.path()).expect("a daemon"))
        .collect();
    let node = &bed.nodes()[1];
    for (name, _, port) in SERVICES {
        wait::until(name, LIMIT, || {
            let seen = probe(&bed, node.addresses(), port, 5);
            anyhow::ensure!(seen["failed"] == 0, "{seen}");
            Ok(())
        })
        .expect("the Service answers");
    }

    let [(_, _, port_of_cluster), (_, _, port_of_local)] = SERVICES;
    let local = probe(&bed, node.addresses(), port_of_local, CALLS);
    assert_eq!(local["answered"], CALLS, "{local}");
    assert_eq!(local["clients"][0]["clientAddress"], "kept", "{local}");
    assert_eq!(addresses(&local), [IpAddr::V4(CLIENT.v4)]);
    assert_eq!(
        answerers(&local),
        ["echo-2a", "echo-2b"],
        "this node's alone"
    );
    assert_eq!(codes(&local), [""; 0]);

    let through = probe(&bed, node.addresses(), port_of_cluster, CALLS);
    assert_eq!(through["answered"], CALLS, "{through}");
    assert_eq!(
        through["clients"][0]["clientAddress"], "replaced",
        "{through}"
    );
    for address in addresses(&through) {
        // The node's own address, or the one of its end of the pod's link.
        assert_ne!(address, IpAddr::V4(CLIENT.v4));
    }
    assert_eq!(answerers(&through), ["echo-1", "echo-2a", "echo-2b"]);
    assert_eq!(codes(&through), ["KP202"]);
    // One in 10^9 by chance.
    assert!(through["fit"]["p"].as_f64().expect("p") > 1e-9, "{through}");
}

fn answerers(probe: &Value) -> Vec<&str> {
    let rows = probe["answers"].as_array().expect("answers");
    let mut names: Vec<&str> = rows.iter().filter_map(|row| row["pod"].as_str()).collect();
    names.sort_unstable();
    names
}

fn codes(probe: &Value) -> Vec<&str> {
    let findings = probe["findings"].as_array().expect("findings");
    findings
        .iter()
        .filter_map(|found| found["code"].as_str())
        .collect()
}
