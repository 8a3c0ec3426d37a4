//! A command line, one word on each line: parsed, completed without a file, validated, made into
//! settings.

use super::settings::check_rules;
use kube_proxy::cli::{self, Request};
use kube_proxy::config;
use kube_proxy::options::{Complete, Options};
use kube_proxy::settings::Settings;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let words: Vec<&str> = text.lines().collect();
    let matches = match cli::parse(&words).1 {
        Ok(Request::Run(matches)) => matches,
        Ok(Request::Help(text)) => return assert!(!text.is_empty()),
        Err(error) => return assert!(!error.message.is_empty()),
    };
    let mut options = Options::new(&matches);
    for (name, value) in options.values() {
        // What is shown is what may be given, but for the brackets around a list.
        let list = value
            .strip_prefix('[')
            .and_then(|items| items.strip_suffix(']'));
        let word = format!("--{}={}", name.replace('-', "_"), list.unwrap_or(&value));
        if name == "help" {
            continue;
        }
        let again = Options::parse(&[&word]);
        assert!(again.is_ok() || value.is_empty(), "{word}: {again:?}");
    }
    // Files are another target's matter.
    options.config_file.clear();
    let Ok(complete) = options.clone().complete("") else {
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
