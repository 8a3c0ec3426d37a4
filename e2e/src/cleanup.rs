//! What outlives a value's drop: a signal ends the process without running
//! destructors, so everything that the kernel would keep is noted here too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::TempDir;

/// What every namespace's name begins with, before the process id.
pub(crate) const PREFIX: &str = "kpr";

static LEFT: Mutex<Left> = Mutex::new(Left {
    processes: BTreeSet::new(),
    namespaces: BTreeSet::new(),
    directories: BTreeSet::new(),
});
static EXIT_CODE: AtomicI32 = AtomicI32::new(130);

/// What is still to be removed.
pub(crate) struct Left {
    pub(crate) processes: BTreeSet<i32>,
    pub(crate) namespaces: BTreeSet<String>,
    pub(crate) directories: BTreeSet<PathBuf>,
}

pub(crate) fn left() -> MutexGuard<'static, Left> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The exit code of a process that a signal ends from here on (130 at first).
pub fn exit_code_on_signal(code: i32) {
    EXIT_CODE.store(code, Ordering::SeqCst);
}

/// Makes SIGINT, SIGTERM and SIGHUP remove everything and exit.
///
/// # Errors
/// If no handler can be set or no thread can be made.
pub fn on_signals() -> Result<()> {
    // By handlers rather than a blocked mask, which programs that we start would inherit.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("handle signals")?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if signals.forever().next().is_some() {
                remove_all();
                std::process::exit(EXIT_CODE.load(Ordering::SeqCst));
            }
        })
        .context("start the signal thread")?;
    Ok(())
}

/// Deletes what earlier runs left: those whose process was killed, or whose containers still
/// wrote when their directory was removed.
pub fn sweep() {
    for name in abandoned(Path::new("/run/netns")) {
        delete_namespace(&name);
    }
    let temporary = std::env::temp_dir();
    for name in abandoned(&temporary) {
        std::fs::remove_dir_all(temporary.join(name)).ok();
    }
}

/// The entries of a directory that were made by a process of ours that is no more.
fn abandoned(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_gone = |pid| !Path::new(&format!("/proc/{pid}")).exists();
    names
        .filter(|name| owner(name).is_some_and(is_gone))
        .collect()
}

/// The process that made the namespace or directory `name`, if it is one of ours.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?
        .strip_prefix('-')?
        .split('-')
        .next()?
        .parse()
        .ok()
}

fn remove_all() {
    // The lock is kept: a thread that still wants to add something waits
    // until the process is gone.
    let mut left = left();
    for pid in &left.processes {
        kill(Pid::from_raw(*pid), Signal::SIGKILL).ok();
    }
    for name in &left.namespaces {
        delete_namespace(name);
    }
    for path in &left.directories {
        std::fs::remove_dir_all(path).ok();
    }
    left.processes.clear();
    std::mem::forget(left);
}

pub(crate) fn delete_namespace(name: &str) {
    Command::new("ip")
        .args(["netns", "del", name])
        .stderr(std::process::Stdio::null())
        .status()
        .ok();
}

/// A directory of its own for one run, removed with the value.
#[derive(Debug)]
pub struct ScratchDir(TempDir);

impl ScratchDir {
    /// Makes `kpr-<pid>-<name>-<random>` below the system's directory for temporary files.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn create(name: &str) -> Result<Self> {
        // Held meanwhile, so that a signal can't come between making and note.
        let mut left = left();
        let directory = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}-{}-{name}-", std::process::id()))
            .tempdir()
            .context("make a directory for temporary files")?;
        left.directories.insert(directory.path().to_owned());
        Ok(Self(directory))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        left().directories.remove(self.path());
    }
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn only_our_own_namespaces_have_an_owner() {
        assert_eq!(owner("kpr-17-node-1"), Some(17));
        assert_eq!(owner("kpr-node-1"), None);
        assert_eq!(owner("cni-17-node"), None);
    }
}
