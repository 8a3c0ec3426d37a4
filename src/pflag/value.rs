//! The types of flags' values, and clap's parser for each.

use super::errors::refused;
use super::{list, number, quote};
use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use std::collections::BTreeMap;
use std::ffi::OsStr;

/// A type that a flag may have.
pub trait FlagValue: Clone + Send + Sync + 'static {
    /// What `--help` calls it.
    const TYPE: &'static str;
    /// What a flag without a value stands for; none where it has to have one.
    const BARE: Option<&'static str> = None;

    /// The value of one occurrence of the flag.
    ///
    /// # Errors
    /// Why the text is none, in upstream's words.
    fn parse(text: &str) -> Result<Self, String>;

    /// Takes a further occurrence: the last one wins, or adds to what there is.
    fn add(&mut self, next: Self) {
        *self = next;
    }

    /// The value as `/flagz` and the log show it.
    fn show(&self) -> String;
}

/// clap's parser for a type of upstream's; its error is the whole message.
#[derive(Clone)]
pub struct Typed<T> {
    parse: fn(&str) -> Result<T, String>,
    /// Values to offer in a shell; others may be allowed.
    offered: &'static [&'static str],
}

impl<T: FlagValue> Typed<T> {
    /// For the type as it is.
    pub fn new(offered: &'static [&'static str]) -> Self {
        Self::by(T::parse, offered)
    }
}

impl<T> Typed<T> {
    /// By another parser.
    pub fn by(parse: fn(&str) -> Result<T, String>, offered: &'static [&'static str]) -> Self {
        Self { parse, offered }
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Typed<T> {
    type Value = T;

    fn parse_ref(
        &self,
        _: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let text = value.to_string_lossy();
        (self.parse)(&text).map_err(|why| {
            let mut error = clap::Error::new(ErrorKind::ValueValidation);
            let message = refused(arg, &text, &why);
            error.insert(ContextKind::Custom, ContextValue::String(message));
            error
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let offered = self.offered;
        (!offered.is_empty()).then(|| {
            Box::new(offered.iter().map(PossibleValue::new)) as Box<dyn Iterator<Item = _>>
        })
    }
}

/// A flag that may stand alone, as Go's bools may: a value comes behind `=` only.
pub fn bare(arg: Arg, stands_for: &'static str) -> Arg {
    arg.num_args(0..=1)
        .require_equals(true)
        .default_missing_value(stands_for)
}

impl FlagValue for String {
    const TYPE: &'static str = "string";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl FlagValue for bool {
    const TYPE: &'static str = "bool";
    const BARE: Option<&'static str> = Some("true");

    fn parse(text: &str) -> Result<Self, String> {
        parse_bool(text)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Go's `ParseBool`.
///
/// # Errors
/// The text is none of its words.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing {}: invalid syntax",
            quote(text)
        )),
    }
}

impl FlagValue for i32 {
    const TYPE: &'static str = "int32";

    fn parse(text: &str) -> Result<Self, String> {
        number::parse_int32(text)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl FlagValue for f32 {
    const TYPE: &'static str = "float32";

    fn parse(text: &str) -> Result<Self, String> {
        number::parse_float32(text)
    }

    fn show(&self) -> String {
        number::format_float32(*self)
    }
}

/// Values that have a default by the time that flags are read.
impl<T: FlagValue + Default> FlagValue for Option<T> {
    const TYPE: &'static str = T::TYPE;
    const BARE: Option<&'static str> = T::BARE;

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }
}

/// A list whose items commas separate; further occurrences add to it.
impl FlagValue for Option<Vec<String>> {
    const TYPE: &'static str = "strings";

    fn parse(text: &str) -> Result<Self, String> {
        list::split(text).map(Some)
    }

    fn add(&mut self, next: Self) {
        if let Some(items) = next {
            self.get_or_insert_default().extend(items);
        }
    }

    fn show(&self) -> String {
        format!("[{}]", list::join(self.iter().flatten()))
    }
}

/// `Name=true,Other=false`; further occurrences add to it.
impl FlagValue for BTreeMap<String, bool> {
    const TYPE: &'static str = "mapStringBool";

    fn parse(text: &str) -> Result<Self, String> {
        let pair = |pair: &str| {
            let (name, value) = pair
                .split_once('=')
                .ok_or("malformed pair, expect string=bool")?;
            let (name, value) = (name.trim(), value.trim());
            let value = parse_bool(value)
                .map_err(|error| format!("invalid value of {name}: {value}, err: {error}"))?;
            Ok((name.to_owned(), value))
        };
        let pairs = text.split(',').filter(|pair| !pair.is_empty());
        pairs.map(pair).collect()
    }

    fn add(&mut self, next: Self) {
        self.extend(next);
    }

    fn show(&self) -> String {
        let pairs: Vec<String> = self.iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join(",")
    }
}
