//! The command line.

use anyhow::{Context, bail};
use std::path::PathBuf;

const USAGE: &str = "fuzz --engine PROGRAM [--seconds N | --inputs N] [--minimise] [TARGET...]";

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Look for inputs that break something.
    Run,
    /// Leave only those inputs in the corpora that reach what no other does.
    Minimise,
}

/// The command line's content.
#[derive(Debug)]
pub(super) struct Args {
    /// The program with the targets.
    pub(super) engine: PathBuf,
    pub(super) command: Command,
    /// For how long, all targets together.
    pub(super) seconds: u64,
    /// Instead: how many inputs are made up for each target, from one seed.
    pub(super) inputs: Option<u64>,
    /// None means all.
    targets: Vec<String>,
}

impl Args {
    pub(super) fn read(words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut args = Self {
            engine: PathBuf::new(),
            command: Command::Run,
            seconds: 60,
            inputs: None,
            targets: Vec::new(),
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word}: {USAGE}"));
            match word.as_str() {
                "--engine" => args.engine = value()?.into(),
                "--seconds" => args.seconds = value()?.parse().context("--seconds")?,
                "--inputs" => args.inputs = Some(value()?.parse().context("--inputs")?),
                "--minimise" => args.command = Command::Minimise,
                other if other.starts_with('-') => bail!("{other}: {USAGE}"),
                target => args.targets.push(target.to_owned()),
            }
        }
        Ok(args)
    }

    pub(super) fn is_wanted(&self, target: &str) -> bool {
        self.targets.is_empty() || self.targets.iter().any(|own| own == target)
    }
}
