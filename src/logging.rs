//! Log lines: text or JSON, on standard error, at klog's levels.

mod flood;
mod held;
mod json;
mod throttle;

pub use held::{Hold, hold};
pub use throttle::Throttle;

use crate::config::{LoggingConfiguration, OutputRoutingOptions, VModuleItem};
use crate::pflag::parse_uint;
use flood::Bounded;
use std::fmt;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU32, Ordering};
use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};
use tracing_subscriber::prelude::*;
use wildmatch::WildMatch;

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

/// Reads a level as klog does: 31 bits, so that it can keep it with a sign.
///
/// # Errors
/// Says in Go's words what is wrong with the text.
pub fn parse_level(text: &str) -> Result<u32, String> {
    parse_uint(text, 31).map(|level| u32::try_from(level).unwrap_or(u32::MAX))
}

/// Starts logging; later calls change nothing, so that an error before the configuration is
/// known can be told by the defaults.
pub fn start(logging: &LoggingConfiguration) {
    VERBOSITY.store(logging.verbosity, Ordering::Relaxed);
    let vmodule = patterns(&logging.vmodule);
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
            .fmt_fields(debug_fn(write_field))
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal() && !routing.split_stream)
            .with_writer(Bounded::new(writer, note));
        registry.with(layer.with_filter(filter)).try_init()
    };
}

/// Writes a field of a line of text. Names in manifests, an API server's words, a kernel's: what
/// they hold is no line of its own, and no command to a terminal.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = match field.name() {
        "message" => format!("{value:?}"),
        name => format!("{name}={value:?}"),
    };
    for c in text.chars() {
        if c.is_control() {
            write!(writer, "{}", c.escape_debug())?;
        } else {
            writer.write_char(c)?;
        }
    }
    Ok(())
}

/// A line of a text log that no place of the program logs.
fn note(text: &str) -> String {
    format!("{:.6}  WARN {text}\n", jiff::Timestamp::now())
}

/// Everything goes to standard error, unless streams are split: then only errors do.
fn writer(routing: &OutputRoutingOptions) -> BoxMakeWriter {
    if routing.split_stream {
        BoxMakeWriter::new(
            (|| held::Stderr)
                .with_max_level(Level::ERROR)
                .or_else(std::io::stdout),
        )
    } else {
        BoxMakeWriter::new(|| held::Stderr)
    }
}

/// Patterns of files with `*` and `?`, and the verbosity of what they match.
fn patterns(vmodule: &[VModuleItem]) -> Vec<(WildMatch, u32)> {
    let pattern = |item: &VModuleItem| (WildMatch::new(&item.file_pattern), item.verbosity);
    vmodule.iter().map(pattern).collect()
}

/// Whether a line is to be written.
fn wanted(metadata: &Metadata<'_>, patterns: &[(WildMatch, u32)]) -> bool {
    let file = metadata.file().and_then(stem).unwrap_or_default();
    let found = patterns.iter().find(|(pattern, _)| pattern.matches(file));
    let verbosity = found.map_or_else(verbosity, |(_, verbosity)| *verbosity);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

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
            ("*y*c", "sync", true),
            ("s**c", "sync", true),
            ("*n", "sync", false),
            (&"*a".repeat(40), &"a".repeat(39), false),
            (&"*a".repeat(40), &"a".repeat(50), true),
        ] {
            assert_eq!(
                WildMatch::new(pattern).matches(name),
                fits,
                "{pattern} {name}"
            );
        }
        assert_eq!(stem("src/source/watch.rs"), Some("watch"));
    }

    #[test]
    fn what_a_line_quotes_is_no_other_line() {
        #[derive(Clone, Default)]
        struct Output(Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Output {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().expect("no panic").extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let output = Output::default();
        let writer = output.clone();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(debug_fn(write_field))
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!("Service a\n{}\u{1b}[2J\r\u{85}b", "\" ü");
        });
        let written = output.0.lock().expect("no panic").clone();
        let line = String::from_utf8(written).expect("text");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(
            line.ends_with("Service a\\n\" ü\\u{1b}[2J\\r\\u{85}b\n"),
            "{line}"
        );
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
