//! What is wrong with a file, as far as anybody would read it.

use super::Problem;
use std::path::Path;

/// Problems of one file that are kept.
const KEPT: usize = 200;

/// The first ones, and how many more there are.
#[derive(Debug, Default)]
pub(super) struct Problems {
    first: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        if self.first.len() < KEPT {
            self.first.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// All that is known of the file at this path.
    pub(super) fn all(&self, path: &Path) -> impl Iterator<Item = Problem> {
        let more = (self.more > 0).then(|| Problem {
            place: path.to_string_lossy().into_owned(),
            message: format!("{} more problems", self.more),
        });
        self.first.iter().cloned().chain(more)
    }
}
