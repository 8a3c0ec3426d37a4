//! What the command line chooses.

use std::path::PathBuf;

use crate::mode::Mode;

/// Send the same packets through upstream's kube-proxy and ours, and compare what becomes of them
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The mode of both; in mode iptables the texts of iptables-save are compared too
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mode: Mode,
    /// Only cases whose id contains TEXT (random: the randomised states); may be given again
    #[arg(long = "filter", value_name = "TEXT")]
    filters: Vec<String>,
    /// This many randomised cluster states; 0 for none
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub(crate) random: u32,
    /// No new randomised state after so many seconds of them
    #[arg(long, value_name = "N", default_value_t = 180)]
    pub(crate) seconds: u64,
    /// Begin with this state, else by the clock; each has the next higher seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another program in upstream's place, such as an earlier build
    #[arg(long, value_name = "PATH")]
    pub(crate) upstream: Option<PathBuf>,
    /// Do not ask `kube-proxy trace`, which upstream in ours' place does not have
    #[arg(long)]
    pub(crate) no_trace: bool,
    /// Print the table's cases and stop
    #[arg(long)]
    pub(crate) list: bool,
}

impl Args {
    /// Whether a case with this id is wanted.
    pub(crate) fn wants(&self, id: &str) -> bool {
        self.filters.is_empty()
            || self
                .filters
                .iter()
                .any(|filter| id.contains(filter.as_str()))
    }

    /// Whether any case is wanted of a part whose ids begin with `part`.
    pub(crate) fn wants_part(&self, part: &str) -> bool {
        self.filters.is_empty()
            || self
                .filters
                .iter()
                .any(|filter| filter.starts_with(part) || part.starts_with(filter.as_str()))
    }
}
