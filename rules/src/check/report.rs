//! What a check of a node comes to: groups of checks with a status each.

use crate::finding::{Finding, Severity};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing is wrong.
    Ok,
    /// A warning was found.
    Warning,
    /// An error was found.
    Error,
    /// It could not be looked at; the detail says why.
    Skipped,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Item {
    /// What was looked at.
    pub name: String,
    /// How it went.
    pub status: Status,
    /// What was seen, or why nothing was.
    pub detail: String,
    /// Codes of what was found.
    pub codes: Vec<crate::finding::Code>,
}

/// Checks that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Group {
    /// What they are about.
    pub name: String,
    /// The checks.
    pub checks: Vec<Item>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Skipped => "skipped",
        })
    }
}

/// Groups as they fill, and what is found meanwhile.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) groups: Vec<Group>,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    /// Begins a group.
    pub(super) fn group(&mut self, name: &str) {
        self.groups.push(Group {
            name: name.to_owned(),
            checks: Vec::new(),
        });
    }

    /// Adds a check, whose status is that of the worst that was found.
    pub(super) fn check(
        &mut self,
        name: impl Into<String>,
        detail: impl Into<String>,
        findings: impl IntoIterator<Item = Finding>,
    ) {
        let findings: Vec<Finding> = findings.into_iter().collect();
        let worst = findings.iter().map(|finding| finding.severity).max();
        let status = match worst {
            Some(Severity::Error) => Status::Error,
            Some(Severity::Warning) => Status::Warning,
            Some(Severity::Info) | None => Status::Ok,
        };
        let mut codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        codes.sort_unstable();
        codes.dedup();
        self.item(Item {
            name: name.into(),
            status,
            detail: detail.into(),
            codes,
        });
        self.findings.extend(findings);
    }

    /// Adds a check that could not be made.
    pub(super) fn skipped(&mut self, name: impl Into<String>, why: impl Into<String>) {
        self.item(Item {
            name: name.into(),
            status: Status::Skipped,
            detail: why.into(),
            codes: Vec::new(),
        });
    }

    fn item(&mut self, item: Item) {
        if let Some(group) = self.groups.last_mut() {
            group.checks.push(item);
        }
    }
}

/// `1 Service`, `2 Services`.
pub(super) fn plural(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}
