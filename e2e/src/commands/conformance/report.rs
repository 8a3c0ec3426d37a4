//! What is printed, and the report that is left for machines.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::conformance::accepted::Accepted;
use crate::conformance::run::Row;
use crate::mode::Mode;
use crate::report::{Cases, mark, write_report};

/// Differences of one group that are shown one by one.
const SHOWN: usize = 12;
/// Trace foretells what was seen.
const AGREES: &str = "agrees";

#[derive(Serialize)]
struct Entry {
    id: String,
    description: String,
    family: &'static str,
    protocol: &'static str,
    source: &'static str,
    upstream: String,
    ours: String,
    pass: bool,
    /// Whether it passes although it differs, as docs/differences.md says.
    accepted: bool,
    /// `agrees`, or what trace says instead; `null` where it was not asked.
    trace: Option<String>,
}

/// What cases are counted by: the first word of their Service's name; the whole of it where that
/// names a sequence or a setting.
fn group(id: &str) -> String {
    let service = id.split('/').next().unwrap_or_default();
    match service.split_once('-') {
        Some((first, _)) if !["seq", "set"].contains(&first) => first.to_owned(),
        _ => service.to_owned(),
    }
}

/// All results so far.
pub(crate) struct Report {
    accepted: Accepted,
    mode: Mode,
    entries: Vec<Entry>,
    cases: Cases,
}

impl Report {
    pub(crate) fn new(accepted: Accepted, mode: Mode) -> Self {
        Self {
            accepted,
            mode,
            entries: Vec::new(),
            cases: Cases::new(),
        }
    }

    /// Adds rows and prints what became of each group, which is an id's first part.
    pub(crate) fn add(&mut self, rows: Vec<Row>) {
        let mut groups: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for row in rows {
            let entry = self.entry(&row);
            groups.entry(group(&entry.id)).or_default().push(entry);
        }
        for (group, entries) in groups {
            let failed: Vec<_> = entries.iter().filter(|entry| !entry.pass).collect();
            let accepted = entries.iter().filter(|entry| entry.accepted).count();
            let noted = match accepted {
                0 => String::new(),
                count => format!(", {count} differ on purpose"),
            };
            println!(
                "{} {group}: {} passed{noted}, {} failed",
                mark(failed.is_empty()),
                entries.len() - failed.len(),
                failed.len()
            );
            for entry in failed.iter().take(SHOWN) {
                println!("  {} ({})", entry.id, entry.description);
                println!(
                    "    upstream  {}\n    ours      {}",
                    entry.upstream, entry.ours
                );
                if let Some(trace) = entry.trace.as_deref().filter(|own| *own != AGREES) {
                    println!("    trace     {trace}");
                }
            }
            if failed.len() > SHOWN {
                println!("  and {} more, in the report", failed.len() - SHOWN);
            }
            entries
                .iter()
                .for_each(|entry| self.cases.count(entry.pass));
            self.entries.extend(entries);
        }
    }

    /// Whether this row is no failure.
    pub(crate) fn passes(&self, row: &Row) -> bool {
        let agrees = !matches!(row.trace, Some(Err(_)));
        agrees && (row.same() || self.accepted.contains(&row.case.id))
    }

    fn entry(&self, row: &Row) -> Entry {
        let [upstream, ours] = row.seen.each_ref().map(ToString::to_string);
        Entry {
            id: row.case.id.clone(),
            description: row.case.description.clone(),
            family: row.case.family.name(),
            protocol: row.case.protocol(),
            source: row.case.source.name(),
            upstream,
            ours,
            pass: self.passes(row),
            accepted: !row.same() && self.passes(row),
            trace: row.trace.as_ref().map(|own| match own {
                Ok(()) => AGREES.to_owned(),
                Err(text) => text.clone(),
            }),
        }
    }

    /// Writes `target/conformance/report.json` and tells the sum; whether nothing failed.
    pub(crate) fn finish(&self) -> Result<bool> {
        let asked = || {
            self.entries
                .iter()
                .filter_map(|entry| entry.trace.as_deref())
        };
        let agree = asked().filter(|own| *own == AGREES).count();
        let (all, word) = (asked().count(), "predictions of trace");
        if all > 0 {
            println!("{agree} of {all} {word} are what became of the packets");
        }
        let path = write_report(&self.mode.directory("conformance"), &self.entries)?;
        println!("\n{}", path.display());
        Ok(self.cases.end())
    }
}
