//! When to sync: at once after a quiet time, never more often than the minimum
//! period, again a while after a failure (docs/reference.md#sync-loop).

use std::time::{Duration, Instant};

/// Coalesces requests into runs. Pure: the caller tells the time.
#[derive(Debug)]
pub struct Schedule {
    min_period: Duration,
    retry_period: Duration,
    /// A run is wanted.
    requested: bool,
    /// The last run failed and is tried again at this time at the latest.
    retry_at: Option<Instant>,
    /// The end of the last run.
    last_end: Option<Instant>,
}

impl Schedule {
    /// `min_period` lies between the end of a run and the start of the next;
    /// `retry_period` after a failed one.
    pub fn new(min_period: Duration, retry_period: Duration) -> Self {
        Self {
            min_period,
            retry_period,
            requested: false,
            retry_at: None,
            last_end: None,
        }
    }

    /// Asks for a run.
    pub fn request(&mut self) {
        self.requested = true;
    }

    /// When the next run is due, if one is wanted; a time in the past means now.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let earliest = self.last_end.map_or(now, |end| end + self.min_period);
        if self.requested {
            return Some(earliest);
        }
        self.retry_at.map(|at| at.max(earliest))
    }

    /// A run has ended.
    pub fn ended(&mut self, now: Instant, succeeded: bool) {
        self.requested = false;
        self.last_end = Some(now);
        self.retry_at = (!succeeded).then(|| now + self.retry_period);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn runs_keep_their_distance_and_failures_come_again() {
        let start = Instant::now();
        let mut schedule = Schedule::new(SECOND, 30 * SECOND);
        assert_eq!(schedule.due(start), None);
        schedule.request();
        assert_eq!(
            schedule.due(start),
            Some(start),
            "the first one is not held back"
        );

        schedule.ended(start, true);
        assert_eq!(schedule.due(start), None);
        schedule.request();
        schedule.request();
        assert_eq!(
            schedule.due(start),
            Some(start + SECOND),
            "requests become one run"
        );

        schedule.ended(start + SECOND, false);
        assert_eq!(schedule.due(start + SECOND), Some(start + 31 * SECOND));
        schedule.request();
        assert_eq!(
            schedule.due(start + 5 * SECOND),
            Some(start + 2 * SECOND),
            "news go first"
        );

        schedule.ended(start + 5 * SECOND, true);
        assert_eq!(
            schedule.due(start + 60 * SECOND),
            None,
            "success ends the retries"
        );
    }
}
