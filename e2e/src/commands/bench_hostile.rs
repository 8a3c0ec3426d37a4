//! `make bench-hostile`: what one Service costs that is as large or as crooked as the API server
//! lets a tenant make it (1.5 MB an object), and how long others on the node wait meanwhile.
//!
//! The daemon itself runs, from manifests, in a namespace. `rules/src/limits.rs` has the bounds
//! that keep these figures small; what a bound cuts is in the last column.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::cleanup::ScratchDir;
use e2e::usage::peak_mb;
use e2e::{KernelMemory, Namespace, Process, wait};
use serde_json::{Value, json};

/// What the API server takes as one object, in bytes (etcd's `--max-request-bytes`).
const OBJECT_MAX: usize = 1_500_000;

/// A Service and its EndpointSlices, all of one family.
#[derive(Clone, Copy, Default)]
struct Shape {
    ipv6: bool,
    ports: u32,
    ranges: u32,
    external_ips: u32,
    endpoints: u32,
    affinity: bool,
}

const PLAIN: Shape = Shape {
    ipv6: false,
    ports: 1,
    ranges: 0,
    external_ips: 0,
    endpoints: 2,
    affinity: false,
};

#[rustfmt::skip]
const ROWS: [(&str, Shape); 17] = [
    ("5,000 source ranges × 10 ports", Shape { ranges: 5_000, ports: 10, ..PLAIN }),
    ("5,000 source ranges × 10 ports, IPv6", Shape { ranges: 5_000, ports: 10, ipv6: true, ..PLAIN }),
    ("70,000 source ranges × 10 ports", Shape { ranges: 70_000, ports: 10, ..PLAIN }),
    ("100 external IPs × 20 ports × 500 endpoints", Shape { external_ips: 100, ports: 20, endpoints: 500, ..PLAIN }),
    ("the same, IPv6", Shape { external_ips: 100, ports: 20, endpoints: 500, ipv6: true, ..PLAIN }),
    ("1,000 external IPs × 30 ports", Shape { external_ips: 1_000, ports: 30, ..PLAIN }),
    ("80,000 external IPs", Shape { external_ips: 80_000, ..PLAIN }),
    ("20,000 ports", Shape { ports: 20_000, ..PLAIN }),
    ("20,000 ports × 1,000 endpoints", Shape { ports: 20_000, endpoints: 1_000, ..PLAIN }),
    ("512 ports × 3 external IPs × 1,000 endpoints", Shape { ports: 512, external_ips: 3, endpoints: 1_000, ..PLAIN }),
    ("600 ports × 50 external IPs × 1,000 endpoints", Shape { ports: 600, external_ips: 50, endpoints: 1_000, ..PLAIN }),
    ("6,000 ports × 5 external IPs × 10 endpoints", Shape { ports: 6_000, external_ips: 5, endpoints: 10, ..PLAIN }),
    ("60,000 endpoints", Shape { endpoints: 60_000, ..PLAIN }),
    ("affinity, 1,000 endpoints", Shape { affinity: true, endpoints: 1_000, ..PLAIN }),
    ("affinity, 1,000 endpoints, IPv6", Shape { affinity: true, endpoints: 1_000, ipv6: true, ..PLAIN }),
    ("affinity, 5,000 endpoints", Shape { affinity: true, endpoints: 5_000, ..PLAIN }),
    ("affinity, 500 ports × 2 endpoints", Shape { affinity: true, ports: 500, ..PLAIN }),
];

/// Measure one Service as large or crooked as the API lets it be
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<bool> {
    println!(
        "{:>46} {:>10} {:>11} {:>13} {:>10} {:>10}  left out",
        "one Service", "its size", "first sync", "others wait", "kernel", "daemon"
    );
    for (name, shape) in ROWS {
        let figures = measure(shape).with_context(|| name.to_owned())?;
        println!(
            "{name:>46} {:>7} kB {:>8.0} ms {:>10.0} ms {:>7.1} MB {:>7.1} MB  {}",
            figures.object / 1000,
            figures.first_sync * 1e3,
            figures.waited.as_secs_f64() * 1e3,
            figures.kernel_mb,
            figures.peak_mb,
            figures.left_out
        );
    }
    Ok(true)
}

/// What one row came to.
struct Figures {
    /// Bytes of the Service as JSON.
    object: usize,
    /// Seconds, of its family.
    first_sync: f64,
    /// The longest time that another nftables user's command took meanwhile.
    waited: Duration,
    kernel_mb: f64,
    peak_mb: f64,
    /// The daemon's warning about it.
    left_out: String,
}

