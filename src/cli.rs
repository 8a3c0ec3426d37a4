//! The command line: which command, its flags, and what to say if they are wrong
//! (`docs/cli.md`).

pub mod commands;
mod look;
mod startup;
#[cfg(test)]
mod tests;

use crate::config::LoggingConfiguration;
use crate::logging;
use crate::pflag::{self, Typed, UsageError, bare, quote};
use crate::source::one_message;
use clap::{Arg, ArgAction, ArgMatches};
use commands::{COMMANDS, Command, DAEMON};
use std::io::Write;
use std::process::ExitCode;

/// `--help` is for terminals of this many columns, and for what is no terminal.
const COLUMNS: usize = 80;

/// Does what the words after the program's name ask for; as the daemon it returns at its end.
pub fn run<S: AsRef<str>>(words: &[S]) -> ExitCode {
    let (command, parsed) = parse(words);
    let request = match parsed {
        Ok(request) => request,
        Err(error) => return wrong_usage(command, &error),
    };
    let done = match request {
        Request::Help(text) => print(&text).map(|()| ExitCode::SUCCESS),
        Request::Run(matches) => (command.run)(&matches),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            if let Some(error) = error.downcast_ref::<UsageError>() {
                return wrong_usage(command, error);
            }
            // Nothing was logged yet if there is no configuration.
            logging::start(&LoggingConfiguration::default());
            let causes = error.chain().map(ToString::to_string);
            tracing::error!("{}", one_message(causes));
            ExitCode::from(command.exits.failure)
        }
    }
}

fn wrong_usage(command: &Command, error: &UsageError) -> ExitCode {
    eprintln!("Error: {error}\n{}", where_help_is(command));
    ExitCode::from(command.exits.usage)
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Request {
    /// To print this.
    Help(String),
    /// To run the command with these flags.
    Run(ArgMatches),
}

/// The command that is asked for, [`DAEMON`] without the name of one, and what of it.
pub fn parse<S: AsRef<str>>(words: &[S]) -> (&'static Command, Result<Request, UsageError>) {
    let first = words.first().map(AsRef::as_ref);
    match COMMANDS.iter().find(|command| Some(command.name) == first) {
        Some(command) => (command, request(command, &words[1..])),
        None => (&DAEMON, request(&DAEMON, words)),
    }
}

fn request<S: AsRef<str>>(command: &'static Command, words: &[S]) -> Result<Request, UsageError> {
    let matches =
        pflag::matches(with_help(command), words).map_err(|error| elsewhere(command, error))?;
    let help = matches.get_many::<bool>(HELP).into_iter().flatten().last();
    if help == Some(&true) {
        return Ok(Request::Help(help_of(command)));
    }
    no_arguments(command, &matches)?;
    Ok(Request::Run(matches))
}

/// What `--help` prints.
pub fn help_of(command: &Command) -> String {
    let mut clap_command = if command.name == DAEMON.name {
        root()
    } else {
        with_help(command).bin_name(command.path())
    };
    clap_command.render_help().to_string()
}

/// The whole command line: the daemon's flags, and every command.
pub fn root() -> clap::Command {
    COMMANDS
        .iter()
        .fold(with_help(&DAEMON), |root, command| {
            root.subcommand(with_help(command))
        })
        .args_conflicts_with_subcommands(true)
        .subcommand_help_heading("Commands, each with flags of its own")
        .subcommand_value_name("command")
}

/// A command with what all of them have.
fn with_help(command: &Command) -> clap::Command {
    let help = Arg::new(HELP)
        .long(HELP)
        .short('h')
        .help("Print this.")
        .help_heading("Help")
        .value_name("bool")
        .action(ArgAction::Append)
        .hide_possible_values(true)
        .value_parser(Typed::<bool>::new(&[]));
    // Upstream takes none and says so when it has seen all flags.
    let arguments = Arg::new(ARGUMENTS)
        .action(ArgAction::Append)
        .num_args(0..)
        .hide(true);
    let clap_command = (command.build)(clap::Command::new(command.name))
        .arg(bare(help, "true"))
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .next_line_help(true)
        .term_width(COLUMNS);
    if clap_command.get_positionals().next().is_some() {
        return clap_command;
    }
    clap_command.arg(arguments)
}

const HELP: &str = "help";
const ARGUMENTS: &str = "arguments";

/// Words that are no flags, where a command takes none; empty ones are let pass, as upstream does.
fn no_arguments(command: &Command, matches: &ArgMatches) -> Result<(), UsageError> {
    let Ok(Some(words)) = matches.try_get_many::<String>(ARGUMENTS) else {
        return Ok(());
    };
    let words: Vec<&String> = words.collect();
    let Some(stray) = words.iter().find(|word| !word.is_empty()) else {
        return Ok(());
    };
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    let error = UsageError::new(format!(
        "{} does not take any arguments, got [{}]",
        quote(&command.path()),
        quoted.join(" ")
    ));
    if command.name != DAEMON.name {
        return Err(error);
    }
    let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
    let list = format!("Commands: {}.", names.join(", "));
    Err(
        error.advise(match names.iter().find(|name| is_alike(name, stray)) {
            Some(name) if name == stray => {
                format!("The command comes first: kube-proxy {name} [flags]")
            }
            Some(name) => format!("Did you mean kube-proxy {name}? {list}"),
            None => list,
        }),
    )
}

/// As clap judges names of flags.
fn is_alike(name: &str, word: &str) -> bool {
    strsim::jaro(name, word) > 0.7
}

/// Whose flag it is, if it is another command's.
fn elsewhere(command: &Command, error: UsageError) -> UsageError {
    let Some(name) = error.message.strip_prefix("unknown flag: --") else {
        return error;
    };
    let name = name.replace('_', "-");
    let mut others = std::iter::once(&DAEMON).chain(COMMANDS);
    let owner = others.find(|other| {
        other.name != command.name
            && with_help(other)
                .get_arguments()
                .any(|arg| arg.get_long() == Some(&name))
    });
    match owner {
        Some(owner) if owner.name == DAEMON.name => {
            error.advise(format!("--{name} is a flag of the daemon."))
        }
        Some(owner) => error.advise(format!("--{name} is a flag of `{}`.", owner.path())),
        None => error,
    }
}

fn where_help_is(command: &Command) -> String {
    format!("`{} --help` lists the flags.", command.path())
}

/// Prints; a reader that has seen enough is no matter.
///
/// # Errors
/// Standard output takes nothing.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
