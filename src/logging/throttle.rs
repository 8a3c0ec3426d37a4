//! Lines that others can cause as often as they like.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one line pass in a period, and counts those between.
#[derive(Debug)]
pub struct Throttle {
    period: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    passed: Option<Instant>,
    left_out: u64,
}

impl Throttle {
    /// The first line passes.
    pub const fn new(period: Duration) -> Self {
        Self {
            period,
            inner: Mutex::new(Inner {
                passed: None,
                left_out: 0,
            }),
        }
    }

    /// Whether a line passes now; with it, how many did not since the last that did.
    pub fn passes(&self, now: Instant) -> Option<u64> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let early = |at: Instant| now.saturating_duration_since(at) < self.period;
        if inner.passed.is_some_and(early) {
            inner.left_out += 1;
            return None;
        }
        inner.passed = Some(now);
        Some(std::mem::take(&mut inner.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_period() {
        const MINUTE: Duration = Duration::from_secs(60);
        let start = Instant::now();
        let throttle = Throttle::new(MINUTE);
        assert_eq!(throttle.passes(start), Some(0));
        assert_eq!(throttle.passes(start), None);
        assert_eq!(throttle.passes(start + MINUTE / 2), None);
        assert_eq!(throttle.passes(start + MINUTE), Some(2));
        assert_eq!(throttle.passes(start + 2 * MINUTE), Some(0));
    }
}
