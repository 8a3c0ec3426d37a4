//! How many elements the sets hold, and how many they may.
//!
//! A set that is declared with a size gets all of its hash table at once; one
//! without starts with a handful of buckets and rehashes as it grows, which is
//! a sixth of what the kernel does in a large first sync. But the size is a
//! limit too. So sets that begin large get one with room to grow, and when it
//! does not suffice any more, the table is replaced by one with larger sets.

use crate::nft::ruleset::{Element, SetId};
use crate::nft::service::Counts;
use std::collections::BTreeMap;

/// Fewer elements come into the table as fast without a size.
pub(super) const LARGE: usize = 1024;

/// The size to declare a set with that begins with `count` elements: between
/// 1.5 and 3 times that. `None` for no limit, if it is less than `large`.
fn size_for(count: usize, large: usize) -> Option<u32> {
    if count < large {
        return None;
    }
    let wanted = u32::try_from(count).ok()?.checked_mul(3)?.div_ceil(2);
    // The kernel makes a power of two of buckets, at least 4/3 of the size
    // (`nft_hash_buckets`): this is the most that those are good for.
    wanted
        .div_ceil(3)
        .checked_next_power_of_two()?
        .checked_mul(3)
}

/// The sets of one table.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    counts: Counts,
    sizes: BTreeMap<SetId, u32>,
}

impl Room {
    /// For sets that begin with so many elements; those with fewer than `large`
    /// are not limited.
    pub(super) fn new(counts: Counts, large: usize) -> Self {
        let sized = |set| Some((set, size_for(counts.of(set), large)?));
        let mut sizes: BTreeMap<SetId, u32> = SetId::ALL.into_iter().filter_map(sized).collect();
        sizes.insert(SetId::ServiceConnections, SetId::CONNECTIONS_MAX);
        Self { counts, sizes }
    }

    /// What to declare the set with.
    pub(super) fn size(&self, set: SetId) -> Option<u32> {
        self.sizes.get(&set).copied()
    }

    /// How many elements the set has.
    #[cfg(test)]
    pub(super) fn count(&self, set: SetId) -> usize {
        self.counts.of(set)
    }

    /// Counts what leaves and what comes.
    pub(super) fn change(
        &mut self,
        gone: &BTreeMap<SetId, Vec<Element>>,
        come: &BTreeMap<SetId, Vec<Element>>,
    ) {
        for (set, elements) in gone {
            self.counts.remove(*set, elements.len());
        }
        for (set, elements) in come {
            self.counts.add(*set, elements.len());
        }
    }

    /// A set that does not hold so many, with its size.
    pub(super) fn too_small(&self) -> Option<(SetId, u32)> {
        let mut sizes = self.sizes.iter();
        let found = sizes.find(|(set, size)| self.counts.of(**set) > **size as usize);
        found.map(|(set, size)| (*set, *size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_sets_get_room_to_grow() {
        let rows = [
            (0, None),
            (LARGE - 1, None),
            (LARGE, Some(1536)),
            (1025, Some(3072)),
            (10_000, Some(24_576)),
            (16_384, Some(24_576)),
            (16_385, Some(49_152)),
            (100_000, Some(196_608)),
            (usize::MAX, None),
        ];
        for (count, size) in rows {
            assert_eq!(size_for(count, LARGE), size, "{count}");
        }
        for count in (LARGE..1_000_000).step_by(997) {
            let size = size_for(count, LARGE).expect("a size") as usize;
            assert!(
                size * 2 >= count * 3 && size <= count * 3 + 3,
                "{count}: {size}"
            );
        }
    }
}
