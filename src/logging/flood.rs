//! A bound on what any one place of the program logs, however often others make it: objects that
//! change all the time, peers that come again and again.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// Lines of one place that are written at once: as many as a cluster's worth of bad objects.
const BURST: f64 = 1000.0;
/// And then, in a second.
const PER_SECOND: f64 = 10.0;
/// Between two notes that lines of one place are left out.
const NOTES: Duration = Duration::from_secs(60);

/// Writes lines as long as there are not too many of one kind. Those that are only there with a
/// higher verbosity are somebody's wish, and not bounded.
pub(super) struct Bounded {
    writer: BoxMakeWriter,
    /// Makes a line of a note.
    note: fn(&str) -> String,
    places: Mutex<HashMap<Identifier, Place>>,
}

/// A place that logs, and what it has left of its share.
#[derive(Debug)]
struct Place {
    lines: f64,
    counted: Instant,
    noted: Option<Instant>,
    left_out: u64,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    written: bool,
    /// So many were left out, which is to be noted before.
    left_out: Option<u64>,
}

impl Place {
    fn new(now: Instant) -> Self {
        Self {
            lines: BURST,
            counted: now,
            noted: None,
            left_out: 0,
        }
    }

    fn line(&mut self, now: Instant) -> Verdict {
        let waited = now.saturating_duration_since(self.counted).as_secs_f64();
        self.lines = (self.lines + waited * PER_SECOND).min(BURST);
        self.counted = now;
        let written = self.lines >= 1.0;
        if written {
            self.lines -= 1.0;
        } else {
            self.left_out += 1;
        }
        let early = |at: Instant| now.saturating_duration_since(at) < NOTES;
        let is_due = self.left_out > 0 && !self.noted.is_some_and(early);
        let left_out = is_due.then(|| std::mem::take(&mut self.left_out));
        if is_due {
            self.noted = Some(now);
        }
        Verdict { written, left_out }
    }
}

impl Bounded {
    /// In front of a writer; `note` makes a line of a note, as lines are in that log.
    pub(super) fn new(writer: BoxMakeWriter, note: fn(&str) -> String) -> Self {
        Self {
            writer,
            note,
            places: Mutex::default(),
        }
    }

    fn verdict(&self, metadata: &Metadata<'_>, now: Instant) -> Verdict {
        // As many entries as there are places in the program.
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(metadata.callsite());
        place.or_insert_with(|| Place::new(now)).line(now)
    }
}

impl<'a> MakeWriter<'a> for Bounded {
    type Writer = Box<dyn Write + 'a>;

    fn make_writer(&'a self) -> Self::Writer {
        self.writer.make_writer()
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        let mut writer = self.writer.make_writer_for(metadata);
        if *metadata.level() > Level::INFO {
            return writer;
        }
        let Verdict { written, left_out } = self.verdict(metadata, Instant::now());
        if let Some(left_out) = left_out {
            let text = format!(
                "{left_out} lines of {}:{} are left out: there are more than {PER_SECOND} a second",
                metadata.file().unwrap_or("unknown"),
                metadata.line().unwrap_or(0)
            );
            // There is nowhere to tell of an error.
            let _ = writer.write_all((self.note)(&text).as_bytes());
        }
        if written {
            writer
        } else {
            Box::new(io::sink())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_place_has_a_burst_and_then_a_rate() {
        let start = Instant::now();
        let mut place = Place::new(start);
        let written = |place: &mut Place, lines: usize, now| {
            (0..lines).filter(|_| place.line(now).written).count()
        };
        assert_eq!(written(&mut place, 1200, start), 1000);
        assert_eq!(written(&mut place, 100, start + SECOND), 10);
        assert_eq!(written(&mut place, 100, start + 3 * SECOND), 20);
        assert_eq!(written(&mut place, 2000, start + 3600 * SECOND), 1000);
    }

    #[test]
    fn a_note_now_and_then_tells_how_many_are_left_out() {
        let start = Instant::now();
        let mut place = Place::new(start);
        let notes = |place: &mut Place, lines: usize, now| -> Vec<u64> {
            let verdicts = (0..lines).map(|_| place.line(now));
            verdicts.filter_map(|verdict| verdict.left_out).collect()
        };
        assert_eq!(notes(&mut place, 1000, start).len(), 0);
        assert_eq!(notes(&mut place, 100, start), [1]);
        assert_eq!(notes(&mut place, 100, start + SECOND).len(), 0);
        let later = start + NOTES;
        assert_eq!(notes(&mut place, 1, later), [99 + 90]);
        assert_eq!(notes(&mut place, 1, later + NOTES).len(), 0);
    }

    #[test]
    fn a_flood_of_lines_ends_in_a_note() {
        static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());
        struct Log;
        impl Write for Log {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let mut written = WRITTEN.lock().expect("no panic");
                written.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let writer = Bounded::new(BoxMakeWriter::new(|| Log), |text| format!("note: {text}\n"));
        let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..5000 {
                tracing::warn!("flood {number}");
            }
            tracing::warn!("another place");
        });
        let written = WRITTEN.lock().expect("no panic").clone();
        let written = String::from_utf8(written).expect("text");
        let flood = written
            .lines()
            .filter(|line| line.contains("flood"))
            .count();
        // It may take a second or more here.
        assert!((1000..4000).contains(&flood), "{flood}");
        let notes: Vec<&str> = written
            .lines()
            .filter(|line| line.starts_with("note"))
            .collect();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(
            notes[0].contains("lines of src/logging/flood.rs:"),
            "{notes:?}"
        );
        assert!(written.contains("another place"));
    }
}
