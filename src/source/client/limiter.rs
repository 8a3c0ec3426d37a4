//! Keeps requests to a rate: a bucket that fills with `qps` tokens a second up
//! to `burst`, as client-go has it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tells each request how long to wait.
#[derive(Debug)]
pub(super) struct Limiter {
    qps: f64,
    burst: f64,
    /// When the bucket would be full again, were nothing more taken.
    full_at: Mutex<Option<Instant>>,
}

impl Limiter {
    pub(super) fn new(qps: f32, burst: u32) -> Self {
        Self {
            qps: f64::from(qps),
            burst: f64::from(burst.max(1)),
            full_at: Mutex::new(None),
        }
    }

    /// Takes a token; what comes back is how long it is until there is one.
    pub(super) fn take(&self, now: Instant) -> Duration {
        if self.qps <= 0.0 {
            return Duration::ZERO;
        }
        let one = Duration::from_secs_f64(1.0 / self.qps);
        let all = one.mul_f64(self.burst);
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = full_at.unwrap_or(now).max(now) + one;
        *full_at = Some(next);
        next.duration_since(now).saturating_sub(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_the_rest_waits_its_turn() {
        let start = Instant::now();
        let limiter = Limiter::new(5.0, 2);
        let waits: Vec<u128> = (0..4).map(|_| limiter.take(start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 200, 400]);
        let later = start + Duration::from_secs(60);
        assert_eq!(limiter.take(later), Duration::ZERO);
        assert_eq!(Limiter::new(0.0, 0).take(start), Duration::ZERO);
    }
}
