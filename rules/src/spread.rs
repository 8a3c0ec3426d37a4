//! Whether counts are what shares let one expect: Pearson's test of goodness of fit.

use schemars::JsonSchema;
use serde::Serialize;
use statrs::function::gamma::checked_gamma_ur;

/// Expected counts below this make the test say more than it knows (Cochran's rule).
const LEAST_EXPECTED: f64 = 5.0;

/// How well counts fit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fit {
    /// Pearson's sum: of each count, its squared distance from the expected one, by that one.
    pub chi_square: f64,
    /// One less than there are counts.
    pub degrees_of_freedom: usize,
    /// How likely chance alone leads as far away, or farther: from 0 to 1.
    pub p: f64,
}

impl Fit {
    /// Of counts and their expected shares, which count in relation to each other. `None` where
    /// nothing can be said: one share, none, or too few counted for five expected in each. A
    /// share of zero is no share, so whoever has one is to be left out.
    pub fn of(counts: &[(u64, f64)]) -> Option<Self> {
        let degrees_of_freedom = counts.len().checked_sub(1).filter(|df| *df > 0)?;
        let total = counts.iter().map(|(count, _)| number(*count)).sum::<f64>();
        let shares = counts.iter().map(|(_, share)| *share).sum::<f64>();
        let mut chi_square = 0.0;
        for (count, share) in counts {
            let expected = total * share / shares;
            if expected.is_nan() || expected < LEAST_EXPECTED {
                return None;
            }
            chi_square += (number(*count) - expected).powi(2) / expected;
        }
        let p = survival(degrees_of_freedom, chi_square)?;
        Some(Self {
            chi_square,
            degrees_of_freedom,
            p,
        })
    }

    /// The verdict in words.
    pub fn words(&self) -> &'static str {
        match self.p {
            p if p < 0.001 => "not by chance: somebody gets more than expected",
            p if p < 0.05 => "seldom by chance: call more often to be sure",
            _ => "as chance has it",
        }
    }
}

/// How much of the chi-square distribution lies beyond a value.
fn survival(degrees_of_freedom: usize, chi_square: f64) -> Option<f64> {
    if chi_square <= 0.0 {
        return Some(1.0);
    }
    let half = f64::from(u32::try_from(degrees_of_freedom).ok()?) / 2.0;
    let beyond = checked_gamma_ur(half, chi_square / 2.0).ok()?;
    Some(beyond.clamp(0.0, 1.0))
}

/// Counts stay far below the integers that a float has not.
#[allow(clippy::cast_precision_loss)]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the usual tables: chi-square at the 5 % and 0.1 % points.
    #[test]
    fn the_tables_values() {
        for (df, chi_square, p) in [
            (1, 3.841, 0.05),
            (2, 5.991, 0.05),
            (5, 11.070, 0.05),
            (10, 18.307, 0.05),
            (99, 123.225, 0.05),
            (1, 10.828, 0.001),
            (5, 20.515, 0.001),
        ] {
            let found = survival(df, chi_square).expect("a number");
            assert!((found - p).abs() < p / 200.0, "{df} {chi_square}: {found}");
        }
    }

    #[test]
    fn counts_under_shares() {
        let equal = Fit::of(&[(1000, 1.0), (1000, 1.0), (1000, 1.0)]).expect("a fit");
        assert_eq!((equal.chi_square, equal.degrees_of_freedom), (0.0, 2));
        assert!((equal.p - 1.0).abs() < 1e-9);
        // The guides' case: two nodes, one pod and two pods.
        let counts = [(1500, 1.0 / 2.0), (750, 1.0 / 4.0), (750, 1.0 / 4.0)];
        assert_eq!(Fit::of(&counts).expect("a fit").words(), equal.words());
        let equal = counts.map(|(count, _)| (count, 1.0));
        let unequal = Fit::of(&equal).expect("a fit");
        assert_eq!(unequal.chi_square, 375.0);
        assert!(unequal.p < 1e-9);
        assert!(unequal.words().starts_with("not by chance"));
        let seldom = Fit::of(&[(1050, 1.0), (950, 1.0)]).expect("a fit");
        assert!(seldom.words().starts_with("seldom"), "{seldom:?}");
    }

    #[test]
    fn nothing_is_said_of_too_little() {
        for counts in [
            &[][..],
            &[(3000, 1.0)],
            &[(4, 1.0), (4, 1.0)],
            &[(0, 1.0), (0, 1.0)],
            &[(10, 0.0), (10, 1.0)],
            &[(10, f64::NAN), (10, 1.0)],
        ] {
            assert_eq!(Fit::of(counts), None, "{counts:?}");
        }
    }
}
