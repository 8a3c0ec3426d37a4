//! `make compare`: upstream's kube-proxy and ours, asked the same.
//!
//! Each part has a table of questions and puts them to both binaries.

mod config;
pub(crate) mod difference;
mod http;
mod metrics;
mod rig;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use e2e::target_directory;

use crate::mode::Mode;
use crate::report::Cases;

/// The two binaries.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Upstream's, as `make` built it.
    pub upstream: PathBuf,
    /// `$KUBE_PROXY`, or the one built beside this program.
    pub ours: PathBuf,
}

/// Both proxies in a mode, whose questions are asked.
type Served = fn(&Programs, Mode, &mut Cases) -> Result<()>;

/// What asks a part's questions.
#[derive(Clone, Copy)]
enum Part {
    Once(fn(&Programs, &mut Cases) -> Result<()>),
    InEachMode(Served),
}

const PARTS: [(&str, Part); 3] = [
    ("config", Part::Once(config::compare)),
    ("http", Part::InEachMode(http::compare)),
    ("metrics", Part::InEachMode(metrics::compare)),
];

/// Ask upstream's kube-proxy and ours the same: configuration, HTTP answers, metrics
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Those to ask about, instead of all
    #[arg(value_parser = PARTS.map(|(name, _)| name))]
    parts: Vec<String>,
    /// Name what is the same, too
    #[arg(long)]
    verbose: bool,
}

/// Asks the chosen parts' questions; true if all answers were the same.
pub(crate) fn run(args: &Args) -> Result<bool> {
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
    let mut cases = if args.verbose {
        Cases::naming_all()
    } else {
        Cases::new()
    };
    for (name, compare) in PARTS {
        if !args.parts.is_empty() && !args.parts.iter().any(|part| part == name) {
            continue;
        }
        match compare {
            Part::Once(compare) => cases.group(name, |cases| compare(&programs, cases))?,
            Part::InEachMode(compare) => {
                for mode in [Mode::Nftables, Mode::Iptables] {
                    let name = format!("{name}, mode {mode}");
                    cases.group(&name, |cases| compare(&programs, mode, cases))?;
                }
            }
        }
    }
    Ok(cases.end())
}
