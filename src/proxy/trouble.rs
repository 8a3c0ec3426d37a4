//! Failures in a row, and the pauses after them.

use crate::jitter;
use rules::{Backoff, Refusal};
use std::time::{Duration, Instant};

/// The first pause after a failure; later ones are longer, up to the sync period.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How one family's attempts went of late.
pub(super) struct Trouble {
    backoff: Backoff,
    /// No attempt before.
    not_before: Option<Instant>,
    /// What was refused last.
    last: Option<Refusal>,
    /// What the log was told.
    told: Option<String>,
}

impl Trouble {
    /// None so far. After failures in a row it is tried again this long after the last one at the
    /// most.
    pub(super) fn new(longest_pause: Duration) -> Self {
        Self {
            backoff: Backoff::new(FIRST_PAUSE, longest_pause),
            not_before: None,
            last: None,
            told: None,
        }
    }

    /// How many attempts in a row failed.
    pub(super) fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// When it is tried again; `None` unless the last attempt failed.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.not_before
    }

    /// What was refused, while it is not time for another attempt.
    pub(super) fn waits(&self, now: Instant) -> Option<&Refusal> {
        let waiting = self.not_before.is_some_and(|at| now < at);
        self.last.as_ref().filter(|_| waiting)
    }

    /// An attempt failed; true if that is news.
    pub(super) fn failed(&mut self, refusal: &Refusal, now: Instant) -> bool {
        self.not_before = Some(now + self.backoff.failed(jitter::draw()));
        let text = refusal.to_string();
        let news = self.told.as_ref() != Some(&text);
        self.told = Some(text);
        self.last = Some(refusal.clone());
        news
    }

    /// As if the pause were over.
    #[cfg(test)]
    pub(super) fn rested(&mut self) {
        self.not_before = None;
    }

    /// An attempt succeeded; how many had failed.
    pub(super) fn succeeded(&mut self) -> u32 {
        let failures = self.backoff.failures();
        self.backoff.succeeded();
        self.not_before = None;
        self.last = None;
        self.told = None;
        failures
    }
}
