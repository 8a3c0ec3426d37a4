//! The command line: words to flags, as Go programs read them.

use super::flags::{FLAGS, Flag};
use super::{Command, Options, Version};
use std::fmt;

/// Why the words are no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// A flag that is unknown or does not take its value: comes with the usage.
    Flag(String),
    /// Words that are no flags.
    Arguments(String),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(message) | Self::Arguments(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for ParseError {}

/// Reads the words after the program's name.
///
/// # Errors
/// Names the flag, and what it holds.
pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Options, ParseError> {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let mut options = Options::default();
    let mut words = &words[..];
    if words.first() == Some(&"render") {
        options.command = Command::Render;
        words = &words[1..];
    }
    let mut parser = Parser {
        options: &mut options,
        words,
        arguments: Vec::new(),
    };
    parser.run().map_err(ParseError::Flag)?;
    let arguments = parser.arguments;
    if !options.help && arguments.iter().any(|argument| !argument.is_empty()) {
        return Err(ParseError::Arguments(format!(
            "\"kube-proxy\" does not take any arguments, got {arguments:?}"
        )));
    }
    Ok(options)
}

struct Parser<'o, 'a> {
    options: &'o mut Options,
    words: &'a [&'a str],
    arguments: Vec<&'a str>,
}

impl<'a> Parser<'_, 'a> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(word) = self.next() {
            if word == "--" {
                self.arguments.extend(self.words);
                return Ok(());
            }
            if let Some(long) = word.strip_prefix("--") {
                self.long(word, long)?;
            } else if word.len() > 1 && word.starts_with('-') {
                self.short(&word[1..])?;
            } else {
                self.arguments.push(word);
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn long(&mut self, word: &str, long: &str) -> Result<(), String> {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(format!("bad flag syntax: {word}"));
        }
        // Upstream takes `_` for `-` in flags' names.
        let dashed = name.replace('_', "-");
        match dashed.as_str() {
            "help" => self.options.help = value.is_none_or(|value| value != "false"),
            "version" => {
                self.options.version = Version::parse(value.unwrap_or("true"))
                    .map_err(|error| refused(value.unwrap_or_default(), "--version", &error))?;
            }
            _ => {
                let flag = find(&dashed, self.options.command)
                    .ok_or_else(|| format!("unknown flag: --{name}"))?;
                let shown = if flag.short.is_some() {
                    format!("-{dashed}, --{dashed}")
                } else {
                    format!("--{dashed}")
                };
                let missing = format!("flag needs an argument: --{name}");
                self.set(flag, &shown, value, &missing)?;
            }
        }
        Ok(())
    }

    /// Flags of one letter, several of which may share a dash.
    fn short(&mut self, letters: &str) -> Result<(), String> {
        let mut chars = letters.chars();
        while let Some(letter) = chars.next() {
            let rest = chars.as_str();
            if letter == 'h' {
                self.options.help = true;
                continue;
            }
            let flag = FLAGS.iter().find(|flag| flag.short == Some(letter));
            let flag =
                flag.ok_or_else(|| format!("unknown shorthand flag: {letter:?} in -{letters}"))?;
            let value = match rest.strip_prefix('=') {
                Some(value) => Some(value),
                None if rest.is_empty() => None,
                None => Some(rest),
            };
            let missing = format!("flag needs an argument: {letter:?} in -{letters}");
            return self.set(
                flag,
                &format!("-{letter}, --{}", flag.name),
                value,
                &missing,
            );
        }
        Ok(())
    }

    fn set(
        &mut self,
        flag: &'static Flag,
        shown: &str,
        value: Option<&str>,
        missing: &str,
    ) -> Result<(), String> {
        let value = match value {
            Some(value) => value,
            None if flag.kind.is_empty() => "true",
            None => self.next().ok_or(missing)?,
        };
        (flag.set)(self.options, value).map_err(|error| refused(value, shown, &error))?;
        self.options.changed.insert(flag.name);
        Ok(())
    }
}

fn refused(value: &str, flag: &str, why: &str) -> String {
    format!("invalid argument {value:?} for {flag:?} flag: {why}")
}

fn find(name: &str, command: Command) -> Option<&'static Flag> {
    let fits = |flag: &&Flag| command == Command::Render || flag.name != "family";
    FLAGS.iter().filter(fits).find(|flag| flag.name == name)
}
