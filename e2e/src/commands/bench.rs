//! `make bench`: how long a first sync and one changed endpoint take, and how
//! much memory the daemon needs, for several sizes of cluster.
//!
//! The daemon itself runs, from manifests, in a namespace; times are those of
//! its own sync metrics, from the parsed state to the committed transaction.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Namespace, Process, wait};

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
const METRICS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 10249);

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
        let figures =
            measure(size.services, size.endpoints).with_context(|| format!("{size} endpoints"))?;
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

fn measure(services: usize, endpoints: usize) -> Result<Figures> {
    let dir = Scratch::new()?;
    write_cluster(&dir.0, services, endpoints)?;
    write_changing_slice(&dir.0, endpoints, 0)?;
    let namespace = Namespace::create("bench")?;
    let mut command = namespace.command(e2e::binary()?);
    command
        .arg("--manifests")
        .arg(&dir.0)
        .args(["--hostname-override", "bench", "--proxy-mode", "nftables"])
        .args([
            "--cluster-cidr",
            "10.0.0.0/8",
            "--iptables-min-sync-period",
            "0s",
        ]);
    let log = std::env::temp_dir().join(format!("kube-proxy-bench-{}.log", std::process::id()));
    let mut process = Process::start("kube-proxy", &mut command, &log)?;
    let read = |name: &str| metric(&namespace, name);

    let full = "sync_full_proxy_rules_duration_seconds";
    wait::until("the first sync", Duration::from_secs(120), || {
        process.check()?;
        anyhow::ensure!(read(&format!("{full}_count"))? >= 1.0, "not yet");
        Ok(())
    })?;
    let first_sync = read(&format!("{full}_sum"))?;

    let mut updates = Vec::with_capacity(UPDATES);
    for round in 1..=UPDATES {
        let partial = "sync_partial_proxy_rules_duration_seconds";
        let count = read(&format!("{partial}_count")).unwrap_or(0.0);
        let sum = read(&format!("{partial}_sum")).unwrap_or(0.0);
        write_changing_slice(&dir.0, endpoints, round)?;
        wait::until("an update", Duration::from_secs(30), || {
            anyhow::ensure!(read(&format!("{partial}_count"))? > count, "not yet");
            Ok(())
        })?;
        updates.push(read(&format!("{partial}_sum"))? - sum);
    }
    updates.sort_by(f64::total_cmp);
    let listed = namespace.exec(&["nft", "list", "map", "ip", "kube-proxy", "endpoints"])?;
    let figures = Figures {
        first_sync,
        update_median: updates[updates.len() / 2],
        update_worst: updates[updates.len() - 1],
        peak_mb: peak_mb(process.pid())?,
        elements: listed.matches(" : ").count(),
    };
    drop(process);
    std::fs::remove_file(&log).ok();
    Ok(figures)
}

/// One sample of the daemon's metrics; IPv4's where it has a family.
fn metric(namespace: &Namespace, name: &str) -> Result<f64> {
    let response = namespace.get(METRICS, "/metrics")?;
    let plain = format!("kubeproxy_{name} ");
    let labelled = format!("kubeproxy_{name}{{ip_family=\"IPv4\"}} ");
    response
        .body
        .lines()
        .find_map(|line| {
            line.strip_prefix(&labelled)
                .or_else(|| line.strip_prefix(&plain))
        })
        .with_context(|| format!("no metric kubeproxy_{name}"))?
        .parse()
        .with_context(|| format!("kubeproxy_{name} is not a number"))
}

/// The most memory the process has had resident, in MB of 1,000,000 bytes.
fn peak_mb(pid: i32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .context("no VmHWM")?;
    Ok(kib.trim().parse::<f64>()? * 1024.0 / 1e6)
}

/// A directory that goes with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("kube-proxy-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Everything but the slice that changes: one JSON List each of Services and
/// of EndpointSlices, as a cluster's objects are dumped.
fn write_cluster(dir: &Path, services: usize, endpoints: usize) -> Result<()> {
    let node = r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"bench"},"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}]}}"#;
    std::fs::write(dir.join("node.json"), node)?;
    write_list(&dir.join("services.json"), services, service)?;
    write_list(&dir.join("slices.json"), services - 1, |n| {
        slice(n + 1, endpoints, 0)
    })
}

fn write_list(path: &Path, count: usize, item: impl Fn(usize) -> String) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    write!(file, r#"{{"apiVersion":"v1","kind":"List","items":["#)?;
    for n in 0..count {
        let comma = if n == 0 { "" } else { "," };
        writeln!(file, "{comma}{}", item(n))?;
    }
    write!(file, "]}}")?;
    Ok(file.flush()?)
}

/// Writes Service 0's slice aside and renames it into place; its last endpoint
/// is another one in each round.
fn write_changing_slice(dir: &Path, endpoints: usize, round: usize) -> Result<()> {
    let aside = dir.join("changing.tmp");
    std::fs::write(&aside, slice(0, endpoints, round))?;
    Ok(std::fs::rename(aside, dir.join("changing.json"))?)
}

fn service(n: usize) -> String {
    let ip = format!("10.{}.{}.{}", 96 + (n >> 16), (n >> 8) & 255, n & 255);
    format!(
        r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"namespace":"bench","name":"service-{n}"}},"spec":{{"type":"ClusterIP","clusterIP":"{ip}","clusterIPs":["{ip}"],"ipFamilies":["IPv4"],"ports":[{{"name":"http","protocol":"TCP","port":80}}]}}}}"#
    )
}

fn slice(n: usize, endpoints: usize, round: usize) -> String {
    let mut list = String::new();
    for k in 0..endpoints {
        let number = if k + 1 == endpoints {
            n * endpoints + k + round * 1_000_000
        } else {
            n * endpoints + k
        };
        let comma = if k == 0 { "" } else { "," };
        let _ = write!(
            list,
            r#"{comma}{{"addresses":["10.{}.{}.{}"],"nodeName":"node-{}","conditions":{{"ready":true,"serving":true,"terminating":false}}}}"#,
            128 + (number >> 16) % 100,
            (number >> 8) & 255,
            number & 255,
            number % 1000
        );
    }
    format!(
        r#"{{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{{"namespace":"bench","name":"service-{n}-x","labels":{{"kubernetes.io/service-name":"service-{n}"}}}},"addressType":"IPv4","ports":[{{"name":"http","protocol":"TCP","port":8080}}],"endpoints":[{list}]}}"#
    )
}
