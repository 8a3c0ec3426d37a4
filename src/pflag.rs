//! Command lines as Go's pflag reads them, by clap: what upstream's users type is taken, and what
//! is wrong is told in upstream's words. clap has the flags, their values' types, help,
//! suggestions and completions; [`words`] turns Go's spellings into clap's, [`errors`] clap's
//! errors into pflag's.

mod errors;
mod list;
mod number;
mod quote;
mod value;
mod words;

pub use errors::UsageError;
pub use quote::quote;
pub use value::{FlagValue, Typed, bare, parse_bool};

pub(crate) use number::parse_uint;

use clap::{ArgMatches, Command};

/// What is given on a command line; `words` come after the program's name.
///
/// # Errors
/// A word that is no flag, or a value that its flag does not take: the first one, as in Go.
pub fn matches<S: AsRef<str>>(mut command: Command, words: &[S]) -> Result<ArgMatches, UsageError> {
    command.build();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let for_clap = words::for_clap(&command, &words);
    let parsed = command
        .clone()
        .no_binary_name(true)
        .try_get_matches_from_mut(&for_clap);
    parsed.map_err(|error| errors::in_words_of_pflag(&error, &command, &words, &for_clap))
}
