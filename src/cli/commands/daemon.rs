//! `kube-proxy`: the node's daemon, which is what it is without the name of a command; as
//! upstream's, its flags may ask for something else first.

#[cfg(feature = "node")]
mod start;

use super::{Command, Exits};
use crate::cli::print;
use crate::options::{Options, flags};
use clap::ArgMatches;
#[cfg(feature = "node")]
use start::start;
use std::process::ExitCode;

/// The daemon.
pub const DAEMON: Command = Command {
    name: "kube-proxy",
    build,
    run,
    exits: Exits::OF_THE_DAEMON,
};

fn build(command: clap::Command) -> clap::Command {
    let defaults = Options::default();
    let args = flags::ALL.iter().flat_map(|group| group.args(&defaults));
    command
        .about("Keeps this node's nftables rules in line with the cluster's Services.")
        .override_usage("kube-proxy [flags]\n       kube-proxy <command> [flags]")
        .args(args)
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let options = Options::new(matches);
    match options.version.text() {
        Some(version) => print(&format!("{version}\n"))?,
        None => start(&options)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A build for laptops has commands alone.
#[cfg(not(feature = "node"))]
fn start(_: &Options) -> anyhow::Result<()> {
    anyhow::bail!("this build has no daemon: it is the kubectl plugin, for any machine")
}
