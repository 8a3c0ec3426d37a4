//! What the commands tell of their cases: a line for each that fails, or for all, a sum at the
//! end, and for machines a report below `target`.
//!
//! libtest-mimic runs named cases too, but they would have to be there before the first one runs
//! and to share nothing: here most are made from what an earlier one found, on one network.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use e2e::{Namespace, target_directory};
use serde::Serialize;
use serde_json::Value;

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
    let text = serde_json::to_string_pretty(report)?;
    write_text(directory, "report.json", &(text + "\n"))
}

/// Writes `target/<directory>/<name>`; returns where that is.
pub(crate) fn write_text(directory: &str, name: &str, text: &str) -> Result<PathBuf> {
    let directory = target_directory().join(directory);
    let path = directory.join(name);
    std::fs::create_dir_all(&directory)
        .and_then(|()| std::fs::write(&path, text))
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// What is left of a run for a reader, in `target/<command>/<name>`. Nothing here is an error: what
/// went wrong before is.
pub(crate) struct Kept(PathBuf);

impl Kept {
    /// Makes the directory.
    pub(crate) fn create(command: &str, name: &str) -> Self {
        let name = name.replace(' ', "-");
        let directory = target_directory().join(command).join(name);
        std::fs::create_dir_all(&directory).ok();
        Self(directory)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Copies the logs of a directory.
    pub(crate) fn logs(&self, from: &Path) -> &Self {
        for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                std::fs::copy(&path, self.0.join(entry.file_name())).ok();
            }
        }
        self
    }

    /// Lists the rules of a node into `<name>.nft`.
    pub(crate) fn rules(&self, node: &Namespace, name: &str) -> &Self {
        if let Ok(rules) = node.exec(&["nft", "list", "ruleset"]) {
            std::fs::write(self.0.join(format!("{name}.nft")), rules).ok();
        }
        self
    }

    /// Writes objects into `<name>.json`.
    pub(crate) fn objects(&self, objects: &[Value], name: &str) -> &Self {
        let text = format!("{:#}", Value::from(objects));
        std::fs::write(self.0.join(format!("{name}.json")), text).ok();
        self
    }
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