fn measure(shape: Shape) -> Result<Figures> {
    let dir = ScratchDir::create("bench-hostile")?;
    let object = write(dir.path(), shape)?;
    ensure!(
        object <= OBJECT_MAX,
        "an API server would not take {object} bytes"
    );
    let namespace = Namespace::create("hostile")?;
    let before = KernelMemory::now()?;
    let mut command = namespace.command(e2e::binary()?);
    command.arg("--manifests").arg(dir.path()).args([
        "--hostname-override=bench",
        "--proxy-mode=nftables",
        "--cluster-cidr=10.244.0.0/16,fd00:244::/32",
        "--conntrack-max-per-core=0",
    ]);
    let log = dir.path().join("log");
    let mut process = Process::start("kube-proxy", &mut command, &log)?;

    let done = AtomicBool::new(false);
    let (synced, waited) = std::thread::scope(|scope| {
        let others = scope.spawn(|| others_wait(&namespace, &done));
        let synced = wait::until("the first sync", Duration::from_secs(120), || {
            process.check()?;
            // Both families, the other one with nothing but the table.
            for family in ["IPv4", "IPv6"] {
                let count = namespace.metric(&full_sync("count", family))?;
                ensure!(count.is_some(), "{family} is not programmed");
            }
            Ok(())
        });
        done.store(true, Ordering::Relaxed);
        let waited = others.join().map_err(|_| anyhow::anyhow!("it panicked"));
        (synced, waited)
    });
    synced?;
    let family = if shape.ipv6 { "IPv6" } else { "IPv4" };
    let first_sync = namespace.metric(&full_sync("sum", family))?;
    let log = std::fs::read_to_string(&log)?;
    let warning = log.lines().find(|line| line.contains("Service hostile/it"));
    Ok(Figures {
        object,
        first_sync: first_sync.context("no first sync")?,
        waited: waited??,
        kernel_mb: KernelMemory::now()?.mb_since(before),
        peak_mb: peak_mb(process.pid())?,
        left_out: warning
            .and_then(|line| line.split("Service hostile/it").nth(1))
            .unwrap_or_default()
            .to_owned(),
    })
}

/// A sample about the sync of everything in one family.
fn full_sync(part: &str, family: &str) -> String {
    let name = format!("kubeproxy_sync_full_proxy_rules_duration_seconds_{part}");
    format!("{name}{{ip_family=\"{family}\"}}")
}

/// Somebody else's small transactions, one after the other; returns the longest.
fn others_wait(namespace: &Namespace, done: &AtomicBool) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    while !done.load(Ordering::Relaxed) {
        let start = Instant::now();
        namespace.exec(&["nft", "add", "table", "ip", "other"])?;
        longest = longest.max(start.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(longest)
}

/// Writes the objects; returns the size of the Service.
fn write(dir: &Path, shape: Shape) -> Result<usize> {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "bench"},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}});
    let service = serde_json::to_string(&service(shape))?;
    std::fs::write(dir.join("node.json"), node.to_string())?;
    std::fs::write(dir.join("service.json"), &service)?;
    for first in (0..shape.endpoints).step_by(1000) {
        let name = dir.join(format!("slice-{first}.json"));
        std::fs::write(name, slice(shape, first).to_string())?;
    }
    Ok(service.len())
}

fn service(shape: Shape) -> Value {
    let (cluster_ip, balancer) = match shape.ipv6 {
        true => ("fd00:96::1", "2001:db8::1"),
        false => ("10.96.0.1", "203.0.113.1"),
    };
    // Every other address, so that neighbours do not become one range.
    let ranges = (0..shape.ranges).map(|n| match shape.ipv6 {
        true => format!("2001:db8:{:x}:{:x}::/64", 1 + (n >> 15), 2 * (n & 0x7fff)),
        false => format!("{}/32", ipv4(172, 2 * n)),
    });
    let external = (0..shape.external_ips).map(|n| match shape.ipv6 {
        true => format!("2001:db8:ffff::{n:x}"),
        false => ipv4(198, n),
    });
    let ports: Vec<_> = (1..=shape.ports)
        .map(|n| json!({"name": format!("p{n}"), "port": n}))
        .collect();
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "hostile", "name": "it"},
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ports": ports,
            "externalIPs": external.collect::<Vec<_>>(),
            "loadBalancerSourceRanges": ranges.collect::<Vec<_>>(),
            "sessionAffinity": if shape.affinity { "ClientIP" } else { "None" },
        },
        "status": {"loadBalancer": {"ingress": [{"ip": balancer}]}}})
}

fn slice(shape: Shape, first: u32) -> Value {
    let endpoints: Vec<_> = (first..shape.endpoints.min(first + 1000))
        .map(|n| {
            let address = match shape.ipv6 {
                true => format!("fd00:244::{n:x}"),
                false => format!("10.244.{}.{}", n >> 8, n & 255),
            };
            json!({"addresses": [address], "conditions": {"ready": true}})
        })
        .collect();
    let ports: Vec<_> = (1..=shape.ports)
        .map(|n| json!({"name": format!("p{n}"), "port": 8000 + n}))
        .collect();
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": "hostile", "name": format!("it-{first}"),
            "labels": {"kubernetes.io/service-name": "it"}},
        "addressType": if shape.ipv6 { "IPv6" } else { "IPv4" },
        "ports": ports, "endpoints": endpoints})
}

fn ipv4(first: u8, n: u32) -> String {
    let [_, b, c, d] = n.to_be_bytes();
    format!("{first}.{b}.{c}.{d}")
}
