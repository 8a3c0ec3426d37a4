//! Random spread for pauses: nodes that begin something together shall not go on in step.

use std::hash::{BuildHasher, RandomState};

/// A number from 0 to 1. Good enough to spread load, and for nothing else.
pub fn draw() -> f64 {
    // The standard library seeds every one from the kernel's randomness and counts on.
    let drawn = RandomState::new().hash_one(0u8);
    f64::from(u32::try_from(drawn >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_differ_and_lie_in_the_range() {
        let drawn: Vec<f64> = (0..100).map(|_| super::draw()).collect();
        assert!(drawn.iter().all(|own| (0.0..=1.0).contains(own)));
        let low = drawn.iter().filter(|own| **own < 0.5).count();
        assert!((10..90).contains(&low), "{drawn:?}");
    }
}
