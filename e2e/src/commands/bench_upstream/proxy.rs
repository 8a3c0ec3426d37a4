//! A running proxy, and what it says of itself.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::address::CLUSTER_CIDR;
use e2e::{CONNTRACK_FLAGS, Namespace, Process, exposition};

use crate::bench_upstream::args::Args;
use crate::bench_upstream::rig::{Rig, Side};

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
            .args(["--hostname-override", "node-1"])
            .args(args.mode.flags())
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
        let text = self.node.metrics()?;
        Ok(exposition::sum(&text, &format!("kubeproxy_{name}")))
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
