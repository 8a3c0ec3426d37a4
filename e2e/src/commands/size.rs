//! Sizes of clusters, as the benchmarks' command lines name them.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Services, and endpoints of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) services: usize,
    pub(crate) endpoints: usize,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As one text, so that a width is kept.
        f.pad(&format!("{} × {}", self.services, self.endpoints))
    }
}

impl FromStr for Size {
    type Err = anyhow::Error;

    /// Reads a size such as `10000x10`.
    fn from_str(text: &str) -> Result<Self> {
        let positive = |number: &str| number.parse().ok().filter(|number| *number > 0);
        text.split_once('x')
            .and_then(|(services, endpoints)| {
                Some(Self {
                    services: positive(services)?,
                    endpoints: positive(endpoints)?,
                })
            })
            .context("not SERVICESxENDPOINTS, such as 10000x10")
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn both_numbers_are_positive() {
        let size: Size = "1000x10".parse().expect("a size");
        assert_eq!((size.services, size.endpoints), (1000, 10));
        assert_eq!(format!("{size:>10}"), " 1000 × 10");
        for text in ["1000", "0x10", "10x0", "x", "10x-1", "ax1"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
