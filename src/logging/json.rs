//! Lines as Kubernetes' components write them in JSON.

use super::flood::Bounded;
use super::klog_level;
use serde_json::{Map, Value};
use std::fmt;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Writes every event as one line.
pub(super) fn layer(writer: Bounded) -> Json {
    Json { writer }
}

/// A line that no place of the program logs.
pub(super) fn note(text: &str) -> String {
    let fields = Fields {
        message: text.to_owned(),
        ..Fields::default()
    };
    line(millis(), "logging/flood.rs:0", Level::WARN, fields)
}

/// Now, as lines have it.
fn millis() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64() * 1000.0
}

pub(super) struct Json {
    writer: Bounded,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Json {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let caller = format!(
            "{}:{}",
            metadata.file().map(short).unwrap_or("unknown"),
            metadata.line().unwrap_or(0)
        );
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = line(millis(), &caller, *metadata.level(), fields);
        // One write, so that lines of threads do not mix; there is nowhere to tell of an error.
        let _ = self
            .writer
            .make_writer_for(metadata)
            .write_all(line.as_bytes());
    }
}

/// The file with its directory.
fn short(path: &str) -> &str {
    let from = path.rmatch_indices('/').nth(1);
    from.map_or(path, |(at, _)| &path[at + 1..])
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        if field.name() == "message" {
            self.message = value;
        } else {
            self.others.insert(field.name().to_owned(), value.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.others.insert(field.name().to_owned(), value.into());
        }
    }
}

/// Milliseconds, caller, message, then `v` for what is no error.
fn line(millis: f64, caller: &str, level: Level, fields: Fields) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let mut line = format!(
        "{{\"ts\":{millis:.4},\"caller\":{},\"msg\":{}",
        text(caller),
        text(&fields.message)
    );
    if level != Level::ERROR {
        line.push_str(&format!(",\"v\":{}", klog_level(level)));
    }
    // Other components have no such level; it tells these apart from what is only information.
    if level == Level::WARN {
        line.push_str(",\"warning\":true");
    }
    for (name, value) in fields.others {
        line.push_str(&format!(",{}:{value}", text(&name)));
    }
    line.push_str("}\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let fields = |message: &str| Fields {
            message: message.to_owned(),
            others: Map::new(),
        };
        let info = line(1.5, "src/sync.rs:1", Level::DEBUG, fields("a \"b\""));
        assert_eq!(
            info,
            "{\"ts\":1.5000,\"caller\":\"src/sync.rs:1\",\"msg\":\"a \\\"b\\\"\",\"v\":2}\n"
        );
        let mut failed = fields("failed");
        failed.others.insert("err".to_owned(), "why".into());
        let error = line(2.0, "a:1", Level::ERROR, failed);
        assert_eq!(
            error,
            "{\"ts\":2.0000,\"caller\":\"a:1\",\"msg\":\"failed\",\"err\":\"why\"}\n"
        );
        assert_eq!(short("/a/src/source/watch.rs"), "source/watch.rs");
        assert_eq!(short("main.rs"), "main.rs");
    }
}
