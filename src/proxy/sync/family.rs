//! What is known about one family's table.

use crate::jitter;
use rules::model::{Family, ObjectName};
use rules::nft::drift::{Contest, Suspicion};
use rules::nft::{Planner, Refusal};
use rules::{Backoff, Config};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The first pause after a failure; later ones are longer, up to the sync period.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The sync period unless it is configured.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The table is replaced this long after the last time even if nobody has said why: upstream's
/// interval of full syncs (`docs/ruleset.md`).
const FULL_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// When to look again at a table that others may have changed unseen; each further time in a
/// row waits four times as long.
const UNSEEN_PAUSE: Duration = Duration::from_secs(1);

/// One family's planner, and how its syncs went.
pub(super) struct OfFamily {
    pub(super) planner: Planner,
    pub(super) trouble: Trouble,
    pub(super) contest: Contest,
    /// The table has to be replaced.
    pub(super) suspicion: Option<Suspicion>,
    /// The ruleset's generation that the last replacement made.
    pub(super) replaced_at: Option<u32>,
    /// The table was found to differ, and nobody has told who did that.
    pub(super) unexplained: bool,
    /// How often in a row others changed something just when nobody looked.
    unseen: u32,
    /// When the table is replaced without a reason.
    full_at: Option<Instant>,
    /// What was told about Services that are left out.
    pub(super) told: BTreeMap<ObjectName, String>,
    /// Services that are left out because there was no time to try them.
    pub(super) untried: Vec<ObjectName>,
}

/// Failures in a row.
pub(super) struct Trouble {
    backoff: Backoff,
    /// No attempt before.
    not_before: Option<Instant>,
    /// What was refused last.
    last: Option<Refusal>,
    /// What the log was told.
    told: Option<String>,
}

impl OfFamily {
    pub(super) fn new(config: Config) -> Self {
        Self {
            planner: Planner::new(config),
            trouble: Trouble {
                backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
                not_before: None,
                last: None,
                told: None,
            },
            contest: Contest::default(),
            suspicion: None,
            replaced_at: None,
            unexplained: false,
            unseen: 0,
            full_at: None,
            told: BTreeMap::new(),
            untried: Vec::new(),
        }
    }

    pub(super) fn family(&self) -> Family {
        self.planner.config().family
    }

    /// When to sync though nothing has happened.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let due = self.suspicion.map(|suspicion| suspicion.due);
        let quiet = [due, self.full_at].into_iter().flatten().min();
        match (self.trouble.not_before, quiet) {
            // While syncs fail, nothing comes sooner than the next attempt.
            (Some(retry), _) => Some(retry),
            (None, quiet) => quiet,
        }
    }

    /// Lets the planner replace the table if it is time to.
    pub(super) fn look(&mut self, now: Instant) {
        if self.suspicion.is_some_and(|suspicion| suspicion.due <= now) {
            self.planner.distrust();
        }
        if self.full_at.is_some_and(|at| at <= now) {
            self.full_at = None;
            self.planner.distrust();
            // Those that the kernel refused may fare better now.
            let left_out = self.planner.left_out().clone();
            self.planner.take_back(&left_out);
        }
        let untried = std::mem::take(&mut self.untried);
        self.planner.take_back(&untried);
    }

    /// The table has to be replaced, at the latest when the sooner of two reasons says.
    pub(super) fn suspect(&mut self, suspicion: Suspicion) {
        let sooner = |own: &Suspicion| own.due <= suspicion.due;
        if !self.suspicion.as_ref().is_some_and(sooner) {
            self.suspicion = Some(suspicion);
        }
    }

    /// The table was replaced.
    pub(super) fn replaced(&mut self, generation: Option<u32>, now: Instant) {
        if let Some(suspicion) = self.suspicion.take() {
            self.contest.repaired(&suspicion, now);
        }
        self.replaced_at = generation;
        let spread = FULL_INTERVAL.mul_f64(jitter::draw() / 10.0);
        self.full_at = Some(now + (FULL_INTERVAL - spread));
    }

    /// Others changed something when nobody looked, or not.
    pub(super) fn seen(&mut self, unseen: bool, now: Instant) {
        if !unseen {
            self.unseen = 0;
            return;
        }
        let pause = UNSEEN_PAUSE * 4u32.saturating_pow(self.unseen.min(6));
        self.unseen += 1;
        let at = now + pause;
        self.full_at = Some(self.full_at.map_or(at, |own| own.min(at)));
    }
}

impl Trouble {
    pub(super) fn retry_within(&mut self, longest_pause: Duration) {
        self.backoff = Backoff::new(FIRST_PAUSE, longest_pause);
    }

    /// How many syncs in a row failed.
    pub(super) fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// What was refused, while it is not time for another attempt.
    pub(super) fn waits(&self, now: Instant) -> Option<&Refusal> {
        let waiting = self.not_before.is_some_and(|at| now < at);
        self.last.as_ref().filter(|_| waiting)
    }

    /// A sync failed; true if that is news.
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

    /// A sync succeeded; how many had failed.
    pub(super) fn succeeded(&mut self) -> u32 {
        let failures = self.backoff.failures();
        self.backoff.succeeded();
        self.not_before = None;
        self.last = None;
        self.told = None;
        failures
    }
}
