//! What was asked, and which answers differ.

use std::fmt::Display;

/// Counts answers and prints those that differ.
#[derive(Debug, Default)]
pub struct Report {
    same: usize,
    different: usize,
}

impl Report {
    /// A new part begins.
    pub fn begin(&mut self, part: &str) {
        println!("== {part}");
    }

    /// Both gave what they had to give to `question`; named only with VERBOSE set, as there are
    /// hundreds.
    pub fn same(&mut self, question: impl Display) {
        self.same += 1;
        if std::env::var_os("VERBOSE").is_some() {
            println!("same       {question}");
        }
    }

    /// They differ, or one of them is wrong; `how` may have several lines.
    pub fn different(&mut self, question: impl Display, how: impl Display) {
        self.different += 1;
        println!("DIFFERENT  {question}");
        for line in how.to_string().lines() {
            println!("    {line}");
        }
    }

    /// Compares two texts line by line.
    pub fn texts(&mut self, question: impl Display, upstream: &str, ours: &str) {
        if upstream == ours {
            self.same(question);
        } else {
            self.different(question, difference(upstream, ours));
        }
    }

    /// Prints the sum; true if nothing differs.
    pub fn end(&self) -> bool {
        println!("\n{} same, {} different", self.same, self.different);
        self.different == 0
    }
}

/// The lines that only one of two texts has: `-` upstream's, `+` ours.
fn difference(upstream: &str, ours: &str) -> String {
    let (left, right): (Vec<_>, Vec<_>) = (upstream.lines().collect(), ours.lines().collect());
    let mut lines = Vec::new();
    let mut at = 0;
    for line in &left {
        match right[at..].iter().position(|other| other == line) {
            Some(skipped) => {
                lines.extend(right[at..at + skipped].iter().map(|l| format!("+ {l}")));
                at += skipped + 1;
            }
            None => lines.push(format!("- {line}")),
        }
    }
    lines.extend(right[at..].iter().map(|line| format!("+ {line}")));
    if lines.is_empty() {
        "only line ends differ".to_owned()
    } else {
        lines.join("\n")
    }
}
