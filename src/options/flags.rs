//! Every flag of upstream's with what it sets, in groups: a command takes whole groups.

mod daemon;
mod planning;

pub use daemon::{CONNECTION_TRACKING, DEPRECATED, HTTP_SERVERS, IPVS, PROCESS, SYNCS};
pub use planning::{CONFIGURATION, LOGGING, NODE_PORTS, RULES, SOURCE};

use super::Options;
use crate::pflag::{FlagValue, Typed, bare};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, ValueHint};

/// All of them: the daemon's. The order is that of `--help`.
pub static ALL: &[&Group] = &[
    &CONFIGURATION,
    &SOURCE,
    &RULES,
    &NODE_PORTS,
    &SYNCS,
    &CONNECTION_TRACKING,
    &HTTP_SERVERS,
    &LOGGING,
    &PROCESS,
    &IPVS,
    &DEPRECATED,
];

/// Those of a command that plans rules: where objects come from, and what counts of them.
pub static PLANNING: &[&Group] = &[&CONFIGURATION, &SOURCE, &RULES, &NODE_PORTS, &LOGGING];

/// Flags that belong together.
pub struct Group {
    /// The heading in `--help`.
    title: &'static str,
    pub(super) flags: &'static [Flag],
}

/// A flag.
pub(super) struct Flag {
    pub name: &'static str,
    pub short: Option<char>,
    /// What its value is called.
    pub kind: &'static str,
    /// What it stands for without a value; it has to have one where this is none.
    pub bare: Option<&'static str>,
    help: &'static str,
    /// What to use instead of it.
    pub instead: Option<&'static str>,
    /// Values to offer in a shell.
    offered: &'static [&'static str],
    hint: ValueHint,
    parser: fn(&'static [&'static str]) -> ValueParser,
    pub set: fn(&mut Options, &ArgMatches, &'static str),
    pub show: fn(&Options) -> String,
}

/// Of a field's type: what its values are called, and what it stands for without one.
const fn kind<T: FlagValue>(_: fn(&Options) -> &T) -> (&'static str, Option<&'static str>) {
    (T::TYPE, T::BARE)
}

/// Of a type that the field does not tell.
const fn valued(kind: &'static str) -> (&'static str, Option<&'static str>) {
    (kind, None)
}

/// A parser for a field of this type.
fn parser<T: FlagValue>(
    _: fn(&Options) -> &T,
    parse: fn(&str) -> Result<T, String>,
    offered: &'static [&'static str],
) -> ValueParser {
    Typed::by(parse, offered).into()
}

/// Takes the values that were given, in their order.
fn set<T: FlagValue>(field: &mut T, add: fn(&mut T, T), matches: &ArgMatches, name: &str) {
    for value in matches.get_many::<T>(name).into_iter().flatten() {
        add(field, value.clone());
    }
}

/// `flag!(name, field, help)`, and where the field's type does not tell enough, what its values
/// are called, their parser, and how one gets into the field.
macro_rules! flag {
    ($name:literal, $($field:ident).+, $help:literal) => {
        flag!(
            $name, $($field).+, $help,
            $crate::options::flags::kind(|options| &options.$($field).+),
            $crate::pflag::FlagValue::parse,
            $crate::pflag::FlagValue::add
        )
    };
    ($name:literal, $($field:ident).+, $help:literal, $kind:literal, $parse:path, $add:path) => {
        flag!($name, $($field).+, $help, $crate::options::flags::valued($kind), $parse, $add)
    };
    ($name:literal, $($field:ident).+, $help:literal, $kind:expr, $parse:path, $add:path) => {
        Flag {
            name: $name,
            short: None,
            kind: $kind.0,
            bare: $kind.1,
            help: $help,
            instead: None,
            offered: &[],
            hint: ValueHint::Other,
            parser: |offered| {
                $crate::options::flags::parser(|options| &options.$($field).+, $parse, offered)
            },
            set: |options, matches, name| {
                $crate::options::flags::set(&mut options.$($field).+, $add, matches, name);
            },
            show: |options| $crate::pflag::FlagValue::show(&options.$($field).+),
        }
    };
}
use flag;

impl Group {
    /// The flags for clap; `defaults` are what help shows.
    pub(crate) fn args(&'static self, defaults: &Options) -> impl Iterator<Item = Arg> {
        self.flags
            .iter()
            .map(|flag| flag.arg(defaults).help_heading(self.title))
    }
}

impl Flag {
    fn arg(&'static self, defaults: &Options) -> Arg {
        let arg = Arg::new(self.name)
            .long(self.name)
            .value_name(self.kind)
            .value_parser((self.parser)(self.offered))
            .value_hint(self.hint)
            .hide_possible_values(true)
            .action(ArgAction::Append)
            .allow_hyphen_values(true)
            .help(self.help_with(&(self.show)(defaults)));
        let arg = match self.short {
            Some(short) => arg.short(short),
            None => arg,
        };
        match self.bare {
            Some(stands_for) => bare(arg, stands_for),
            None => arg,
        }
    }

    fn help_with(&self, default: &str) -> String {
        match (self.instead, default) {
            (Some(instead), _) => format!("{} Use {instead}.", self.help),
            (None, "" | "false" | "0" | "0s" | "[]") => self.help.to_owned(),
            (None, _) => format!("{} (default {default})", self.help),
        }
    }
}
