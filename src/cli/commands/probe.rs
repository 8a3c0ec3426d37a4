//! `kube-proxy probe URL`: calls echo through a Service, and counts who answers.

use super::{Command, Exits};
use crate::config::{GoDuration, LoggingConfiguration};
use crate::echo::Identity;
use crate::logging;
use crate::pflag::{Typed, UsageError, bare, quote};
use crate::probe::{self, Calls, Target};
use crate::report::{Output, args};
use anyhow::Context;
use clap::{Arg, ArgMatches, value_parser};
use std::process::ExitCode;

/// The command.
pub const PROBE: Command = Command {
    name: "probe",
    build,
    run,
    exits: Exits::OF_COMMANDS,
};

/// More calls prove nothing more.
const MOST_CALLS: u64 = 1_000_000;
/// More at a time are more ports and descriptors than a machine may have.
const MOST_AT_A_TIME: u64 = 1000;

fn build(command: clap::Command) -> clap::Command {
    let url = Arg::new("url")
        .required_unless_present("help")
        .help("Where echo answers: http://host[:port][/path]; http:// may be left out.");
    let count = Arg::new("count")
        .long("count")
        .help("How many calls.")
        .value_parser(value_parser!(u64).range(1..=MOST_CALLS))
        .default_value("3000");
    let concurrency = Arg::new("concurrency")
        .long("concurrency")
        .help("How many calls at a time; each has a port of this machine.")
        .value_parser(value_parser!(u64).range(1..=MOST_AT_A_TIME))
        .default_value("20");
    let timeout = Arg::new("timeout")
        .long("timeout")
        .help("How long one call may take.")
        .value_name("duration")
        .value_parser(Typed::<GoDuration>::new(&[]))
        .default_value("5s");
    let new_connection = Arg::new("new-connection")
        .long("new-connection")
        .help("A new connection for each call, so that a Service chooses anew each time.")
        .value_name("bool")
        .hide_possible_values(true)
        .value_parser(Typed::<bool>::new(&[]))
        .default_value("true");
    let calls = [count, concurrency, timeout, bare(new_connection, "true")].map(|arg| {
        let id = arg.get_id().clone();
        arg.help_heading("Calls").overrides_with(id)
    });
    command
        .about("Calls a Service of `kube-proxy echo`, and counts who answers, and whose address they see.")
        .override_usage("kube-proxy probe <url> [flags]")
        .arg(url)
        .args(calls)
        .args(args(&[]))
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let text = matches
        .get_one::<String>("url")
        .context("a URL is missing")?;
    let target = Target::parse(text).map_err(|why| {
        let text = quote(text);
        UsageError::new(format!("invalid argument {text} for <url>: {why}"))
    })?;
    let timeout = *matches
        .get_one::<GoDuration>("timeout")
        .context("a timeout")?;
    if timeout.nanos() <= 0 {
        let message = "invalid argument for \"--timeout\" flag: it has to be longer than nothing";
        return Err(UsageError::new(message).into());
    }
    let number = |name| matches.get_one::<u64>(name).copied().unwrap_or(1);
    let calls = Calls {
        count: number("count"),
        concurrency: usize::try_from(number("concurrency").min(number("count")))?,
        timeout: timeout.to_std(),
        new_connections: matches.get_one("new-connection").copied().unwrap_or(true),
    };
    logging::start(&LoggingConfiguration::default());
    #[cfg(feature = "node")]
    crate::descriptors::raise();
    let here = Identity::from_environment();
    let node = here.node.or(here.pod).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let stop = async {
        // Without the signal it ends when it has called.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let report = runtime.block_on(probe::probe(target, calls, None, node, stop))?;
    Output::new(matches).print(&report)
}
