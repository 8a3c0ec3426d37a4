//! One daemon in a namespace, with a directory of manifests.

use anyhow::bail;
use e2e::cleanup::ScratchDir;
use e2e::{Namespace, Process, ip, wait};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// Far longer than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(30);
/// The daemon's binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_kube-proxy");

/// A node called n1, with an address of each family on its loopback interface.
pub struct Rig {
    // Before the namespace, which it would keep alive.
    process: Option<Process>,
    pub namespace: Namespace,
    scratch: ScratchDir,
}

impl Rig {
    /// A node whose only manifest is its own; each test has a name of its own.
    pub fn new(test: &str) -> Self {
        let namespace = Namespace::create("n1").expect("a namespace, which needs root");
        let addresses =
            "address add 192.0.2.1/32 dev lo\n-6 address add 2001:db8::1/128 dev lo nodad";
        ip(&namespace, addresses).expect("addresses");
        let scratch = ScratchDir::create(&format!("daemon-{test}")).expect("a directory");
        let rig = Self {
            process: None,
            namespace,
            scratch,
        };
        std::fs::create_dir(rig.manifests()).expect("a directory");
        rig.write(
            "node.yaml",
            "{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [\
             {type: InternalIP, address: 192.0.2.1}, {type: InternalIP, address: 2001:db8::1}]}}",
        );
        rig
    }

    pub fn manifests(&self) -> PathBuf {
        self.scratch.path().join("manifests")
    }

    fn log_file(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    /// Another file of this test, outside the manifests.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Writes a manifest aside and renames it into place.
    pub fn write(&self, name: &str, text: &str) {
        let aside = self.scratch("aside");
        std::fs::write(&aside, text).expect("a file");
        std::fs::rename(aside, self.manifests().join(name)).expect("a manifest");
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.manifests().join(name)).expect("a manifest to remove");
    }

    /// Starts the daemon on the manifests.
    pub fn start(&mut self) {
        let manifests = self.manifests();
        let manifests = manifests.to_str().expect("UTF-8");
        self.start_with(&["--manifests", manifests]);
    }

    /// Starts it with another source of objects.
    pub fn start_with(&mut self, source: &[&str]) {
        let command = self.namespace.command(BINARY);
        self.start_as(command, source);
    }

    /// Starts it on the manifests with so many descriptors, by `prlimit`'s words: soft and hard
    /// limit, or one for both.
    pub fn start_limited(&mut self, descriptors: &str, flags: &[&str]) {
        let manifests = self.manifests();
        let manifests = manifests.to_str().expect("UTF-8");
        let mut command = self.namespace.command("prlimit");
        command.arg(format!("--nofile={descriptors}")).arg(BINARY);
        self.start_as(command, &[&["--manifests", manifests], flags].concat());
    }

    /// Starts a command that the daemon's flags are added to.
    fn start_as(&mut self, mut command: Command, source: &[&str]) {
        command.args(["--hostname-override=n1", "--proxy-mode=nftables"]);
        // The limit on connections is the machine's, not the namespace's.
        command.arg("--conntrack-max-per-core=0");
        command.args(["--cluster-cidr=10.244.0.0/16,fd00:10:244::/48"]);
        // Retries after failures take the default of 30 s: no test may need one.
        command
            .args(["--iptables-min-sync-period=20ms"])
            .args(source);
        self.run(&mut command);
    }

    /// Starts a command as the daemon.
    pub fn run(&mut self, command: &mut Command) {
        let process = Process::start("kube-proxy", command, &self.log_file());
        self.process = Some(process.expect("a process"));
    }

    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it was started")
    }

    /// Waits for the process to end by itself.
    pub fn ended(&mut self, limit: Duration) -> ExitStatus {
        let status = self.process().wait(limit);
        status.unwrap_or_else(|error| panic!("{error:#}\n{}", self.log()))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The lines of the log that hold all of these.
    pub fn lines(&self, parts: &[&str]) -> Vec<String> {
        let log = self.log();
        let own = log
            .lines()
            .filter(|line| parts.iter().all(|part| line.contains(part)));
        own.map(str::to_owned).collect()
    }

    /// A set or map as nft lists it; empty if there is none.
    pub fn listed(&self, family: &str, kind: &str, name: &str) -> String {
        let words = ["nft", "list", kind, family, "kube-proxy", name];
        self.namespace.exec(&words).unwrap_or_default()
    }

    /// Waits until the map `services` of IPv4 holds all of these.
    pub fn served(&mut self, parts: &[&str]) {
        self.wait("services", |rig| {
            let listed = rig.listed("ip", "map", "services");
            match parts.iter().find(|part| !listed.contains(**part)) {
                None => Ok(()),
                Some(part) => bail!("{part} is not in\n{listed}"),
            }
        });
    }

    /// Waits until the daemon has done all that there was to do: every thread sleeps, and none
    /// has run since the last look. Who is told of something wakes at once, so what it was told of
    /// before this call has had its effect.
    pub fn settled(&mut self) {
        let mut before = None;
        self.wait("the daemon to have nothing to do", |rig| {
            let pid = rig.process.as_ref().expect("it was started").pid();
            let now = threads(pid)?;
            let sleeps = now.values().all(|thread| thread.contains("State:\tS"));
            let before = before.replace(now.clone());
            anyhow::ensure!(sleeps && before.as_ref() == Some(&now), "it works: {now:?}");
            Ok(())
        });
    }

    /// Waits for something while the daemon runs.
    pub fn wait(&mut self, what: &str, mut check: impl FnMut(&Self) -> anyhow::Result<()>) {
        let awaited = wait::until(what, LIMIT, || {
            self.process().check()?;
            check(self)
        });
        awaited.unwrap_or_else(|error| panic!("{error:#}\n{}", self.log()));
    }
}

/// The state of each thread of a process, and how often it was switched to and from.
fn threads(pid: i32) -> anyhow::Result<BTreeMap<String, String>> {
    let mut threads = BTreeMap::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        let status = std::fs::read_to_string(task.join("status"))?;
        let kept = |line: &&str| line.starts_with("State:") || line.contains("ctxt_switches:");
        let kept: Vec<&str> = status.lines().filter(kept).collect();
        threads.insert(task.display().to_string(), kept.join("\n"));
    }
    Ok(threads)
}

/// A Service and a slice with one endpoint.
pub fn service(name: &str, cluster_ip: &str, port: u16, endpoint: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: \
         {{clusterIP: {cluster_ip}, ports: [{{port: {port}}}]}}}}\n---\n\
         {{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, \
         metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}, \
         ports: [{{name: \"\", port: 8080}}], endpoints: [{{addresses: [{endpoint}]}}]}}\n"
    )
}
