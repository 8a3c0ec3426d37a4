//! What the command line chooses.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

pub(crate) const HELP: &str = "\
Sends the same packets through upstream's kube-proxy and ours, and compares what becomes of them.

  --filter TEXT   only cases whose id contains TEXT (random: the randomised
                  states); may be given again
  --random COUNT  this many randomised cluster states (default 20; 0 for none)
  --seconds N     no new randomised state after N seconds of them (default 180)
  --seed N        begin with this state; each has the next higher seed
  --upstream PATH another program in upstream's place, such as an earlier build
  --list          print the table's cases and stop
  --help          this text
";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) filters: Vec<String>,
    pub(crate) random: u32,
    pub(crate) seconds: u64,
    /// Chosen by the clock if not given.
    pub(crate) seed: Option<u64>,
    pub(crate) upstream: Option<PathBuf>,
    pub(crate) list: bool,
    pub(crate) help: bool,
}

impl Options {
    /// Reads arguments, without the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            filters: Vec::new(),
            random: 20,
            seconds: 180,
            seed: None,
            upstream: None,
            list: false,
            help: false,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (flag, joined) = match argument.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let mut value = || {
                let value = joined.clone().or_else(|| arguments.next());
                value.with_context(|| format!("{flag} needs a value"))
            };
            match flag {
                "--filter" => options.filters.push(value()?),
                "--random" => options.random = number(flag, &value()?)?,
                "--seconds" => options.seconds = number(flag, &value()?)?,
                "--seed" => options.seed = Some(number(flag, &value()?)?),
                "--upstream" => options.upstream = Some(value()?.into()),
                "--list" => options.list = true,
                "--help" | "-h" => options.help = true,
                _ => bail!("{argument} is not known; --help tells what is"),
            }
        }
        Ok(options)
    }

    /// Whether a case with this id is wanted.
    pub(crate) fn wants(&self, id: &str) -> bool {
        self.filters.is_empty()
            || self
                .filters
                .iter()
                .any(|filter| id.contains(filter.as_str()))
    }
}

impl Options {
    /// Whether any case is wanted of a part whose ids begin with `part`.
    pub(crate) fn wants_part(&self, part: &str) -> bool {
        self.filters.is_empty()
            || self
                .filters
                .iter()
                .any(|filter| filter.starts_with(part) || part.starts_with(filter.as_str()))
    }
}

fn number<N: std::str::FromStr>(flag: &str, value: &str) -> Result<N> {
    value
        .parse()
        .ok()
        .with_context(|| format!("{flag} {value}: not a number"))
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(line: &str) -> anyhow::Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn values_may_be_joined_or_apart() {
        let options = parse("--seed 7 --random=3 --filter hint --filter=range").expect("valid");
        assert_eq!((options.seed, options.random), (Some(7), 3));
        assert!(options.wants("hint-zone/x") && options.wants("ranges-x") && !options.wants("x"));
        assert!(parse("").expect("valid").wants("anything"));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for line in ["--sed 7", "--seed", "--seed x"] {
            let error = parse(line).expect_err("invalid").to_string();
            assert!(error.contains("--se"), "{error}");
        }
    }
}
