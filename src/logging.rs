//! Log lines on standard error.

use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt};

/// To change the filter of a running process.
static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging. `verbosity` is klog's: 0 for what matters, 2 for each sync,
/// 4 for each event, 6 for what the libraries say.
pub fn start(verbosity: u8) {
    let (filter, handle) = reload::Layer::new(filter(verbosity.into()));
    // There is one subscriber; a second start fails below.
    let _ = FILTER.set(handle);
    let lines = fmt::layer()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
}

/// Changes how much is logged from here on.
pub fn set_verbosity(verbosity: u32) {
    if let Some(handle) = FILTER.get() {
        // Fails only if the subscriber is gone, and then there is no log.
        let _ = handle.reload(filter(verbosity));
    }
}

fn filter(verbosity: u32) -> EnvFilter {
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
    EnvFilter::default()
        .add_directive(libraries.into())
        .add_directive(directive("kube_proxy", own))
        // The client's own retries are reported once by the source.
        .add_directive(directive("kube_client", quiet_unless(verbosity)))
        .add_directive(directive("kube_runtime", quiet_unless(verbosity)))
}

fn quiet_unless(verbosity: u32) -> LevelFilter {
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
