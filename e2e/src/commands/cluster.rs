//! `make e2e`: the daemon against a real control plane, proved by packets.
//!
//! etcd, kube-apiserver and kube-controller-manager run in a namespace of the bed; this program
//! posts Nodes, Pods and Services, the controllers make the EndpointSlices, and a daemon in
//! every node's namespace follows.

mod expect;
mod fixture;
mod look;
mod scenario;

use std::time::Instant;

use anyhow::{Result, ensure};

use fixture::Cluster;

use crate::report::Cases;

/// Prove the daemon by packets, with a real control plane
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Parts of the names of those to run, instead of all
    scenarios: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let wanted = &args.scenarios;
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    let names: Vec<_> = scenario::ALL.iter().map(|(name, _)| *name).collect();
    ensure!(
        names.iter().any(|name| is_wanted(name)),
        "no scenario has such a name; there are: {}",
        names.join("; ")
    );
    let mut cases = Cases::naming_all();
    let begun = Instant::now();
    let mut cluster = Cluster::start()?;
    println!("cluster up in {:.1} s", begun.elapsed().as_secs_f64());
    for (name, scenario) in scenario::ALL.iter().filter(|(name, _)| is_wanted(name)) {
        let done = cases.case(name, || {
            scenario(&mut cluster).and_then(|()| cluster.check_daemons())
        });
        if done.is_none() {
            cluster.save_state(name);
        }
        cluster.clear()?;
    }
    Ok(cases.end())
}
