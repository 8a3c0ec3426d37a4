//! `kube-proxy check`: whether this node is ready for a proxy, and what a switch of mode changes.

use super::{Command, Exits};
use crate::check;
use crate::cli::look;
use crate::mode::Mode;
use crate::report::Output;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};
use rules::check::From;
use std::process::ExitCode;

/// The command.
pub const CHECK: Command = Command {
    name: "check",
    build,
    run,
    exits: Exits::OF_COMMANDS,
};

const MODES: [(&str, From); 3] = [
    ("iptables", From::Iptables),
    ("ipvs", From::Ipvs),
    ("nftables", From::Nftables),
];

fn build(command: clap::Command) -> clap::Command {
    let from = Arg::new("from")
        .long("from")
        .value_name("mode")
        .help("Tell what changes for this cluster when kube-proxy in this mode gives way.")
        .help_heading("Check")
        .value_parser(PossibleValuesParser::new(MODES.map(|(name, _)| name)))
        .overrides_with("from");
    let command = command
        .about("Checks this node: kernel, settings, conntrack, rules of others, a switch of mode.")
        .override_usage("kube-proxy check [--from iptables|ipvs|nftables] [flags]")
        .arg(from);
    look::flags(command, &[])
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let from = matches.get_one::<String>("from").and_then(|given| {
        let row = MODES.iter().find(|(name, _)| name == given);
        row.map(|(_, from)| *from)
    });
    // Of a configuration for another mode, what it says of connection tracking counts as well.
    let (settings, mode) = look::nftables_settings(matches)?;
    // A switch is one to mode nftables.
    let mode = from.map_or(mode, |_| Mode::Nftables);
    Output::new(matches).print(&check::report(&settings, mode, from)?)
}
