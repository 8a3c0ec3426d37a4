//! `kube-proxy completion SHELL`: a script that lets a shell complete commands and flags.

use super::{Command, DAEMON, Exits};
use crate::cli::{print, root};
use anyhow::Context;
use clap::{Arg, ArgMatches, value_parser};
use clap_complete::Shell;
use std::process::ExitCode;

/// The command.
pub const COMPLETION: Command = Command {
    name: "completion",
    build,
    run,
    exits: Exits::OF_COMMANDS,
};

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Prints a script that lets a shell complete commands and flags.")
        .override_usage("kube-proxy completion <shell>")
        .after_help("In bash: source <(kube-proxy completion bash)")
        .arg(
            Arg::new("shell")
                .required_unless_present("help")
                .help("The shell that is to read it.")
                .value_parser(value_parser!(Shell)),
        )
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let shell = matches
        .get_one::<Shell>("shell")
        .context("a shell is missing")?;
    print(&script(*shell))?;
    Ok(ExitCode::SUCCESS)
}

/// The script for a shell.
pub fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut root(), DAEMON.name, &mut script);
    let script = String::from_utf8_lossy(&script);
    // clap_complete 4.6 takes the dash in the program's name for the gap before a command in one
    // of two places, so that bash finds none.
    script.replace("kube__subcmd__proxy", "kube__proxy")
}
