//! Random choices, taken one way after the other.

/// The choices of one walk, and which ways are still to be tried.
#[derive(Debug)]
pub(crate) struct Choices {
    /// Which way was taken, of how many.
    taken: Vec<(u32, u32)>,
    /// How many this walk has made.
    made: usize,
    /// How likely they are together.
    probability: f64,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            taken: Vec::new(),
            made: 0,
            probability: 1.0,
        }
    }
}

impl Choices {
    /// One of `ways`, at least 1, counted from 0, each as likely as the others.
    pub(crate) fn choose(&mut self, ways: u32) -> u32 {
        if ways <= 1 {
            return 0;
        }
        self.probability /= f64::from(ways);
        self.take(ways)
    }

    /// True for one in `count`.
    pub(crate) fn one_in(&mut self, count: u32) -> bool {
        if count <= 1 {
            return true;
        }
        let chance = 1.0 / f64::from(count);
        let is_it = self.take(2) == 0;
        self.probability *= if is_it { chance } else { 1.0 - chance };
        is_it
    }

    /// How likely this walk's choices are together, from 0 to 1.
    pub(crate) fn probability(&self) -> f64 {
        self.probability
    }

    fn take(&mut self, ways: u32) -> u32 {
        if self.made == self.taken.len() {
            self.taken.push((0, ways));
        }
        self.made += 1;
        self.taken[self.made - 1].0
    }

    /// How many choices this walk has made.
    pub(crate) fn made(&self) -> usize {
        self.made
    }

    /// Makes the next walk another one; false if all have been made.
    pub(crate) fn advance(&mut self) -> bool {
        self.made = 0;
        self.probability = 1.0;
        while let Some((way, ways)) = self.taken.pop() {
            if way + 1 < ways {
                self.taken.push((way + 1, ways));
                return true;
            }
        }
        false
    }
}
