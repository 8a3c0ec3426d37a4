//! Random choices, taken one way after the other.

/// The choices of one walk, and which ways are still to be tried.
#[derive(Debug, Default)]
pub(super) struct Choices {
    /// Which way was taken, of how many.
    taken: Vec<(u32, u32)>,
    /// How many this walk has made.
    made: usize,
}

impl Choices {
    /// One of `ways`, at least 1, counted from 0.
    pub(super) fn choose(&mut self, ways: u32) -> u32 {
        if ways <= 1 {
            return 0;
        }
        if self.made == self.taken.len() {
            self.taken.push((0, ways));
        }
        self.made += 1;
        self.taken[self.made - 1].0
    }

    /// How many choices this walk has made.
    pub(super) fn made(&self) -> usize {
        self.made
    }

    /// Makes the next walk another one; false if all have been made.
    pub(super) fn advance(&mut self) -> bool {
        self.made = 0;
        while let Some((way, ways)) = self.taken.pop() {
            if way + 1 < ways {
                self.taken.push((way + 1, ways));
                return true;
            }
        }
        false
    }
}
