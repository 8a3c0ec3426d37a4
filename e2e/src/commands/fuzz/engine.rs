//! The engine, libFuzzer, as a process for each target.

use crate::fuzz::report::Outcome;
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Where everything goes that is not to be committed.
const WORK: &str = "target/fuzz";
/// An input that takes longer is a finding, in seconds. The slowest ones take some milliseconds;
/// the rest is room for a busy machine.
const TIMEOUT: u32 = 10;
/// So is one that takes more memory, in MB.
const MEMORY: u32 = 1024;

/// How long a target is run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    /// Begins with what was committed and what was found before, and keeps what it finds.
    Seconds(u64),
    /// So many inputs beyond those that were committed, always from the same seed, so that a gate
    /// says the same each time (nearly: hash tables have seeds of their own, which shows in what an
    /// input is seen to reach).
    Inputs(u64),
}

/// A target as the engine lists it.
pub(super) struct Target {
    pub(super) name: String,
    /// The longest input, in bytes.
    max_len: usize,
}

/// How to start it.
pub(super) struct Engine {
    program: PathBuf,
}

impl Engine {
    pub(super) fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
        }
    }

    /// Every target that it has.
    pub(super) fn targets(&self) -> anyhow::Result<Vec<Target>> {
        let output = Command::new(&self.program)
            .env_remove("FUZZ_TARGET")
            .output()
            .with_context(|| format!("starting {}", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let targets = text.lines().filter_map(|line| {
            let (name, max_len) = line.split_once(' ')?;
            Some(Target {
                name: name.to_owned(),
                max_len: max_len.parse().ok()?,
            })
        });
        Ok(targets.collect())
    }

    /// Makes up inputs; ends at the first that breaks something.
    pub(super) fn run(&self, target: &Target, length: Length) -> anyhow::Result<Outcome> {
        let committed = committed(target);
        let mut command = self.command(target);
        match length {
            Length::Seconds(seconds) => command
                .arg(format!("-max_total_time={seconds}"))
                .arg(dir("corpus", target)?),
            Length::Inputs(inputs) => command
                .arg("-seed=1")
                .arg(format!("-runs={}", inputs + count(&committed)?))
                // What is found goes to the first directory.
                .arg(empty("repeatable", target)?),
        };
        let artifacts = dir("artifacts", target)?;
        let log = Path::new(WORK).join(format!("{}.log", target.name));
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        let start = Instant::now();
        let status = command
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg("-print_final_stats=1")
            .arg(committed)
            .stdout(Stdio::null())
            .stderr(output)
            .status()
            .with_context(|| format!("starting {}", self.program.display()))?;
        let text = fs::read(&log).with_context(|| log.display().to_string())?;
        let text = String::from_utf8_lossy(&text);
        Ok(Outcome::new(
            &target.name,
            start.elapsed(),
            status.success(),
            &text,
        ))
    }

    /// Writes the committed corpus anew; how many inputs it had and has.
    pub(super) fn minimise(&self, target: &Target) -> anyhow::Result<(usize, usize)> {
        let kept = empty("minimised", target)?;
        let corpus = committed(target);
        let status = self
            .command(target)
            .arg("-set_cover_merge=1")
            // Where it comes by, not how often: that would be several times as many.
            .arg("-use_counters=0")
            .args([&kept, &corpus, &dir("corpus", target)?])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("starting {}", self.program.display()))?;
        ensure!(status.success(), "{}: {status}", target.name);
        let kept = contents(&kept)?;
        let before = contents(&corpus)?;
        // Those that were written by hand have a reason that coverage does not know.
        let is_found = |path: &Path| {
            path.file_name()
                .is_some_and(|name| name.len() == SHA1_DIGITS)
        };
        for (bytes, path) in &before {
            if is_found(path) && !kept.contains_key(bytes) {
                fs::remove_file(path)?;
            }
        }
        for (bytes, path) in &kept {
            if let (false, Some(name)) = (before.contains_key(bytes), path.file_name()) {
                fs::write(corpus.join(name), bytes)?;
            }
        }
        Ok((before.len(), contents(&corpus)?.len()))
    }

    fn command(&self, target: &Target) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("FUZZ_TARGET", &target.name)
            .arg(format!("-max_len={}", target.max_len))
            .arg(format!("-timeout={TIMEOUT}"))
            .arg(format!("-rss_limit_mb={MEMORY}"));
        let dictionary = format!("fuzz/dictionaries/{}.dict", target.name);
        if Path::new(&dictionary).exists() {
            command.arg(format!("-dict={dictionary}"));
        }
        command
    }
}

/// The engine names what it finds after its contents.
const SHA1_DIGITS: usize = 40;

/// A directory's files by what they hold.
fn contents(dir: &Path) -> anyhow::Result<BTreeMap<Vec<u8>, PathBuf>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        all.insert(fs::read(&path)?, path);
    }
    Ok(all)
}

fn count(dir: &Path) -> anyhow::Result<u64> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    Ok(entries.count() as u64)
}

fn committed(target: &Target) -> PathBuf {
    Path::new("fuzz/corpus").join(&target.name)
}

fn dir(kind: &str, target: &Target) -> anyhow::Result<PathBuf> {
    let path = Path::new(WORK).join(kind).join(&target.name);
    fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
    Ok(path)
}

fn empty(kind: &str, target: &Target) -> anyhow::Result<PathBuf> {
    let path = dir(kind, target)?;
    for entry in fs::read_dir(&path)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(path)
}
