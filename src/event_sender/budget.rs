//! How many events may be sent: a cluster with a thousand bad objects, seen by
//! a thousand nodes, must not fill the API server with a million.

use crate::events::Event;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The same event is not sent again within this time.
const SILENCE: Duration = Duration::from_secs(3600);
/// Different reports that may be sent at once.
const BURST: f64 = 25.0;
/// After that, one per so many seconds.
const REFILL_SECONDS: f64 = 10.0;
/// Events that are remembered; each is spoken of for an hour at most, and at
/// the rate above there are few.
const REMEMBERED: usize = 1024;

/// Decides what is sent. Pure: the caller tells the time.
#[derive(Debug)]
pub(super) struct Budget {
    sent: HashMap<Event, Instant>,
    tokens: f64,
    counted: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sent: HashMap::new(),
            tokens: BURST,
            counted: now,
        }
    }

    /// Whether this event is to be sent now; if so, it counts as sent.
    pub(super) fn allows(&mut self, event: &Event, now: Instant) -> bool {
        self.sent.retain(|_, at| now.duration_since(*at) < SILENCE);
        let waited = now.duration_since(self.counted).as_secs_f64();
        self.tokens = (self.tokens + waited / REFILL_SECONDS).min(BURST);
        self.counted = now;
        let is_repeated = self.sent.contains_key(event);
        if is_repeated || self.tokens < 1.0 || self.sent.len() >= REMEMBERED {
            return false;
        }
        self.tokens -= 1.0;
        self.sent.insert(event.clone(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: usize) -> Event {
        Event::node_warning("Test", number.to_string())
    }

    #[test]
    fn a_repetition_waits_for_an_hour() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert!(budget.allows(&event(1), start));
        assert!(!budget.allows(&event(1), start + SILENCE / 2));
        assert!(budget.allows(&event(1), start + SILENCE));
    }

    #[test]
    fn many_reports_come_slowly() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let allowed = |budget: &mut Budget, numbers: std::ops::Range<usize>, now| {
            numbers
                .filter(|number| budget.allows(&event(*number), now))
                .count()
        };
        assert_eq!(allowed(&mut budget, 0..100, start), 25);
        let later = start + Duration::from_secs(20);
        assert_eq!(allowed(&mut budget, 100..200, later), 2);
    }
}
