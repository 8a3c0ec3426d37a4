//! The `kube-proxy` command.

use kube_proxy::options::{Cli, Command};
use kube_proxy::{daemon, logging, render};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::from_args();
    logging::start(cli.daemon.v);
    let result = match cli.command {
        Some(Command::Render(options)) => render::render(&options, &mut std::io::stdout().lock()),
        None => daemon::run(cli.daemon),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
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
