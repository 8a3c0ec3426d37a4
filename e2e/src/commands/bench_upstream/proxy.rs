//! A running proxy, and what it says of itself.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::address::CLUSTER_CIDR;
use e2e::{CONNTRACK_FLAGS, Namespace, Process};

use crate::bench_upstream::args::Args;
use crate::bench_upstream::rig::{Rig, Side};

const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10249);

pub(crate) struct Proxy<'a> {
    pub(crate) process: Process,
    pub(crate) started: Instant,
    node: &'a Namespace,
}

impl<'a> Proxy<'a> {
    pub(crate) fn start(args: &Args, rig: &'a Rig, side: Side) -> Result<Self> {
        let program = side.program()?;
        let node = rig.place(side).node();
        let mut command = node.command(&program);
        command
            .args(["--hostname-override", "node-1", "--proxy-mode", "nftables"])
            .args(["--cluster-cidr", CLUSTER_CIDR])
            .args(CONNTRACK_FLAGS)
            .arg("--kubeconfig")
            .arg(rig.kubeconfig());
        if let Some(period) = &args.min_sync_period {
            command.args(["--iptables-min-sync-period", period]);
        }
        let log = rig.directory().join(format!("{side}.log"));
        let started = Instant::now();
        Ok(Self {
            process: Process::start(&format!("{side}'s kube-proxy"), &mut command, &log)?,
            started,
            node,
        })
    }

    /// A metric of kube-proxy's, all its families and labels added up; 0 if it isn't there yet.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let text = self.node.run(scrape)??;
        let own = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("kubeproxy_")?.strip_prefix(name)?;
            matches!(rest.chars().next(), Some(' ' | '{'))
                .then(|| rest.rsplit_once(' ')?.1.parse::<f64>().ok())?
        });
        Ok(own.sum())
    }

    /// Waits until a counter exceeds `before`.
    pub(crate) fn await_above(&self, name: &str, before: f64, limit: Duration) -> Result<f64> {
        let start = Instant::now();
        loop {
            let now = self.metric(name)?;
            if now > before {
                return Ok(now);
            }
            ensure!(start.elapsed() < limit, "{name} stays at {now}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// By HTTP/1.0, as a chunked answer could cut a line in two.
fn scrape() -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&METRICS, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
