//! A network namespace of our own.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};

use crate::cleanup::{PREFIX, delete_namespace, left};

/// The number of the next namespace of this process.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A named network namespace, deleted with the value.
///
/// Its name holds the process id and a number, so that neither runs nor tests
/// beside one another meet.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes `kpr-<pid>-<number>-<role>`, with its loopback up and forwarding on.
    ///
    /// # Errors
    /// If `ip netns add` refuses, most of all for want of root.
    pub fn create(role: &str) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}-{role}", std::process::id());
        left().namespaces.insert(name.clone());
        let output = Command::new("ip")
            .args(["netns", "add", &name])
            .output()
            .context("run ip netns add (iproute2)")?;
        if !output.status.success() {
            left().namespaces.remove(&name);
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            bail!("make namespace {name}: {reason}");
        }
        let namespace = Self { name };
        namespace.settle()?;
        Ok(namespace)
    }

    /// What every namespace of the bed has in common.
    fn settle(&self) -> Result<()> {
        crate::ip(self, "link set lo up")?;
        self.sysctls(&[
            ("net/ipv4/ip_forward", "1"),
            ("net/ipv6/conf/all/forwarding", "1"),
            // The load balancer's packets come back another way.
            ("net/ipv4/conf/all/rp_filter", "0"),
            ("net/ipv4/conf/default/rp_filter", "0"),
            // Nodes forward out of the interface a packet came in by.
            ("net/ipv4/conf/all/send_redirects", "0"),
            ("net/ipv4/conf/default/send_redirects", "0"),
            // Tests count rejects: each must be answered. The masks, as the limit for the whole
            // namespace holds whatever the one for each peer is; IPv6's must name a type, and
            // this one is never sent.
            ("net/ipv4/icmp_ratemask", "0"),
            ("net/ipv6/icmp/ratemask", "200"),
            ("net/ipv4/icmp_ratelimit", "0"),
            ("net/ipv6/icmp/ratelimit", "0"),
            // Addresses are usable at once.
            ("net/ipv6/conf/all/accept_dad", "0"),
            ("net/ipv6/conf/default/accept_dad", "0"),
            ("net/ipv6/conf/default/dad_transmits", "0"),
            ("net/ipv6/conf/default/accept_ra", "0"),
        ])
    }

    /// The name that `ip netns` knows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes sysctls, given by their paths below `/proc/sys`.
    ///
    /// # Errors
    /// Names the first one that could not be written.
    pub fn sysctls(&self, values: &[(&str, &str)]) -> Result<()> {
        self.run(|| {
            for (key, value) in values {
                std::fs::write(format!("/proc/sys/{key}"), value)
                    .with_context(|| format!("set {key} to {value} in {}", self.name))?;
            }
            Ok(())
        })?
    }

    /// Runs `work` in a thread inside the namespace and waits for it; its
    /// panic goes on here.
    ///
    /// # Errors
    /// If the namespace can't be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        Self::run_in(&self.name, work)
    }

    /// [`Namespace::run`] by the namespace's name.
    ///
    /// # Errors
    /// If the namespace can't be entered.
    pub fn run_in<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> Result<T> {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    enter(name)?;
                    Ok(work())
                })
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Starts a thread inside the namespace.
    ///
    /// # Errors
    /// If the thread can't be made. One that can't enter the namespace ends
    /// with that error.
    pub fn spawn<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<JoinHandle<Result<T>>> {
        let name = self.name.clone();
        std::thread::Builder::new()
            .name(label.to_owned())
            .spawn(move || {
                enter(&name)?;
                work()
            })
            .with_context(|| format!("start thread {label}"))
    }

    /// A command that will run inside the namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a command inside the namespace and returns what it printed.
    ///
    /// # Errors
    /// If it can't be run or fails; with what it said.
    pub fn exec(&self, words: &[&str]) -> Result<String> {
        self.pipe(words, "")
    }

    /// The same with `input` on the command's standard input.
    ///
    /// # Errors
    /// If it can't be run or fails; with what it said.
    pub fn pipe(&self, words: &[&str], input: &str) -> Result<String> {
        let Some((program, arguments)) = words.split_first() else {
            bail!("no command to run in {}", self.name);
        };
        let mut command = self.command(program);
        command.args(arguments);
        output(&mut command, input).with_context(|| format!("in {}", self.name))
    }

    /// Loads `ruleset` with `nft -f`, for the bed's own needs.
    ///
    /// # Errors
    /// What nft says of it.
    pub fn nft(&self, ruleset: &str) -> Result<()> {
        self.pipe(&["nft", "-f", "-"], ruleset).map(drop)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        delete_namespace(&self.name);
        left().namespaces.remove(&self.name);
    }
}

/// Moves the calling thread into the namespace `name`.
fn enter(name: &str) -> Result<()> {
    let file = File::open(format!("/run/netns/{name}"))
        .with_context(|| format!("open namespace {name}"))?;
    setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("enter namespace {name}"))
}

/// Runs `command` with `input` on its standard input; returns its output.
pub(crate) fn output(command: &mut Command, input: &str) -> Result<String> {
    let shown = format!("{command:?}").replace('"', "");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {shown}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A child that ends early says why on its standard error.
        stdin.write_all(input.as_bytes()).ok();
    }
    let output = child
        .wait_with_output()
        .with_context(|| format!("run {shown}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{shown}: {reason}");
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
