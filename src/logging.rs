//! Log lines: text or JSON, on standard error, at klog's levels.

mod flood;
mod json;
mod throttle;

pub use throttle::Throttle;

use crate::config::{Logging, OutputRouting, VModule};
use flood::Bounded;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU32, Ordering};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};
use tracing_subscriber::prelude::*;

/// klog's level: 0 for what matters, 2 for each sync, 4 for each event, 6 for what libraries say.
static VERBOSITY: AtomicU32 = AtomicU32::new(0);

/// The level in force.
pub fn verbosity() -> u32 {
    VERBOSITY.load(Ordering::Relaxed)
}

/// Changes the level while the process runs.
pub fn set_verbosity(verbosity: u32) {
    VERBOSITY.store(verbosity, Ordering::Relaxed);
    // What is filtered out is remembered for each place that logs.
    tracing::callsite::rebuild_interest_cache();
}

/// Starts logging; later calls change nothing, so that an error before the configuration is
/// known can be told by the defaults.
pub fn start(logging: &Logging) {
    VERBOSITY.store(logging.verbosity, Ordering::Relaxed);
    let vmodule = logging.vmodule.clone();
    let filter = filter_fn(move |metadata| wanted(metadata, &vmodule)).with_max_level_hint(
        // The level may be raised later.
        LevelFilter::TRACE,
    );
    let json = logging.format == "json";
    let routing = if json {
        &logging.options.json
    } else {
        &logging.options.text
    };
    let writer = writer(routing);
    let registry = tracing_subscriber::registry();
    // A second start is the defaults' or a test's.
    let _ = if json {
        let layer = json::layer(Bounded::new(writer, json::note));
        registry.with(layer.with_filter(filter)).try_init()
    } else {
        let layer = tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal() && !routing.split_stream)
            .with_writer(Bounded::new(writer, note));
        registry.with(layer.with_filter(filter)).try_init()
    };
}

/// A line of a text log that no place of the program logs.
fn note(text: &str) -> String {
    format!("{:.6}  WARN {text}\n", jiff::Timestamp::now())
}

/// Everything goes to standard error, unless streams are split: then only errors do.
fn writer(routing: &OutputRouting) -> BoxMakeWriter {
    if routing.split_stream {
        BoxMakeWriter::new(
            std::io::stderr
                .with_max_level(Level::ERROR)
                .or_else(std::io::stdout),
        )
    } else {
        BoxMakeWriter::new(std::io::stderr)
    }
}

/// Whether a line is to be written.
fn wanted(metadata: &Metadata<'_>, vmodule: &[VModule]) -> bool {
    let file = metadata.file().and_then(stem).unwrap_or_default();
    let pattern = vmodule
        .iter()
        .find(|item| matches(&item.file_pattern, file));
    let verbosity = pattern.map_or_else(verbosity, |item| item.verbosity);
    *metadata.level() <= level(metadata.target(), verbosity)
}

/// How much of a target's lines a verbosity lets through.
fn level(target: &str, verbosity: u32) -> LevelFilter {
    let is = |name: &str| target == name || target.starts_with(&format!("{name}::"));
    if is("kube_proxy") {
        return match verbosity {
            0 | 1 => LevelFilter::INFO,
            2 | 3 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
    }
    if verbosity >= 6 {
        return LevelFilter::DEBUG;
    }
    // The client's own retries are reported once by the source.
    if is("kube_client") || is("kube_runtime") {
        LevelFilter::OFF
    } else {
        LevelFilter::WARN
    }
}

/// klog's level of a line, for its JSON.
fn klog_level(level: Level) -> u8 {
    match level {
        Level::ERROR | Level::WARN | Level::INFO => 0,
        Level::DEBUG => 2,
        Level::TRACE => 4,
    }
}

/// A file's name without directory and ending.
fn stem(path: &str) -> Option<&str> {
    std::path::Path::new(path).file_stem()?.to_str()
}

/// Whether a name matches a pattern with `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => {
            matches(&pattern[1..], name)
                || name
                    .chars()
                    .next()
                    .is_some_and(|first| matches(pattern, &name[first.len_utf8()..]))
        }
        Some(c) => name.chars().next().is_some_and(|first| {
            (c == '?' || c == first) && matches(&pattern[c.len_utf8()..], &name[first.len_utf8()..])
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_files() {
        for (pattern, name, fits) in [
            ("sync", "sync", true),
            ("sync", "syncs", false),
            ("sync*", "syncs", true),
            ("s?nc", "sync", true),
            ("*", "", true),
            ("*c", "sync", true),
            ("", "sync", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
        assert_eq!(stem("src/source/watch.rs"), Some("watch"));
    }

    #[test]
    fn levels() {
        assert_eq!(level("kube_proxy::sync", 0), LevelFilter::INFO);
        assert_eq!(level("kube_proxy", 2), LevelFilter::DEBUG);
        assert_eq!(level("kube_proxy", 4), LevelFilter::TRACE);
        assert_eq!(level("kube_client::client", 4), LevelFilter::OFF);
        assert_eq!(level("hyper", 4), LevelFilter::WARN);
        assert_eq!(level("kube_client", 6), LevelFilter::DEBUG);
    }
}
