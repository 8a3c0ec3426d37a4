//! How many elements there are, without making them.

use crate::nft::ruleset::SetId;

/// A number of elements for each set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([usize; SetId::ALL.len()]);

impl Counts {
    pub(crate) fn of(&self, set: SetId) -> usize {
        self.0[set as usize]
    }

    pub(crate) fn add(&mut self, set: SetId, count: usize) {
        self.0[set as usize] += count;
    }

    pub(crate) fn remove(&mut self, set: SetId, count: usize) {
        let own = &mut self.0[set as usize];
        debug_assert!(*own >= count, "{set} has {own} elements and loses {count}");
        *own = own.saturating_sub(count);
    }

    /// Over all sets.
    pub(crate) fn total(&self) -> usize {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_has_a_count_of_its_own() {
        let mut counts = Counts::default();
        for (count, set) in SetId::ALL.into_iter().enumerate() {
            counts.add(set, count);
        }
        for (count, set) in SetId::ALL.into_iter().enumerate() {
            assert_eq!(counts.of(set), count);
        }
    }
}
