//! What came of the targets, for people and as `target/fuzz/report.json`.

use serde::Serialize;
use std::time::Duration;

/// What came of a target.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    name: String,
    seconds: f64,
    runs: u64,
    /// Edges of the program's flow that some input reached.
    edges: u64,
    /// Inputs that each reach something that no other does.
    #[serde(rename = "inputs")]
    corpus: u64,
    peak_mb: u64,
    /// The input that broke something, and what the program said.
    broken: Option<String>,
}

impl Outcome {
    /// Reads what the engine wrote.
    pub(super) fn new(name: &str, took: Duration, succeeded: bool, log: &str) -> Self {
        let stat = |name: &str| {
            let line = log.lines().rev().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0)
        };
        let status = log.lines().rev().find(|line| line.contains(" cov: "));
        let in_status = |name: &str| {
            let mut words = status.unwrap_or_default().split_whitespace();
            words.find(|word| *word == name);
            let number = words.next().unwrap_or_default();
            let digits = number.split('/').next().unwrap_or_default();
            digits.parse().unwrap_or(0)
        };
        Self {
            name: name.to_owned(),
            seconds: took.as_secs_f64(),
            runs: stat("stat::number_of_executed_units:"),
            edges: in_status("cov:"),
            corpus: in_status("corp:"),
            peak_mb: stat("stat::peak_rss_mb:"),
            broken: (!succeeded).then(|| what_broke(log)),
        }
    }
}

/// From the panic, or whatever the engine complains of, to the input's file.
fn what_broke(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let is_start = |line: &&str| line.contains("panicked at") || line.starts_with("==");
    let start = lines.iter().position(is_start);
    let start = start.unwrap_or(lines.len().saturating_sub(20));
    let said = lines[start..].iter().take(12);
    let file = lines
        .iter()
        .filter(|line| line.contains("Test unit written to"));
    let all: Vec<&str> = said.chain(file).copied().collect();
    all.join("\n")
}

/// All of it.
#[derive(Serialize)]
pub(super) struct Report {
    #[serde(rename = "targets")]
    outcomes: Vec<Outcome>,
}

impl Report {
    pub(super) fn new(outcomes: Vec<Outcome>) -> Self {
        Self { outcomes }
    }

    /// No input broke anything, and each target really ran.
    pub(super) fn is_clean(&self) -> bool {
        let clean = |outcome: &Outcome| outcome.broken.is_none() && outcome.runs > 0;
        self.outcomes.iter().all(clean)
    }

    pub(super) fn print(&self) {
        println!(
            "{:<12} {:>9} {:>7} {:>7} {:>7} {:>5}",
            "target", "runs", "runs/s", "edges", "inputs", "MB"
        );
        for outcome in &self.outcomes {
            println!(
                "{:<12} {:>9} {:>7.0} {:>7} {:>7} {:>5}",
                outcome.name,
                outcome.runs,
                outcome.rate(),
                outcome.edges,
                outcome.corpus,
                outcome.peak_mb
            );
        }
        for outcome in &self.outcomes {
            if let Some(what) = &outcome.broken {
                println!("\n{} broke:\n{what}", outcome.name);
            } else if outcome.runs == 0 {
                println!(
                    "\n{} did not run; see target/fuzz/{}.log",
                    outcome.name, outcome.name
                );
            }
        }
    }
}

impl Outcome {
    #[expect(clippy::cast_precision_loss, reason = "it is for people")]
    fn rate(&self) -> f64 {
        self.runs as f64 / self.seconds.max(0.001)
    }
}
