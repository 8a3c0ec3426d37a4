//! A program that runs beside the tests.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::cleanup::left;

/// A running program whose output goes to a file; stopped with the value.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: i32,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, its output appended to `log`.
    ///
    /// # Errors
    /// If the log can't be opened or the program can't be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("open {}", log.display()))?;
        // Held meanwhile, so that a signal can't come between start and note.
        let mut left = left();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ctrl-C is for us alone: we end the others in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let pid = i32::try_from(child.id()).context("process id out of range")?;
        left.processes.insert(pid);
        Ok(Self {
            name: name.to_owned(),
            child,
            pid,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If it has ended already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid), signal)
            .with_context(|| format!("send {signal} to {}", self.name))
    }

    /// Kills it and all that it started.
    ///
    /// # Errors
    /// If it has ended already, or does not end.
    pub fn kill_all(&mut self) -> Result<()> {
        killpg(Pid::from_raw(self.pid), Signal::SIGKILL)
            .with_context(|| format!("kill {} and what it started", self.name))?;
        self.wait(Duration::from_secs(60)).map(drop)
    }

    /// Waits up to `limit` for its end.
    ///
    /// # Errors
    /// If it still runs then.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                left().processes.remove(&self.pid);
                return Ok(status);
            }
            if start.elapsed() >= limit {
                bail!("{} still runs after {limit:.1?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// That it still runs.
    ///
    /// # Errors
    /// If it ended: with its last words.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                left().processes.remove(&self.pid);
                bail!("{} ended with {status}:\n{}", self.name, self.tail(15))
            }
        }
    }

    /// The last lines of its output.
    pub fn tail(&self, lines: usize) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let all: Vec<_> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::SIGTERM).ok();
            if self.wait(Duration::from_secs(3)).is_err() {
                self.child.kill().ok();
                self.child.wait().ok();
            }
        }
        left().processes.remove(&self.pid);
    }
}
