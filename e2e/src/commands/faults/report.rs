//! What is told of each fault.

use std::time::Duration;

use serde::Serialize;

use crate::report::mark;

/// A fault's figures; `docs/faults.md` says what they mean.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// How often the fault came.
    pub(crate) times: u32,
    /// New connections to Services that it doesn't touch, without an answer.
    pub(crate) new_failed: u64,
    /// Connections that stayed, but not to the end.
    pub(crate) established_broken: u64,
    /// The longest time until all was well again, in seconds.
    pub(crate) recovered_s: f64,
    /// How long that may take.
    pub(crate) limit_s: f64,
    /// New connections in all.
    pub(crate) new_asked: u64,
    /// Those that failed to Services that it does touch.
    pub(crate) touched_failed: u64,
    /// Kept connections that met a kernel without NAT, which ends them whoever programs it.
    pub(crate) untranslated_broken: u64,
    /// Messages on connections that stayed.
    pub(crate) established_asked: u64,
    /// Datagrams among them that had to be sent again.
    pub(crate) established_repeated: u64,
    /// The fault and its preparations, in seconds.
    pub(crate) took_s: f64,
    /// Why it could not be run, or what was not as promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The first things that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<String>,
}

impl Row {
    /// Nothing happened yet.
    pub(crate) fn new(name: &str, limit: Duration) -> Self {
        Self {
            name: name.to_owned(),
            times: 0,
            new_failed: 0,
            established_broken: 0,
            recovered_s: 0.0,
            limit_s: limit.as_secs_f64(),
            new_asked: 0,
            touched_failed: 0,
            untranslated_broken: 0,
            established_asked: 0,
            established_repeated: 0,
            took_s: 0.0,
            error: None,
            details: Vec::new(),
        }
    }

    /// All promises were kept.
    pub(crate) fn holds(&self) -> bool {
        self.error.is_none()
            && self.new_failed == 0
            && self.established_broken == 0
            && self.recovered_s <= self.limit_s
    }

    /// One line, and more if something is wrong.
    pub(crate) fn print(&self) {
        println!(
            "{} {:<34} {:>6} {:>6} {:>4} {:>8.2} {:>6} {:>6.0}",
            mark(self.holds()),
            self.name,
            self.times,
            self.new_failed,
            self.established_broken,
            self.recovered_s,
            self.limit_s,
            self.took_s
        );
        if self.holds() {
            return;
        }
        for line in self.error.iter().chain(&self.details) {
            println!("         {line}");
        }
    }
}

/// The first line of the table.
pub(crate) fn print_head() {
    println!(
        "       {:<34} {:>6} {:>6} {:>4} {:>8} {:>6} {:>6}",
        "fault", "times", "failed", "brk", "back s", "limit", "took"
    );
}
