//! A command line, one word on each line: parsed, completed without a file, validated, made into
//! settings.

use super::settings::check_rules;
use kube_proxy::config;
use kube_proxy::options::{self, Complete, ParseError};
use kube_proxy::settings::Settings;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let words: Vec<&str> = text.lines().collect();
    let mut options = match options::parse(&words) {
        Ok(options) => options,
        Err(ParseError::Flag(error) | ParseError::Arguments(error)) => {
            return assert!(!error.is_empty());
        }
    };
    for (name, value) in options.values() {
        // What is shown is what may be given, but for the brackets around a list.
        let list = value
            .strip_prefix('[')
            .and_then(|own| own.strip_suffix(']'));
        let word = format!("--{name}={}", list.unwrap_or(&value));
        let again = options::parse(&[&word]);
        assert!(again.is_ok() || value.is_empty(), "{word}: {again:?}");
    }
    // Files are another target's matter.
    options.config_file.clear();
    let Ok(complete) = options.clone().complete() else {
        return;
    };
    let Complete { config, gates, .. } = &complete;
    let is_valid = config::validate_logging(&config.logging, gates).is_ok()
        && config::validate(config, gates).is_ok();
    if !is_valid {
        return;
    }
    match Settings::new(&options, complete) {
        Ok(settings) => check_rules(&settings),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
