//! `make bench`: how long a first sync and one changed endpoint take, and how
//! much memory the daemon needs, for several sizes of cluster.
//!
//! The daemon itself runs, from manifests, in a namespace; times are those of
//! its own sync metrics, from the parsed state to the committed transaction.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cleanup::ScratchDir;
use e2e::usage::peak_mb;
use e2e::{Namespace, Process, manifest, wait};
use serde_json::{Value, json};

use crate::size::Size;

/// Services × endpoints of each, unless the arguments name others.
const SIZES: [&str; 3] = ["1000x10", "10000x10", "45000x1"];

/// Measure a first sync, one changed endpoint and memory for several sizes of cluster
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Services × endpoints of each
    #[arg(value_name = "SERVICESxENDPOINTS", default_values = SIZES)]
    sizes: Vec<Size>,
}

/// How many times an endpoint is replaced.
const UPDATES: usize = 20;

pub(crate) fn run(args: &Args) -> Result<bool> {
    println!(
        "{:>20} {:>12} {:>12} {:>14} {:>14} {:>12} {:>12}",
        "Services × endpoints",
        "first sync",
        "an endpoint",
        "update median",
        "update worst",
        "peak memory",
        "nft elements"
    );
    for size in &args.sizes {
        let figures = measure(*size).with_context(|| size.to_string())?;
        println!(
            "{size:>20} {:>9.0} ms {:>9.2} µs {:>11.2} ms {:>11.2} ms {:>9.1} MB {:>12}",
            figures.first_sync * 1e3,
            figures.first_sync * 1e6 / figures.elements as f64,
            figures.update_median * 1e3,
            figures.update_worst * 1e3,
            figures.peak_mb,
            figures.elements
        );
    }
    Ok(true)
}

/// What one size came to; seconds.
struct Figures {
    first_sync: f64,
    update_median: f64,
    update_worst: f64,
    peak_mb: f64,
    elements: usize,
}

fn measure(size: Size) -> Result<Figures> {
    let scratch = ScratchDir::create("bench")?;
    let objects = scratch.path().join("objects");
    std::fs::create_dir(&objects)?;
    write_cluster(&objects, size)?;
    write_changing_slice(&objects, size, 0)?;
    let namespace = Namespace::create("bench")?;
    let mut command = namespace.command(e2e::binary()?);
    command
        .arg("--manifests")
        .arg(&objects)
        .args(["--hostname-override", "bench", "--proxy-mode", "nftables"])
        .args(["--cluster-cidr", "10.0.0.0/8"])
        .args(["--iptables-min-sync-period", "0s"]);
    let log = scratch.path().join("log");
    let mut process = Process::start("kube-proxy", &mut command, &log)?;
    let read = |sync: &str, part: &str| -> Result<f64> {
        let name = format!("kubeproxy_sync_{sync}_proxy_rules_duration_seconds_{part}");
        let value = namespace.metric(&format!("{name}{{ip_family=\"IPv4\"}}"))?;
        Ok(value.unwrap_or_default())
    };

    wait::until("the first sync", Duration::from_secs(120), || {
        process.check()?;
        ensure!(read("full", "count")? >= 1.0, "not yet");
        Ok(())
    })?;
    let first_sync = read("full", "sum")?;

    let mut updates = Vec::with_capacity(UPDATES);
    for round in 1..=UPDATES {
        let (count, sum) = (read("partial", "count")?, read("partial", "sum")?);
        write_changing_slice(&objects, size, round)?;
        wait::until("an update", Duration::from_secs(30), || {
            ensure!(read("partial", "count")? > count, "not yet");
            Ok(())
        })?;
        updates.push(read("partial", "sum")? - sum);
    }
    updates.sort_by(f64::total_cmp);
    let listed = namespace.exec(&["nft", "list", "map", "ip", "kube-proxy", "endpoints"])?;
    Ok(Figures {
        first_sync,
        update_median: updates[updates.len() / 2],
        update_worst: updates[updates.len() - 1],
        peak_mb: peak_mb(process.pid())?,
        elements: listed.matches(" : ").count(),
    })
}

/// Everything but the slice that changes: one JSON List each of Services and
/// of EndpointSlices, as a cluster's objects are dumped.
fn write_cluster(directory: &Path, size: Size) -> Result<()> {
    let addresses = json!([{"type": "InternalIP", "address": "127.0.0.1"}]);
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "bench"},
                      "status": {"addresses": addresses}});
    manifest::write_compact(directory, "node", &[node])?;
    let services: Vec<_> = (0..size.services).map(service).collect();
    manifest::write_compact(directory, "services", &services)?;
    let slices = (1..size.services).map(|n| slice(n, size.endpoints, 0));
    manifest::write_compact(directory, "slices", &slices.collect::<Vec<_>>())
}

/// Writes Service 0's slice, whose last endpoint is another one in each round.
fn write_changing_slice(directory: &Path, size: Size, round: usize) -> Result<()> {
    manifest::write_compact(directory, "changing", &[slice(0, size.endpoints, round)])
}

fn service(n: usize) -> Value {
    let ip = format!("10.{}.{}.{}", 96 + (n >> 16), (n >> 8) & 255, n & 255);
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "bench", "name": format!("service-{n}")},
        "spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "ipFamilies": ["IPv4"],
            "ports": [{"name": "http", "protocol": "TCP", "port": 80}]}})
}

fn slice(n: usize, endpoints: usize, round: usize) -> Value {
    let endpoint = |k: usize| {
        let is_last = k + 1 == endpoints;
        let number = n * endpoints + k + if is_last { round * 1_000_000 } else { 0 };
        let [b, c, d] = [
            128 + (number >> 16) % 100,
            (number >> 8) & 255,
            number & 255,
        ];
        json!({"addresses": [format!("10.{b}.{c}.{d}")],
            "nodeName": format!("node-{}", number % 1000),
            "conditions": {"ready": true, "serving": true, "terminating": false}})
    };
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": "bench", "name": format!("service-{n}-x"),
            "labels": {"kubernetes.io/service-name": format!("service-{n}")}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
        "endpoints": (0..endpoints).map(endpoint).collect::<Vec<_>>()})
}
