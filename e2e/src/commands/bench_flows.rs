//! How long the search for stale UDP flows takes with 200,000 flows in the
//! node's table, and what memory it needs.
//!
//! The daemon itself runs, from manifests, in a namespace that is filled with
//! flows over netlink; times are those of its own metric.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cleanup::ScratchDir;
use e2e::flows::{self, Flow, TCP, UDP};
use e2e::usage::{peak_mb, resident_mb};
use e2e::{Namespace, Process, manifest, wait};
use serde_json::{Value, json};

const FLOWS: u32 = 200_000;
const ENDPOINTS: u8 = 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// What fills the table, and how many of ten endpoints are replaced.
struct Case {
    what: &'static str,
    protocol: u8,
    destination: SocketAddr,
    replaced: u8,
}

const VIP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10)), 53);
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)), 443);

const CASES: [Case; 4] = [
    Case {
        what: "UDP elsewhere, none stale",
        protocol: UDP,
        destination: ELSEWHERE,
        replaced: 1,
    },
    Case {
        what: "TCP to the Service",
        protocol: TCP,
        destination: VIP,
        replaced: 1,
    },
    Case {
        what: "UDP to the Service, one of ten endpoints replaced",
        protocol: UDP,
        destination: VIP,
        replaced: 1,
    },
    Case {
        what: "UDP to the Service, all endpoints replaced",
        protocol: UDP,
        destination: VIP,
        replaced: ENDPOINTS,
    },
];

/// Measure the search for stale UDP flows among 200,000
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<bool> {
    println!(
        "{:>50} {:>9} {:>10} {:>12} {:>12}",
        format!("{FLOWS} flows"),
        "deleted",
        "one pass",
        "idle memory",
        "peak memory"
    );
    for case in CASES {
        let figures = measure(&case).context(case.what)?;
        println!(
            "{:>50} {:>9} {:>7.0} ms {:>9.1} MB {:>9.1} MB",
            case.what,
            figures.deleted,
            figures.seconds * 1e3,
            figures.idle_mb,
            figures.peak_mb
        );
    }
    Ok(true)
}

struct Figures {
    seconds: f64,
    deleted: f64,
    idle_mb: f64,
    peak_mb: f64,
}

fn measure(case: &Case) -> Result<Figures> {
    let scratch = ScratchDir::create("bench-flows")?;
    let objects = scratch.path().join("objects");
    std::fs::create_dir(&objects)?;
    manifest::write(&objects, "slice", &[slice(0)])?;
    manifest::write(&objects, "service", &service())?;
    let namespace = Namespace::create("flows")?;
    let mut command = namespace.command(e2e::binary()?);
    command
        .arg("--manifests")
        .arg(&objects)
        .args(["--hostname-override", "bench", "--proxy-mode", "nftables"])
        .args(["--iptables-min-sync-period", "0s"]);
    let log = scratch.path().join("log");
    let mut process = Process::start("kube-proxy", &mut command, &log)?;
    // Nothing is told of what was not observed yet.
    let read = |name: &str| -> Result<f64> {
        let value = namespace.metric(&format!("kubeproxy_{name}{{ip_family=\"IPv4\"}}"))?;
        Ok(value.unwrap_or_default())
    };
    let passes = "conntrack_reconciler_sync_duration_seconds_count";
    wait::until("the first sync", PATIENCE, || {
        process.check()?;
        ensure!(read(passes)? >= 1.0, "not yet");
        Ok(())
    })?;
    let clients = (0..FLOWS).map(|number| {
        let [_, _, high, low] = (number / 50_000).to_be_bytes();
        let port = u16::try_from(10_000 + number % 50_000).unwrap_or(0);
        let endpoint = u8::try_from(number % u32::from(ENDPOINTS)).unwrap_or(0);
        let translated = case.destination == VIP;
        Flow {
            protocol: case.protocol,
            source: SocketAddr::new(Ipv4Addr::new(10, 200, high, low).into(), port),
            destination: case.destination,
            answers: if translated {
                SocketAddr::new(pod(endpoint).into(), 8053)
            } else {
                case.destination
            },
        }
    });
    flows::insert(&namespace, clients)?;
    let filled = flows::count(&namespace)?;
    ensure!(filled >= u64::from(FLOWS), "only {filled} flows fit");

    let idle_mb = resident_mb(process.pid())?;
    let (count, sum) = (read(passes)?, read(SECONDS)?);
    manifest::write(&objects, "slice", &[slice(case.replaced)])?;
    wait::until("a pass", PATIENCE, || {
        ensure!(read(passes)? > count, "not yet");
        Ok(())
    })?;
    ensure!(read(passes)? < count + 1.5, "more than one pass");
    Ok(Figures {
        seconds: read(SECONDS)? - sum,
        deleted: read("conntrack_reconciler_deleted_entries_total")?,
        idle_mb,
        peak_mb: peak_mb(process.pid())?,
    })
}

const SECONDS: &str = "conntrack_reconciler_sync_duration_seconds_sum";

fn pod(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, 1, number)
}

fn service() -> [Value; 2] {
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "bench"},
        "status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]},
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "dns", "namespace": "bench"},
        "spec": {
            "clusterIP": VIP.ip(),
            "clusterIPs": [VIP.ip()],
            "ipFamilies": ["IPv4"],
            "ports": [{"name": "dns", "port": VIP.port(), "protocol": "UDP"}],
        },
    });
    [node, service]
}

/// Ten endpoints, the first of them replaced by others.
fn slice(replaced: u8) -> Value {
    let endpoints: Vec<Value> = (replaced..replaced + ENDPOINTS)
        .map(|number| json!({"addresses": [pod(number)], "conditions": {"ready": true}}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "dns-x",
            "namespace": "bench",
            "labels": {"kubernetes.io/service-name": "dns"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "dns", "port": 8053, "protocol": "UDP"}],
        "endpoints": endpoints,
    })
}
