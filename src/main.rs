//! The `kube-proxy` command.

use kube_proxy::config::LoggingConfiguration;
use kube_proxy::options::{self, ParseError};
use kube_proxy::{logging, startup};
use std::io::Write;
use std::process::ExitCode;

/// musl's own allocator gives every large buffer back at once, and pages of lists are large
/// buffers: half the time of a start went into page faults.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let options = match options::parse(&words) {
        Ok(options) => options,
        Err(error) => {
            if matches!(error, ParseError::Flag(_)) {
                eprintln!("{}", options::usage());
            }
            eprintln!("Error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let answer = if options.help {
        Some(options::usage())
    } else {
        options.version.text().map(|text| format!("{text}\n"))
    };
    if let Some(answer) = answer {
        // A reader that has seen enough is no matter.
        let _ = std::io::stdout().write_all(answer.as_bytes());
        return ExitCode::SUCCESS;
    }
    match startup::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing was logged yet if there is no configuration.
            logging::start(&LoggingConfiguration::default());
            tracing::error!("{}", describe(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, on one line; many errors name their cause already.
fn describe(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}
