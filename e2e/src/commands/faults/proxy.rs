//! The daemon of the node under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::address::CLUSTER_CIDR;
use e2e::{CONNTRACK_FLAGS, Node, Process};
use nix::sys::signal::Signal;

use crate::mode::Mode;

/// How a daemon is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Launch {
    /// The proxy mode.
    pub(crate) mode: Mode,
    /// Where the API server is.
    pub(crate) kubeconfig: PathBuf,
    /// Another program than our own.
    pub(crate) program: Option<PathBuf>,
    /// Flags beside the usual ones.
    pub(crate) flags: Vec<String>,
    /// Variables of its environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Run instead of it, with the command as its arguments.
    pub(crate) wrapper: Vec<String>,
}

/// A running daemon; ended with the value, its rules stay.
pub(crate) struct Proxy {
    process: Process,
}

/// The flags that decide about rules, the same for `render`.
pub(crate) fn rule_flags(node: &Node, mode: Mode) -> Vec<String> {
    let flags = ["--cluster-cidr", CLUSTER_CIDR];
    let named = ["--hostname-override", node.name()];
    named
        .iter()
        .chain(&mode.flags())
        .chain(&flags)
        .map(|word| (*word).to_owned())
        .collect()
}

impl Proxy {
    pub(crate) fn start(node: &Node, launch: &Launch, logs: &Path) -> Result<Self> {
        let program = match &launch.program {
            Some(program) => program.clone(),
            None => e2e::binary()?,
        };
        let mut words = launch.wrapper.clone();
        words.push(program.to_str().context("a path in UTF-8")?.to_owned());
        let mut command: Command = node.namespace().command(&words[0]);
        command
            .args(&words[1..])
            .args(rule_flags(node, launch.mode));
        command.args(CONNTRACK_FLAGS);
        command.args(["--iptables-min-sync-period", "100ms", "-v", "2"]);
        command.arg("--kubeconfig").arg(&launch.kubeconfig);
        command.args(&launch.flags);
        command.envs(launch.environment.iter().cloned());
        // Backtraces and colours are no part of it.
        command.env_remove("RUST_LOG");
        let log = logs.join("kube-proxy.log");
        Ok(Self {
            process: Process::start("kube-proxy", &mut command, &log)?,
        })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Ends it without a warning.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.signal(Signal::SIGKILL)?;
        self.ended(Duration::from_secs(10))
    }

    /// Waits for its end, however it comes.
    pub(crate) fn ended(&mut self, limit: Duration) -> Result<()> {
        self.process.wait(limit).map(drop)
    }

    /// Ends it in order.
    pub(crate) fn terminate(mut self) -> Result<()> {
        self.process.signal(Signal::SIGTERM)?;
        self.ended(Duration::from_secs(10))
    }

    /// That it runs.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    /// What `path` on the health port of the node answers.
    pub(crate) fn health(node: &Node, path: &str) -> Result<u16> {
        let address = std::net::SocketAddr::new(node.addresses().v4.into(), 10256);
        Ok(node.namespace().get(address, path)?.status)
    }
}
