//! What the command line asks for.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

const SIZES: [&str; 2] = ["1000x10", "10000x10"];
const HELP: &str = "bench_upstream [SERVICESxENDPOINTS...] [flags]
  --cutoff SECONDS   give upstream no more than this for its first sync (600)
  --updates N        change one endpoint so many times (100)
  --burst N          changes in the burst (1000)
  --min-sync-period  DURATION for both proxies, instead of their common default of 1s
  --heavy            run upstream also where it may hold the kernel's lock for minutes
  --packets          also measure connections, at 10 and 10,000 Services
  --no-sizes         measure no sizes
  --docs             rewrite docs/benchmarks.md, its chart and its report
  --report FILE      add what an earlier run wrote; may stand several times";

/// Services, and endpoints of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) services: usize,
    pub(crate) endpoints: usize,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.services, self.endpoints)
    }
}

pub(crate) struct Args {
    pub(crate) sizes: Vec<Size>,
    pub(crate) cutoff: Duration,
    pub(crate) updates: usize,
    pub(crate) burst: usize,
    pub(crate) min_sync_period: Option<String>,
    heavy: bool,
    pub(crate) packets: bool,
    pub(crate) docs: bool,
    pub(crate) reports: Vec<PathBuf>,
}

impl Args {
    pub(crate) fn parse() -> Result<Self> {
        let mut args = Self {
            sizes: Vec::new(),
            cutoff: Duration::from_secs(600),
            updates: 100,
            burst: 1000,
            min_sync_period: None,
            heavy: false,
            packets: false,
            docs: false,
            reports: Vec::new(),
        };
        let mut no_sizes = false;
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--cutoff" => args.cutoff = Duration::from_secs(value()?.parse()?),
                "--updates" => args.updates = value()?.parse()?,
                "--burst" => args.burst = value()?.parse()?,
                "--min-sync-period" => args.min_sync_period = Some(value()?),
                "--heavy" => args.heavy = true,
                "--packets" => args.packets = true,
                "--no-sizes" => no_sizes = true,
                "--docs" => args.docs = true,
                "--report" => args.reports.push(value()?.into()),
                "--help" | "-h" => {
                    println!("{HELP}");
                    std::process::exit(0);
                }
                flag if flag.starts_with('-') => bail!("{flag} is unknown\n{HELP}"),
                size => args.sizes.push(parse_size(size)?),
            }
        }
        if args.sizes.is_empty() && !no_sizes {
            args.sizes = SIZES.into_iter().map(parse_size).collect::<Result<_>>()?;
        }
        Ok(args)
    }

    /// Upstream gives each Service an anonymous map: in one transaction, tens of thousands of
    /// them, or large ones, hold a core in the kernel for minutes.
    pub(crate) fn runs_upstream(&self, size: Size) -> bool {
        self.heavy || (size.services <= 10_000 && size.endpoints <= 10)
    }

    pub(crate) fn packet_sizes(&self) -> [usize; 2] {
        [10, 10_000]
    }
}

fn parse_size(text: &str) -> Result<Size> {
    let numbers = text
        .split_once('x')
        .and_then(|(services, endpoints)| Some((services.parse().ok()?, endpoints.parse().ok()?)));
    match numbers {
        // Cluster IPs are of one /16, and one Service is the one that is asked.
        Some((services, endpoints)) if (2..65_000).contains(&services) && endpoints > 0 => {
            Ok(Size {
                services,
                endpoints,
            })
        }
        _ => bail!("{text:?} is not SERVICESxENDPOINTS, such as 10000x10"),
    }
}
