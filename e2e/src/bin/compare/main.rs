//! `make compare`: upstream's kube-proxy and ours, asked the same.
//!
//! Each part has a table of questions and puts them to both binaries. Arguments choose parts by
//! name; without any, all run.

mod config;
mod exposition;
mod http;
mod metrics;
mod report;
mod rig;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use e2e::{cleanup, target_directory};

use report::Report;

/// The two binaries.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Upstream's, as `make` built it.
    pub upstream: PathBuf,
    /// `$KUBE_PROXY`, or the one built beside this program.
    pub ours: PathBuf,
}

/// A part's name, and what asks its questions.
type Part = (&'static str, fn(&Programs, &mut Report) -> Result<()>);

const PARTS: &[Part] = &[
    ("config", config::compare),
    ("http", http::compare),
    ("metrics", metrics::compare),
];

fn main() -> ExitCode {
    match cleanup::on_signals().and_then(|()| run()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compare: {error:#}");
            // A line in the usual form, for whoever counts.
            println!("0 same, 1 different");
            ExitCode::FAILURE
        }
    }
}

/// Asks the chosen parts' questions; true if all answers were the same.
fn run() -> Result<bool> {
    let wanted: Vec<_> = std::env::args().skip(1).collect();
    let upstream = target_directory().join("controlplane").join("kube-proxy");
    ensure!(
        upstream.is_file(),
        "{} is missing: make compare builds it",
        upstream.display()
    );
    let programs = Programs {
        upstream,
        ours: e2e::binary()?,
    };
    let mut report = Report::default();
    for (name, compare) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|part| part == name) {
            report.begin(name);
            compare(&programs, &mut report)?;
        }
    }
    Ok(report.end())
}
