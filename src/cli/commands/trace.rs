//! `kube-proxy trace SRC DST[:PORT]`: a packet's way through the rules.

use super::{Command, Exits};
use crate::cli::look;
use crate::config::GoDuration;
use crate::pflag::{Typed, UsageError};
use crate::report::{Format, Output};
use crate::trace::{Asked, Destination, Live, Place, Session, trace};
use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches};
use rules::model::Protocol;
use std::io::Read;
use std::process::ExitCode;

/// The command.
pub const TRACE: Command = Command {
    name: "trace",
    build,
    run,
    exits: Exits::OF_COMMANDS,
};

/// A file of questions may have so many bytes.
const QUESTIONS_MAX: u64 = 16 << 20;

fn build(command: clap::Command) -> clap::Command {
    let words = Arg::new("ends")
        .num_args(0..)
        .action(ArgAction::Append)
        .hide(true);
    let protocol = Arg::new("protocol")
        .long("protocol")
        .help("The packet's protocol, instead of the Service port's own, or tcp.")
        .value_parser(PossibleValuesParser::new(["tcp", "udp", "sctp"]));
    let from_node = Arg::new("from-node")
        .long("from-node")
        .value_name("name")
        .help("Follow it through the rules of this node, which are planned.");
    let planned = Arg::new("planned")
        .long("planned")
        .help("Follow it through the rules that the objects ask for, not the kernel's.")
        .action(ArgAction::SetTrue);
    let file = Arg::new("file")
        .long("file")
        .short('f')
        .value_name("file")
        .help(
            "Answer the questions of a file, a line each: SRC DST[:PORT] [protocol]; - is standard \
             input. With -o json each answer is a line.",
        );
    let live = Arg::new("live")
        .long("live")
        .value_name("duration")
        .help(
            "Then follow real packets of this pair for so long, or until Ctrl-C: they are marked \
             by a table of its own, which goes with this process.",
        )
        .value_parser(Typed::<GoDuration>::new(&[]));
    let own = [protocol, from_node, planned, file, live].map(|arg| {
        let id = arg.get_id().clone();
        arg.help_heading("Packet").overrides_with(id)
    });
    let command = command
        .about("Follows a packet through the rules: who gets it, and whose address the pod sees.")
        .override_usage("kube-proxy trace SRC DST[:PORT] [flags]")
        .after_help(
            "SRC and DST: an address, pod/NAMESPACE/NAME, svc/NAMESPACE/NAME, node (this node \
             itself), node/NAME, or outside (an address that is no pod's and no node's).",
        )
        .arg(words)
        .args(own);
    look::flags(command, &[])
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let questions = questions(matches)?;
    let settings = look::settings(matches)?;
    let output = Output::new(matches);
    let is_file = matches.contains_id("file");
    if is_file && matches!(output.format, Format::Yaml | Format::Html) {
        let message = "--file answers with -o table, wide or json, one answer after the other";
        return Err(UsageError::new(message).into());
    }
    let live = matches.get_one::<GoDuration>("live");
    let live = live.map(|own| own.to_std());
    if live.is_some_and(|own| own.is_zero()) {
        return Err(UsageError::new("--live takes how long: 30s, 5m").into());
    }
    if live.is_some() && is_file {
        return Err(UsageError::new("--live follows one pair, and --file has many").into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime")?;
    runtime.block_on(async {
        let mut session = Session::new(settings, matches.get_flag("planned"));
        let mut code = ExitCode::SUCCESS;
        let mut fails = false;
        for (line, asked) in questions {
            let about = || format!("line {line}");
            let mut tell = |text: &str| eprintln!("{text}");
            let live = live.map(|limit| Live {
                limit,
                tell: &mut tell,
            });
            let traced = trace(&mut session, &asked, live).await;
            let report = match is_file {
                true => traced.with_context(about)?,
                false => traced?,
            };
            let printed = match (is_file, output.format) {
                (true, Format::Json) => output.print_line(&report)?,
                _ => output.print(&report)?,
            };
            if printed != ExitCode::SUCCESS && !fails {
                fails = true;
                code = printed;
            }
        }
        Ok(code)
    })
}

/// What is asked, each with its line in the file.
fn questions(matches: &ArgMatches) -> anyhow::Result<Vec<(usize, Asked)>> {
    let words: Vec<&str> = matches
        .get_many::<String>("ends")
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    let protocol = matches.get_one::<String>("protocol").map(String::as_str);
    let from_node = matches.get_one::<String>("from-node").cloned();
    let asked = |source: &str, destination: &str, protocol: Option<&str>| {
        Ok::<_, UsageError>(Asked {
            source: Place::source(source)?,
            destination: Destination::read(destination)?,
            protocol: protocol.map(read_protocol).transpose()?,
            from_node: from_node.clone(),
        })
    };
    let Some(file) = matches.get_one::<String>("file") else {
        return match *words.as_slice() {
            [source, destination] => Ok(vec![(1, asked(source, destination, protocol)?)]),
            _ => Err(UsageError::new(format!(
                "trace takes a source and a destination, SRC DST[:PORT], and got {} words",
                words.len()
            ))
            .into()),
        };
    };
    if !words.is_empty() {
        return Err(UsageError::new(
            "--file has the sources and destinations: give none beside it",
        )
        .into());
    }
    let mut all = Vec::new();
    for (number, line) in (1..).zip(read(file)?.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        let parts: Vec<&str> = line.split_whitespace().collect();
        let in_line =
            |error: UsageError| UsageError::new(format!("{file}, line {number}: {error}"));
        let one = match *parts.as_slice() {
            [] => continue,
            [source, destination] => asked(source, destination, protocol),
            [source, destination, own] => asked(source, destination, Some(own)),
            _ => Err(UsageError::new("a line is SRC DST[:PORT] [protocol]")),
        };
        all.push((number, one.map_err(in_line)?));
    }
    if all.is_empty() {
        return Err(UsageError::new(format!("{file} has no line with a question")).into());
    }
    Ok(all)
}

fn read_protocol(text: &str) -> Result<Protocol, UsageError> {
    let known = Protocol::from_api(&text.to_uppercase()).filter(|_| !text.is_empty());
    known.ok_or_else(|| {
        UsageError::new(format!(
            "{text:?} is no protocol of Services: tcp, udp or sctp"
        ))
    })
}

fn read(file: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    let reader: Box<dyn Read> = match file {
        "-" => Box::new(std::io::stdin()),
        path => Box::new(std::fs::File::open(path).with_context(|| format!("--file {path}"))?),
    };
    reader
        .take(QUESTIONS_MAX)
        .read_to_string(&mut text)
        .with_context(|| format!("--file {file}"))?;
    Ok(text)
}
