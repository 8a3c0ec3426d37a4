//! The daemon under test.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::address::CLUSTER_CIDR;
use crate::{Node, Process, wait};

/// Leaves alone what belongs to the whole machine: a namespace may not write it, and a proxy that
/// can't doesn't start.
pub const CONNTRACK_FLAGS: [&str; 6] = [
    "--conntrack-max-per-core",
    "0",
    "--conntrack-tcp-timeout-established",
    "0",
    "--conntrack-tcp-timeout-close-wait",
    "0",
];

/// A kube-proxy in a node's namespace; stopped with the value, its rules stay.
#[derive(Debug)]
pub struct Daemon {
    process: Process,
    health: SocketAddr,
}

impl Daemon {
    /// Starts it on `node`; `source` are the flags that say where its input
    /// comes from. Its log is appended to `<node>.log` in `logs`.
    ///
    /// # Errors
    /// If the binary is missing or can't be started.
    pub fn start(node: &Node, source: &[&str], logs: &Path) -> Result<Self> {
        let flags = [&["--cluster-cidr", CLUSTER_CIDR], source].concat();
        Self::start_program(&binary()?, node, &flags, logs)
    }

    /// Starts another program that takes the same flags. `flags` say where its input comes from
    /// and how it recognises pods.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start_program(program: &Path, node: &Node, flags: &[&str], logs: &Path) -> Result<Self> {
        let mut command = node.namespace().command(program);
        command
            .args(["--hostname-override", node.name()])
            .args(["--proxy-mode", "nftables"])
            // The limit on connections is the machine's, which tests leave alone.
            .args(["--conntrack-max-per-core", "0"])
            // Changes are awaited by tests, one by one.
            .args(["--iptables-min-sync-period", "100ms", "-v", "2"])
            .args(flags);
        let log = logs.join(format!("{}.log", node.name()));
        let name = format!("kube-proxy on {}", node.name());
        Ok(Self {
            process: Process::start(&name, &mut command, &log)?,
            health: SocketAddr::new(IpAddr::V4(node.addresses().v4), 10256),
        })
    }

    /// Waits until it says that it is alive.
    ///
    /// # Errors
    /// If it ends, or does not answer within ten seconds.
    pub fn wait_live(&mut self, node: &Node) -> Result<()> {
        let address = self.health;
        let limit = Duration::from_secs(10);
        wait::until(&format!("/livez of {}", node.name()), limit, || match node
            .namespace()
            .get(address, "/livez")
        {
            Ok(response) if response.status == 200 => Ok(()),
            Ok(response) => bail!("answers {}", response.status),
            Err(error) => Err(error),
        })
        .map_err(|error| match self.process.check() {
            Err(ended) => ended,
            Ok(()) => error.context(self.process.tail(15)),
        })?;
        Ok(())
    }

    /// Ends it by SIGTERM; returns how long it took.
    ///
    /// # Errors
    /// If it takes more than five seconds or does not end with code 0.
    pub fn terminate(mut self) -> Result<Duration> {
        let start = Instant::now();
        self.process.signal(Signal::SIGTERM)?;
        let status = self.process.wait(Duration::from_secs(5))?;
        let took = start.elapsed();
        if !status.success() {
            bail!(
                "after SIGTERM it ended with {status}:\n{}",
                self.process.tail(10)
            );
        }
        Ok(took)
    }

    /// That it still runs.
    ///
    /// # Errors
    /// If it ended: with its last words.
    pub fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    /// The last lines of its log.
    pub fn tail(&self, lines: usize) -> String {
        self.process.tail(lines)
    }
}

/// The daemon's binary: `$KUBE_PROXY`, or the one built beside this program.
///
/// # Errors
/// If there is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("KUBE_PROXY") {
        return Ok(path.into());
    }
    let program = std::env::current_exe().context("find this program")?;
    // Test programs are one directory further down.
    let candidates = program
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("kube-proxy"));
    let mut found = candidates.filter(|path| path.is_file());
    found.next().with_context(|| {
        format!(
            "no kube-proxy beside {}: build it first, or set KUBE_PROXY",
            program.display()
        )
    })
}
