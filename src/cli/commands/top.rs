//! `kube-proxy top`: what each Service does on this node right now.

use super::{Command, Exits};
use crate::cli::look;
use crate::config::GoDuration;
use crate::pflag::{Typed, UsageError, bare, parse_uint, quote};
use crate::report::{Format, Output};
use crate::top::{self, Form, Options, Order};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

/// The command.
pub const TOP: Command = Command {
    name: "top",
    build,
    run,
    exits: Exits::OF_COMMANDS,
};

/// More often is nothing but work for the kernel.
const SHORTEST: Duration = Duration::from_millis(200);
/// Flows that end are not seen by looks that are further apart.
const LONGEST: Duration = Duration::from_secs(10);

fn build(command: clap::Command) -> clap::Command {
    let sort = Arg::new("sort")
        .long("sort")
        .help("What comes first: the most of that, or the first by name.")
        .value_parser(PossibleValuesParser::new(Order::ALL.map(|(name, _)| name)))
        .default_value("new");
    let once = Arg::new("once")
        .long("once")
        .help("Tell one look and end; where there is no terminal, this is the default but with -o json.")
        .value_name("bool")
        .value_parser(Typed::<bool>::new(&[]))
        .default_value("false");
    let interval = Arg::new("interval")
        .long("interval")
        .help("The time between two looks, 200ms to 10s. It is longer where a look takes long.")
        .value_parser(Typed::by(interval, &[]))
        .default_value("2s");
    let rows = Arg::new("rows")
        .long("rows")
        .help("Tell so many Service ports, 0 for all. A screen shows what fits.")
        .value_parser(Typed::by(rows, &[]))
        .default_value("50");
    let what = Arg::new("what")
        .help("A namespace, or a Service as NAMESPACE/NAME; all Services without it.")
        .value_name("namespace[/name]");
    let own = [sort, bare(once, "true"), interval, rows];
    let own = own.map(|arg| {
        let id = arg.get_id().clone();
        arg.help_heading("Looks").overrides_with(id)
    });
    look::flags(command, &[])
        .about("Shows connections, bytes and drops of each Service on this node, live.")
        .override_usage("kube-proxy top [namespace[/name]] [flags]")
        .args(own)
        .arg(what)
}

fn interval(text: &str) -> Result<Duration, String> {
    let duration: GoDuration = text.parse()?;
    let interval = duration.to_std();
    match (SHORTEST..=LONGEST).contains(&interval) && duration.nanos() > 0 {
        true => Ok(interval),
        false => Err("it has to be between 200ms and 10s".to_owned()),
    }
}

fn rows(text: &str) -> Result<usize, String> {
    let rows = parse_uint(text, 31)?;
    Ok(usize::try_from(rows).unwrap_or(usize::MAX))
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let options = options(matches)?;
    let settings = look::settings(matches)?;
    top::run(&settings, &options)
}

fn options(matches: &ArgMatches) -> anyhow::Result<Options> {
    let what = matches.get_one::<String>("what");
    let what = what.map_or("", String::as_str);
    let asked = top::asked(what).ok_or_else(|| {
        UsageError::new(format!(
            "{} is neither a namespace nor a Service as NAMESPACE/NAME",
            quote(what)
        ))
    })?;
    let sort = matches.get_one::<String>("sort");
    let order = Order::ALL
        .iter()
        .find(|(name, _)| sort.is_some_and(|sort| sort == name));
    Ok(Options {
        asked,
        order: order.map_or_else(Order::default, |(_, order)| *order),
        rows: matches.get_one("rows").copied().unwrap_or_default(),
        interval: matches
            .get_one("interval")
            .copied()
            .unwrap_or(Duration::from_secs(2)),
        form: form(
            Output::new(matches),
            matches.get_one("once").copied().unwrap_or_default(),
            io::stdout().is_terminal() && io::stdin().is_terminal(),
        ),
    })
}

/// Only what can go on goes on: a screen, and lines of JSON.
fn form(output: Output, once: bool, terminal: bool) -> Form {
    match output.format {
        Format::Json if once => Form::Line,
        Format::Json => Form::Lines,
        Format::Table if !once && terminal => Form::Screen,
        _ => Form::Report(output),
    }
}
