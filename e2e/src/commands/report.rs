//! What the commands tell of their cases: a line for each that fails, or for all, a sum at the
//! end, and for machines a report below `target`.
//!
//! libtest-mimic runs named cases too, but they would have to be there before the first one runs
//! and to share nothing: here most are made from what an earlier one found, on one network.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use e2e::target_directory;
use serde::Serialize;

/// How many cases came out how, since the value was made.
#[derive(Debug)]
pub(crate) struct Cases {
    passed: usize,
    failed: usize,
    begun: Instant,
    names_all: bool,
}

impl Cases {
    /// Names those that fail, and tells the others by groups.
    pub(crate) fn new() -> Self {
        Self {
            passed: 0,
            failed: 0,
            begun: Instant::now(),
            names_all: false,
        }
    }

    /// Names each, with its time.
    pub(crate) fn naming_all() -> Self {
        Self {
            names_all: true,
            ..Self::new()
        }
    }

    /// Does `work` and counts it; a failure is told. Returns the value, if there is one.
    pub(crate) fn case<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        let begun = Instant::now();
        let result = work();
        self.count(result.is_ok());
        if self.names_all || result.is_err() {
            let took = begun.elapsed().as_secs_f64();
            println!("{}  {name} ({took:.1} s)", mark(result.is_ok()));
        }
        result
            .inspect_err(|error| println!("  {}", format!("{error:#}").replace('\n', "\n  ")))
            .ok()
    }

    /// Runs the cases of a group and tells, in one line, how many of them came out well.
    pub(crate) fn group<T>(&mut self, name: &str, cases: impl FnOnce(&mut Self) -> T) -> T {
        let (passed, failed) = (self.passed, self.failed);
        let value = cases(self);
        let (passed, failed) = (self.passed - passed, self.failed - failed);
        println!(
            "{}  {name}: {passed} of {}",
            mark(failed == 0),
            passed + failed
        );
        value
    }

    /// Counts one that is told in another way.
    pub(crate) fn count(&mut self, passed: bool) {
        *(if passed {
            &mut self.passed
        } else {
            &mut self.failed
        }) += 1;
    }

    /// Tells the sum; whether nothing failed.
    pub(crate) fn end(&self) -> bool {
        let took = self.begun.elapsed().as_secs_f64();
        println!(
            "\n{} passed, {} failed ({took:.0} s)",
            self.passed, self.failed
        );
        self.failed == 0
    }
}

/// What a case's or a group's line begins with, all of one width.
pub(crate) fn mark(passed: bool) -> &'static str {
    if passed { "ok    " } else { "FAILED" }
}

/// Writes `target/<directory>/report.json`; returns where that is.
pub(crate) fn write_report(directory: &str, report: &impl Serialize) -> Result<PathBuf> {
    let directory = target_directory().join(directory);
    let path = directory.join("report.json");
    let text = serde_json::to_string_pretty(report)?;
    std::fs::create_dir_all(&directory)
        .and_then(|()| std::fs::write(&path, text + "\n"))
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::Cases;

    #[test]
    fn failures_within_a_group_are_counted() {
        let mut cases = Cases::new();
        let value = cases.group("two", |cases| {
            cases.case("bad", || anyhow::bail!("so it is") as anyhow::Result<()>);
            cases.case("good", || Ok(7))
        });
        assert_eq!((value, cases.passed, cases.failed), (Some(7), 1, 1));
        assert!(!cases.end());
        assert!(Cases::new().end());
    }
}
