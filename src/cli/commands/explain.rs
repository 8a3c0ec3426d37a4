//! `kube-proxy explain`: what Services do, seen from this node, and what is wrong with them.

use super::{Command, Exits};
use crate::cli::look;
use crate::explain::{Request, Target, explain};
use crate::pflag::{Typed, bare};
use crate::report::Output;
use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches};
use std::process::ExitCode;

/// The command.
pub const EXPLAIN: Command = Command {
    name: "explain",
    build,
    run,
    exits: Exits::OF_COMMANDS,
};

fn build(command: clap::Command) -> clap::Command {
    let what = Arg::new("service").value_name("namespace/name").help(
        "The Service; NAMESPACE/ for all of its Services; or ADDRESS:PORT[/PROTOCOL] of one.",
    );
    let namespace = Arg::new("namespace")
        .long("namespace")
        .short('n')
        .help("The namespace of a Service that is named without one; alone, all of its Services.")
        .help_heading("Explain")
        .overrides_with("namespace");
    let ask_nodes = Arg::new("ask-nodes")
        .long("ask-nodes")
        .help("Ask the health check port of each node, and compare.")
        .help_heading("Explain")
        .value_name("bool")
        .action(ArgAction::Append)
        .hide_possible_values(true)
        .value_parser(Typed::<bool>::new(&[]));
    look::flags(command, &[])
        .about("Says who serves a Service here and why, what the kernel holds, and what is wrong.")
        .override_usage("kube-proxy explain <namespace/name> [flags]")
        .args([what, namespace, bare(ask_nodes, "true")])
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let word = |name| matches.get_one::<String>(name).map(String::as_str);
    let request = Request {
        target: Target::parse(word("service"), word("namespace"))?,
        ask_nodes: matches
            .get_many::<bool>("ask-nodes")
            .and_then(Iterator::last)
            .is_some_and(|value| *value),
    };
    let settings = look::settings(matches)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let report = runtime.block_on(explain(&settings, &request))?;
    Output::new(matches).print(&report)
}
