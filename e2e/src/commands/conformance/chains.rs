//! `make compare-iptables`: the chains that upstream's kube-proxy makes in mode iptables, and those
//! that ours renders.
//!
//! Upstream follows an API server on a node of its own. For each state of the cluster and each
//! setting ours renders the same objects, iptables-restore loads that into an empty namespace, and
//! what iptables-save tells of both has to be equal, in both families.

mod node;
mod states;

use anyhow::Result;

use crate::report::Cases;
use node::Rig;

/// Compare what iptables-save tells of upstream's kube-proxy with what it tells of our render
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Only states whose name contains TEXT; may be given again
    #[arg(long = "filter", value_name = "TEXT")]
    filters: Vec<String>,
    /// This many randomised cluster states; 0 for none
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    random: u32,
    /// The first one's seed; each has the next higher one
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl Args {
    fn wants(&self, name: &str) -> bool {
        let wants = |filter: &String| name.contains(filter.as_str());
        self.filters.is_empty() || self.filters.iter().any(wants)
    }
}

/// Compares what is wanted; whether all of it is equal.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut rig = Rig::start()?;
    let mut cases = Cases::naming_all();
    let result = states::compare(&mut rig, args, &mut cases);
    rig.save_state();
    result?;
    Ok(cases.end())
}
