//! The image in containers, with the rights that a Pod's `securityContext` gives.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::Namespace;
use crate::cleanup::{ScratchDir, left};

mod rights;

/// podman's limits may be above what this machine's root may set; without /dev/shm nothing stays
/// mounted if we are killed.
const FIXED: [&str; 5] = [
    "--ulimit=nofile=4096:4096",
    "--ulimit=nproc=4096:4096",
    "--ipc=none",
    "--log-driver=k8s-file",
    "--pull=never",
];

/// What a container's kubelet would know of it.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// As in a Pod; it may hold what [`Engine`] has an equivalent for and no more.
    pub security: Value,
    /// The program and its arguments; the image's own program if it begins with `-`.
    pub command: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Read-only mounts: from the host, to the container.
    pub mounts: Vec<(String, String)>,
}

/// What a container that ended has left.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it printed and logged.
    pub output: String,
}

/// podman with a storage of its own, which holds one image.
pub struct Engine {
    storage: ScratchDir,
    image: String,
}

impl Engine {
    /// Loads the image of an OCI archive.
    ///
    /// # Errors
    /// If podman or the archive is missing or podman doesn't take it.
    pub fn load(archive: &Path) -> Result<Self> {
        let mut engine = Self {
            storage: ScratchDir::create("containers")?,
            image: String::new(),
        };
        let archive = format!("oci-archive:{}", archive.display());
        engine.image = engine.podman(&["pull", "--quiet", &archive])?;
        Ok(engine)
    }

    /// The name that the archive gives the image.
    ///
    /// # Errors
    /// If it gives none.
    pub fn name(&self) -> Result<String> {
        self.podman(&[
            "image",
            "inspect",
            "--format",
            "{{index .RepoTags 0}}",
            &self.image,
        ])
    }

    /// The image's files, by their paths below its root, in order.
    ///
    /// # Errors
    /// If podman does not show them.
    pub fn files(&self) -> Result<Vec<String>> {
        let root = self.podman(&["image", "mount", &self.image])?;
        let mut find = Command::new("find");
        find.args([&root, "-not", "-type", "d", "-printf", "%P\n"]);
        let text = crate::namespace::output(&mut find, "")?;
        self.podman(&["image", "unmount", &self.image])?;
        let mut files: Vec<_> = text.lines().map(str::to_owned).collect();
        files.sort_unstable();
        Ok(files)
    }

    /// Runs a container in a network namespace and waits for its end.
    ///
    /// # Errors
    /// If it cannot be run; that it fails is none.
    pub fn run(&self, network: &Namespace, spec: &Spec) -> Result<Ended> {
        let output = self
            .command(&["run", "--rm"])
            .args(self.arguments(network, spec)?)
            .output()
            .context("run podman")?;
        let ended = Ended {
            code: output.status.code().unwrap_or(-1),
            output: said(&output),
        };
        // podman's own codes for what never ran.
        ensure!(!(125..=127).contains(&ended.code), "{}", ended.output);
        Ok(ended)
    }

    /// Starts a container in a network namespace.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self, network: &Namespace, spec: &Spec) -> Result<Container<'_>> {
        let arguments = self.arguments(network, spec)?;
        let mut words = vec!["run", "--detach"];
        words.extend(arguments.iter().map(String::as_str));
        let id = self.podman(&words)?;
        let mut container = Container {
            engine: self,
            id,
            pid: 0,
        };
        container.pid = container.inspect("{{.State.Pid}}")?;
        // 0 if it ended at once, which would be all of our own group.
        if container.pid > 0 {
            left().processes.insert(container.pid);
        }
        Ok(container)
    }

    fn arguments(&self, network: &Namespace, spec: &Spec) -> Result<Vec<String>> {
        let mut arguments = rights::options(&spec.security)?;
        arguments.extend(FIXED.map(str::to_owned));
        arguments.push(format!("--network=ns:/run/netns/{}", network.name()));
        for (name, value) in &spec.env {
            arguments.push(format!("--env={name}={value}"));
        }
        for (from, to) in &spec.mounts {
            arguments.push(format!("--volume={from}:{to}:ro"));
        }
        let mut command = spec.command.clone();
        if command.first().is_some_and(|word| !word.starts_with('-')) {
            arguments.push(format!("--entrypoint={}", command.remove(0)));
        }
        arguments.push(self.image.clone());
        arguments.extend(command);
        Ok(arguments)
    }

    fn podman(&self, words: &[&str]) -> Result<String> {
        let output = self.command(words).output().context("run podman")?;
        if !output.status.success() {
            bail!("podman {}: {}", words.join(" "), said(&output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn command(&self, words: &[&str]) -> Command {
        let below = |name| self.storage.path().join(name);
        let mut command = Command::new("podman");
        command
            .arg("--root")
            .arg(below("storage"))
            .arg("--runroot")
            .arg(below("run"))
            .arg("--tmpdir")
            .arg(below("tmp"))
            // Works on any file system.
            .args(["--storage-driver", "vfs"])
            // crun wants one kind of cgroups for everything; runc takes them as they are.
            .args(["--runtime", "runc", "--cgroup-manager", "cgroupfs"])
            .args(["--events-backend", "none", "--log-level", "error"])
            .args(words);
        command
    }
}

/// A running container; removed with the value.
pub struct Container<'a> {
    engine: &'a Engine,
    id: String,
    pid: i32,
}

impl Container<'_> {
    /// The process id of its program, as the host has it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// What it has logged.
    ///
    /// # Errors
    /// If podman does not tell.
    pub fn log(&self) -> Result<String> {
        let words = ["logs", &self.id];
        let output = self.engine.command(&words).output().context("podman")?;
        ensure!(output.status.success(), "podman logs: {}", said(&output));
        Ok(said(&output))
    }

    /// That it still runs.
    ///
    /// # Errors
    /// If it ended: with its last words.
    pub fn check(&self) -> Result<()> {
        let running: bool = self.inspect("{{.State.Running}}")?;
        ensure!(running, "the container ended:\n{}", self.log()?);
        Ok(())
    }

    /// Sends SIGTERM and waits for the end; returns the exit code and how long it took.
    ///
    /// # Errors
    /// If it still runs after `limit`.
    pub fn terminate(&self, limit: Duration) -> Result<(i32, Duration)> {
        let begun = Instant::now();
        self.engine.podman(&["kill", "--signal=TERM", &self.id])?;
        crate::wait::until("the container's end", limit, || {
            let running: bool = self.inspect("{{.State.Running}}")?;
            ensure!(!running, "it runs");
            Ok(())
        })?;
        Ok((self.inspect("{{.State.ExitCode}}")?, begun.elapsed()))
    }

    fn inspect<T: std::str::FromStr>(&self, format: &str) -> Result<T> {
        let words = ["container", "inspect", "--format", format, &self.id];
        let text = self.engine.podman(&words)?;
        let value = text.parse().ok();
        value.with_context(|| format!("podman says {text:?} to {format}"))
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.engine
            .podman(&["rm", "--force", "--time=0", &self.id])
            .ok();
        left().processes.remove(&self.pid);
    }
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}
