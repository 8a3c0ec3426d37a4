//! The plugin's command line: flags of its own, then a command with its own, which go to the nodes
//! as they are.

use crate::pflag::{self, UsageError, quote};
use crate::report::{Output, args};
use clap::{Arg, ArgMatches};
use std::path::PathBuf;

/// What `--help` prints.
pub(super) const HELP: &str = "\
Asks the kube-proxy of each node, and puts together what they say.

Usage: kubectl svc-doctor [flags] <command> [the command's arguments and flags]

Commands are those of kube-proxy that answer with a report: explain, trace, advise, check, top --once.

Flags, before the command:
  -n, --namespace <namespace>   Where the proxies' pods are. [default: kube-system]
  -l, --selector <selector>     Their labels.
                                [default: k8s-app=kube-proxy, or else
                                app.kubernetes.io/name=kube-proxy-rs]
      --node <node>             Ask this one alone; its answer is printed as it comes.
  -c, --container <container>   The container of their pods. [default: kube-proxy]
      --kubeconfig <file>       Credentials and address of the API server.
      --context <context>       The kubeconfig's context.
      --timeout <seconds>       How long a node may take. [default: 30]
      --local                   Ask nobody: look from here, without the kernel's side.
  -h, --help                    Print this.

The command's -o (table, wide, json, yaml, html) and --fail-on are those of all nodes together;
html is for one node.
";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) namespace: String,
    pub(super) selector: Option<String>,
    pub(super) node: Option<String>,
    pub(super) container: String,
    pub(super) kubeconfig: Option<PathBuf>,
    pub(super) context: Option<String>,
    /// Seconds.
    pub(super) timeout: u64,
    pub(super) local: bool,
    /// `explain` and the like.
    pub(super) command: String,
    /// What comes behind it.
    pub(super) arguments: Vec<String>,
}

/// Commands that answer with a report of a node.
const COMMANDS: [&str; 5] = ["explain", "trace", "advise", "check", "top"];

/// Flags of the plugin with a value, and their short form.
const WITH_VALUE: [(&str, Option<char>); 7] = [
    ("namespace", Some('n')),
    ("selector", Some('l')),
    ("node", None),
    ("container", Some('c')),
    ("kubeconfig", None),
    ("context", None),
    ("timeout", None),
];

/// Reads the words; `None` asks for help.
///
/// # Errors
/// What is wrong with them.
pub(super) fn parse<S: AsRef<str>>(words: &[S]) -> Result<Option<Words>, UsageError> {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let end = before_command(&words);
    let (own, rest) = words.split_at(end);
    if own.iter().any(|word| ["-h", "--help"].contains(word)) || words.is_empty() {
        return Ok(None);
    }
    let flags = WITH_VALUE.map(|(name, short)| Arg::new(name).long(name).short(short));
    let local = Arg::new("local")
        .long("local")
        .action(clap::ArgAction::SetTrue);
    let command = clap::Command::new("svc-doctor")
        .disable_help_flag(true)
        .args(flags)
        .arg(local);
    let matches = pflag::matches(command, own)?;
    let Some((command, arguments)) = rest.split_first() else {
        return Err(UsageError::new("a command is missing").advise(list()));
    };
    if !COMMANDS.contains(command) {
        let error = UsageError::new(format!("unknown command {}", quote(command)));
        return Err(error.advise(list()));
    }
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let timeout = text("timeout").map_or(Ok(30), |given| match given.parse() {
        Ok(0) | Err(_) => Err(UsageError::new(format!(
            "invalid argument {} for \"--timeout\" flag: it is a number of seconds",
            quote(&given)
        ))),
        Ok(seconds) => Ok(seconds),
    })?;
    Ok(Some(Words {
        namespace: text("namespace").unwrap_or_else(|| "kube-system".to_owned()),
        selector: text("selector"),
        node: text("node"),
        container: text("container").unwrap_or_else(|| "kube-proxy".to_owned()),
        kubeconfig: text("kubeconfig").map(PathBuf::from),
        context: text("context"),
        timeout,
        local: matches.get_flag("local"),
        command: (*command).to_owned(),
        arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
    }))
}

fn list() -> String {
    format!("Commands: {}.", COMMANDS.join(", "))
}

/// How many words come before the command.
fn before_command(words: &[&str]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at).filter(|word| word.starts_with('-')) {
        let takes_next = WITH_VALUE.iter().any(|(name, short)| {
            *word == format!("--{name}") || short.is_some_and(|short| *word == format!("-{short}"))
        });
        at += if takes_next { 2 } else { 1 };
    }
    at.min(words.len())
}

impl Words {
    /// How the nodes' reports go out together.
    ///
    /// # Errors
    /// A form that only one node's report has.
    pub(super) fn output(&self) -> Result<Output, UsageError> {
        let format = self.flag("output", Some('o')).unwrap_or_default();
        if !["", "table", "wide", "json", "yaml"].contains(&format.as_str()) {
            let error = format!("-o {format} is for one node");
            return Err(UsageError::new(error).advise("Choose one by --node."));
        }
        let mut own = Vec::new();
        if !format.is_empty() {
            own.push(format!("--output={format}"));
        }
        if let Some(level) = self.flag("fail-on", None) {
            own.push(format!("--fail-on={level}"));
        }
        let command = clap::Command::new("svc-doctor").args(args(&[]));
        let matches: ArgMatches = pflag::matches(command, &own)?;
        Ok(Output::new(&matches))
    }

    /// The last value of a flag among the command's words.
    fn flag(&self, long: &str, short: Option<char>) -> Option<String> {
        let mut found = None;
        for (at, word) in self.arguments.iter().enumerate() {
            let next = || self.arguments.get(at + 1).cloned();
            if let Some(rest) = word
                .strip_prefix("--")
                .and_then(|rest| rest.strip_prefix(long))
            {
                match rest.strip_prefix('=') {
                    Some(value) => found = Some(value.to_owned()),
                    None if rest.is_empty() => found = next(),
                    None => {}
                }
            } else if let Some(short) = short
                && !word.starts_with("--")
                && let Some(rest) = word.strip_prefix(&format!("-{short}"))
            {
                found = match rest.trim_start_matches('=') {
                    "" => next(),
                    value => Some(value.to_owned()),
                };
            }
        }
        found
    }
}
