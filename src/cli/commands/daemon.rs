//! `kube-proxy`: the node's daemon, which is what it is without the name of a command; as
//! upstream's, its flags may ask for something else first.

use super::{Command, Exits};
use crate::cleanup;
use crate::cli::{print, startup};
use crate::config::ConfigFile;
use crate::options::{Complete, Options, flags};
use crate::proxy::daemon;
use crate::settings::Settings;
use anyhow::Context;
use clap::ArgMatches;
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

fn start(options: &Options) -> anyhow::Result<()> {
    let complete = startup::complete(options, "")?;
    // Before anything is done by what it says, so that no change of it is missed.
    let config_file = match options.config_file.as_str() {
        "" => None,
        path => Some(ConfigFile::watch(path.as_ref())?),
    };
    startup::start_logging(&complete)?;
    startup::validate(&complete)?;
    if !options.write_config_to.is_empty() {
        return write_config(&options.write_config_to, &complete);
    }
    if options.cleanup {
        return cleanup::everything();
    }
    daemon::run(Settings::new(options, complete)?, config_file)
}

fn write_config(path: &str, complete: &Complete) -> anyhow::Result<()> {
    std::fs::write(path, complete.config.to_yaml())
        .with_context(|| format!("--write-config-to {path}"))?;
    tracing::info!("Wrote configuration to {path}");
    Ok(())
}
