//! How large pieces are. Whoever else changes rules waits for each of them.

use std::time::Duration;

/// What a piece shall take the kernel: well below the half second that others may have to wait.
const AIM: Duration = Duration::from_millis(300);
/// Pieces grow to so many times the least. What each costs beside its messages is a walk over all
/// chains that packets meet, a fifth of a second with 100,000 of them: fewer pieces are sooner done.
const GROWTH: usize = 4;

/// How many messages the next piece has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    least: usize,
    now: usize,
}

impl Pace {
    /// So many at first, and never fewer.
    pub(super) fn from(least: usize) -> Self {
        Self { least, now: least }
    }

    /// All in one.
    pub(super) fn unlimited() -> Self {
        Self::from(usize::MAX)
    }

    /// How many messages are a piece now.
    pub(super) fn piece(self) -> usize {
        self.now
    }

    /// A piece took so long.
    pub(super) fn took(&mut self, time: Duration) {
        let (aim, time) = (AIM.as_micros(), time.as_micros().max(1));
        let now = self.now as u128;
        // A single one says little: at most twice or half as many.
        let next = (now * aim / time).clamp(now / 2, now * 2);
        let next = usize::try_from(next).unwrap_or(usize::MAX);
        self.now = next.clamp(self.least, self.least.saturating_mul(GROWTH));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_as_large_as_others_can_wait_for() {
        let mut pace = Pace::from(8_000);
        let after = |pace: &mut Pace, milliseconds: u64| {
            pace.took(Duration::from_millis(milliseconds));
            pace.piece()
        };
        let rows = [
            (60, 16_000),
            (120, 32_000),
            (240, 32_000),
            (400, 24_000),
            (300, 24_000),
            (900, 12_000),
            (900, 8_000),
            (900, 8_000),
            (250, 9_600),
        ];
        for (milliseconds, expected) in rows {
            assert_eq!(after(&mut pace, milliseconds), expected, "{milliseconds}");
        }
        let mut all = Pace::unlimited();
        assert_eq!(after(&mut all, 10), usize::MAX);
    }
}
