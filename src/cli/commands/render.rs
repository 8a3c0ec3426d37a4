//! `kube-proxy render`: prints the rules that manifests lead to, as text that `nft -f` or
//! `iptables-restore` loads.

use super::{Command, Exits};
use crate::cli::startup;
use crate::config::MODE_NFTABLES;
use crate::options::{Options, flags};
use crate::render;
use crate::settings::Settings;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};
use rules::model::Family;
use std::process::ExitCode;

/// The command.
pub const RENDER: Command = Command {
    name: "render",
    build,
    run,
    // It is a part of the daemon, and ends like it.
    exits: Exits::OF_THE_DAEMON,
};

fn build(command: clap::Command) -> clap::Command {
    let defaults = Options::default();
    let family = Arg::new("family")
        .long("family")
        .help("The family to print, instead of both.")
        .help_heading("Output")
        .value_parser(PossibleValuesParser::new(["ipv4", "ipv6"]))
        .overrides_with("family");
    command
        .about("Prints the rules that the daemon would load, as text that nft -f takes, or with --proxy-mode iptables upstream's, for iptables-restore.")
        .override_usage("kube-proxy render [flags]")
        .args(flags::PLANNING.iter().flat_map(|group| group.args(&defaults)))
        .arg(family)
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let options = Options::new(matches);
    // What a daemon serves a mode with that nobody gave.
    let complete = startup::complete(&options, MODE_NFTABLES)?;
    startup::start_logging(&complete)?;
    startup::validate(&complete)?;
    let settings = Settings::new(&options, complete)?;
    let family = match matches.get_one::<String>("family").map(String::as_str) {
        Some("ipv4") => Some(Family::V4),
        Some(_) => Some(Family::V6),
        None => None,
    };
    render::render(&settings, family, &mut std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}
