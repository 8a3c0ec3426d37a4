//! What is wrong with a command line: pflag's words first, since scripts and people search for
//! them, and what clap knows beyond it behind them.

use super::quote;
use super::words::find;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use std::fmt;

/// Why words are no command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError {
    /// One line, as upstream says it.
    pub message: String,
    /// A line of advice: the name that was meant, or where to look.
    pub advice: Option<String>,
}

impl UsageError {
    /// An error without advice.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            advice: None,
        }
    }

    /// The error with advice.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.advice {
            Some(advice) => write!(f, "\n{advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UsageError {}

/// A value that a flag does not take, and why.
pub(super) fn refused(arg: Option<&Arg>, value: &str, why: &str) -> String {
    let value = quote(value);
    match arg {
        Some(arg) if arg.is_positional() => {
            format!("invalid argument {value} for <{}>: {why}", arg.get_id())
        }
        Some(arg) => format!(
            "invalid argument {value} for {} flag: {why}",
            quote(&spelling(arg))
        ),
        None => format!("invalid argument {value}: {why}"),
    }
}

fn spelling(arg: &Arg) -> String {
    let long = arg.get_long().unwrap_or_else(|| arg.get_id().as_str());
    match arg.get_short() {
        Some(short) => format!("-{short}, --{long}"),
        None => format!("--{long}"),
    }
}

/// The error of `for_clap`, which stands for `words`.
pub(super) fn in_words_of_pflag(
    error: &clap::Error,
    command: &Command,
    words: &[&str],
    for_clap: &[String],
) -> UsageError {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let name = context(ContextKind::InvalidArg).unwrap_or_default();
            let unknown = UsageError::new(unknown(name, for_clap));
            match context(ContextKind::SuggestedArg) {
                Some(meant) => unknown.advise(format!("Did you mean {meant}?")),
                None => unknown,
            }
        }
        // A parser of upstream's types has said all that there is to say.
        ErrorKind::ValueValidation if context(ContextKind::Custom).is_some() => {
            UsageError::new(context(ContextKind::Custom).unwrap_or_default())
        }
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue) == Some("") => {
            UsageError::new(needs_argument(words))
        }
        ErrorKind::InvalidValue => {
            let shown = context(ContextKind::InvalidArg).unwrap_or_default();
            let arg = find(command, |arg| arg.to_string() == shown);
            let value = context(ContextKind::InvalidValue).unwrap_or_default();
            let allowed = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(allowed)) => allowed.join(", "),
                _ => String::new(),
            };
            let message = refused(arg, value, &format!("allowed: {allowed}"));
            match context(ContextKind::SuggestedValue) {
                Some(meant) => UsageError::new(message).advise(format!("Did you mean {meant}?")),
                None => UsageError::new(message),
            }
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(missing)) => missing.join(", "),
                _ => String::new(),
            };
            UsageError::new(format!("{missing} is missing"))
        }
        // Of clap's own parsers: its first line is the message, without what it begins with.
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            UsageError::new(line.strip_prefix("error: ").unwrap_or(line))
        }
    }
}

/// A word that is no flag; `name` is what clap calls it, without its value or what comes behind.
fn unknown(name: &str, for_clap: &[String]) -> String {
    let whole = for_clap.iter().find(|word| word.starts_with(name));
    let whole = whole.map_or(name, String::as_str);
    match whole.strip_prefix("--") {
        Some(long) if long.starts_with(['-', '=']) => format!("bad flag syntax: {whole}"),
        Some(_) => format!("unknown flag: {name}"),
        None => {
            let letters = whole.strip_prefix('-').unwrap_or(whole);
            // Go looks at bytes.
            let letter = letters.bytes().next().map(char::from).unwrap_or_default();
            format!("unknown shorthand flag: {letter:?} in -{letters}")
        }
    }
}

/// The last word is a flag that wants another one.
fn needs_argument(words: &[&str]) -> String {
    let last = words.last().copied().unwrap_or_default();
    match last.chars().last() {
        Some(letter) if !last.starts_with("--") => {
            format!("flag needs an argument: {letter:?} in -{letter}")
        }
        _ => format!("flag needs an argument: {last}"),
    }
}
