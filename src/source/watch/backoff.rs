//! Pauses between tries that fail, as client-go's reflector makes them: from
//! 800 ms up to 30 s, twice as long each time, and drawn at random so that the
//! nodes of a cluster that failed together do not come back together.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(800);
/// The last one is drawn from this to twice as much.
const LAST: Duration = Duration::from_secs(15);
/// The longest `Retry-After` that is obeyed. API servers say seconds.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// How often something has failed in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next pause. `random` is from 0 to 1; `asked` is the server's own wish.
    pub fn pause(&mut self, random: f64, asked: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let own = doubled.min(LAST).mul_f64(1.0 + random);
        // Later than asked by some, as all of a cluster's nodes may have been asked the same.
        let asked = asked.map(|asked| asked.min(LONGEST_ASKED).mul_f64(1.0 + random / 4.0));
        own.max(asked.unwrap_or_default())
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        for (random, expected) in [
            (0.0, [800, 1600, 3200, 6400, 12_800, 15_000, 15_000]),
            (1.0, [1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]),
        ] {
            let mut backoff = Backoff::default();
            let pauses = expected.map(|_| backoff.pause(random, None).as_millis());
            assert_eq!(pauses, expected);
            backoff.reset();
            assert_eq!(backoff.pause(random, None).as_millis(), expected[0]);
        }
    }

    #[test]
    fn what_the_server_asks_for_is_obeyed_up_to_a_minute() {
        let pause = |random, asked| {
            let asked = Some(Duration::from_secs(asked));
            Backoff::default().pause(random, asked).as_millis()
        };
        assert_eq!(pause(0.0, 0), 800);
        assert_eq!(pause(0.0, 7), 7000);
        assert_eq!(pause(0.5, 8), 9000);
        assert_eq!(pause(0.0, 86_400), 60_000);
        assert_eq!(pause(0.0, u64::MAX), 60_000);
    }

    #[test]
    fn it_never_overflows() {
        let mut backoff = Backoff { failures: u32::MAX };
        assert_eq!(backoff.pause(1.0, None).as_secs(), 30);
    }
}
