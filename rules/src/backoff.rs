//! Pauses between attempts that go on failing.

use std::time::Duration;

/// Pauses that double, from the first to the longest.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// `first` follows the first failure; `longest` is the limit of all.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first: first.min(longest),
            longest,
            failures: 0,
        }
    }

    /// How many attempts in a row failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Another one failed: the pause until the next. `drawn` is a number from 0 to 1 that
    /// spreads those who fail together: up to a quarter of the pause is left out.
    pub fn failed(&mut self, drawn: f64) -> Duration {
        let pause = doubled(self.first, self.failures).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        pause.mul_f64(1.0 - drawn.clamp(0.0, 1.0) / 4.0)
    }

    /// One succeeded.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// A duration times two to the power of `times`.
pub(crate) fn doubled(duration: Duration, times: u32) -> Duration {
    let factor = 1u32.checked_shl(times).unwrap_or(u32::MAX);
    duration.saturating_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::new(SECOND, 30 * SECOND);
        let pauses: Vec<u64> = (0..8).map(|_| backoff.failed(0.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(backoff.failed(1.0), SECOND * 45 / 2, "a quarter less");
        assert_eq!(backoff.failures(), 9);
        backoff.succeeded();
        assert_eq!((backoff.failures(), backoff.failed(0.0)), (0, SECOND));
        let mut forever = Backoff::new(SECOND, 30 * SECOND);
        for _ in 0..100 {
            forever.failed(0.5);
        }
        assert!(forever.failed(0.0) == 30 * SECOND, "and no overflow");
        let mut short = Backoff::new(SECOND, SECOND / 10);
        assert_eq!(short.failed(0.0), SECOND / 10);
    }
}
