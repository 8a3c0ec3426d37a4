//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::mode::Mode;
use crate::size::Size;

const SIZES: [&str; 2] = ["1000x10", "10000x10"];

/// Measure upstream's kube-proxy and ours on the same objects
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Services × endpoints of each
    #[arg(value_name = "SERVICESxENDPOINTS", default_values = SIZES, value_parser = in_one_range)]
    sizes: Vec<Size>,
    /// The mode of both
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mode: Mode,
    /// Give upstream no more than this for its first sync
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub(crate) cutoff: Duration,
    /// Change one endpoint so many times
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) updates: usize,
    /// Changes in the burst
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) burst: usize,
    /// For both proxies, instead of their common default of 1s
    #[arg(long, value_name = "DURATION")]
    pub(crate) min_sync_period: Option<String>,
    /// Run upstream also where it may hold the kernel's lock for minutes
    #[arg(long)]
    heavy: bool,
    /// Also measure connections, at 10 and 10,000 Services (mode iptables: 10,000 alone)
    #[arg(long)]
    pub(crate) packets: bool,
    /// Measure no sizes
    #[arg(long)]
    no_sizes: bool,
    /// Rewrite docs/benchmarks.md, its chart and its report
    #[arg(long)]
    pub(crate) docs: bool,
    /// Add what an earlier run wrote; may stand several times
    #[arg(long = "report", value_name = "FILE")]
    pub(crate) reports: Vec<PathBuf>,
}

impl Args {
    /// The sizes to measure.
    pub(crate) fn sizes(&self) -> &[Size] {
        if self.no_sizes { &[] } else { &self.sizes }
    }

    /// Upstream gives each Service an anonymous map: in one transaction, tens of thousands of
    /// them, or large ones, hold a core in the kernel for minutes.
    pub(crate) fn runs_upstream(&self, size: Size) -> bool {
        self.heavy || (size.services <= 10_000 && size.endpoints <= 10)
    }

    /// Services and endpoints of each. Mode iptables asks a chain of all Services, and with ten
    /// endpoints of each upstream would not come to an end.
    pub(crate) fn packet_sizes(&self) -> &[Size] {
        const fn size(services: usize, endpoints: usize) -> Size {
            Size {
                services,
                endpoints,
            }
        }
        const NFTABLES: [Size; 2] = [size(10, 10), size(10_000, 10)];
        const IPTABLES: [Size; 1] = [size(10_000, 1)];
        match self.mode {
            Mode::Nftables => &NFTABLES,
            Mode::Iptables => &IPTABLES,
        }
    }
}

/// Cluster IPs are of one /16, and one Service is the one that is asked.
fn in_one_range(text: &str) -> Result<Size> {
    let size: Size = text.parse()?;
    ensure!(
        (2..65_000).contains(&size.services),
        "2 to 64,999 Services can be made"
    );
    Ok(size)
}

fn seconds(text: &str) -> Result<Duration> {
    Ok(Duration::from_secs(text.parse()?))
}
