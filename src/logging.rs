//! Log lines on standard error.

use std::io::IsTerminal;
use tracing::level_filters::LevelFilter;

/// Starts logging. `verbosity` is klog's: 0 for what matters, 2 for each sync,
/// 4 for each event, 6 for what the libraries say.
pub fn start(verbosity: u8) {
    let own = match verbosity {
        0 | 1 => LevelFilter::INFO,
        2 | 3 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let libraries = if verbosity >= 6 {
        LevelFilter::DEBUG
    } else {
        LevelFilter::WARN
    };
    let filter = tracing_subscriber::EnvFilter::default()
        .add_directive(libraries.into())
        .add_directive(directive("kube_proxy", own))
        // The client's own retries are reported once by the source.
        .add_directive(directive("kube_client", quiet_unless(verbosity)))
        .add_directive(directive("kube_runtime", quiet_unless(verbosity)));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

fn quiet_unless(verbosity: u8) -> LevelFilter {
    if verbosity >= 6 {
        LevelFilter::DEBUG
    } else {
        LevelFilter::OFF
    }
}

fn directive(target: &str, level: LevelFilter) -> tracing_subscriber::filter::Directive {
    let text = format!("{target}={level}");
    text.parse().unwrap_or_else(|_| level.into())
}
