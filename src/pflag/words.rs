//! Words as Go takes them, in the one spelling that clap takes as well.
//!
//! Go takes `_` for `-` in flags' names, which are known only where a value is no flag: so a flag
//! and the word that is its value become one. That is also what makes clap look at values in
//! their order.

use clap::{Arg, Command};

/// The same words, every known flag as `--name` or `--name=value`; what is no flag stays as it is.
pub(super) fn for_clap(command: &Command, words: &[&str]) -> Vec<String> {
    let mut given = Vec::new();
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        if word == "--" {
            given.push(word.to_owned());
            break;
        }
        match word.strip_prefix('-') {
            Some(long) if long.starts_with('-') => {
                given.push(long_flag(command, word, &long[1..], &mut words));
            }
            Some(letters) if !letters.is_empty() => {
                short_flags(command, letters, &mut words, &mut given);
            }
            _ => given.push(word.to_owned()),
        }
    }
    given.extend(words.map(str::to_owned));
    given
}

fn long_flag<'a>(
    command: &Command,
    word: &str,
    long: &str,
    next: &mut impl Iterator<Item = &'a str>,
) -> String {
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    let dashed = name.replace('_', "-");
    let Some(arg) = find(command, |arg| arg.get_long() == Some(&dashed)) else {
        return word.to_owned();
    };
    match value.or_else(|| needs_value(arg).then(|| next.next()).flatten()) {
        Some(value) => format!("--{dashed}={value}"),
        None => format!("--{dashed}"),
    }
}

/// Flags of one letter, several of which may share a dash.
fn short_flags<'a>(
    command: &Command,
    mut letters: &'a str,
    next: &mut impl Iterator<Item = &'a str>,
    given: &mut Vec<String>,
) {
    while let Some(letter) = letters.chars().next() {
        let found = find(command, |arg| arg.get_short() == Some(letter));
        let Some((arg, long)) = found.and_then(|arg| Some((arg, arg.get_long()?))) else {
            return given.push(format!("-{letters}"));
        };
        letters = &letters[letter.len_utf8()..];
        let value = match letters.strip_prefix('=') {
            Some(value) if !value.is_empty() => Some(value),
            _ if !needs_value(arg) => {
                given.push(format!("--{long}"));
                continue;
            }
            _ if letters.is_empty() => next.next(),
            _ => Some(letters),
        };
        return given.push(match value {
            Some(value) => format!("--{long}={value}"),
            None => format!("--{long}"),
        });
    }
}

pub(super) fn find(command: &Command, is: impl Fn(&Arg) -> bool) -> Option<&Arg> {
    command.get_arguments().find(|arg| is(arg))
}

/// False for a bool and the like, which may stand alone and take a value behind `=` only.
fn needs_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}
