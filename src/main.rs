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
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
