//! Quantities such as `1Ki`, for sizes of buffers.

use super::tree::Tree;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A number with a suffix, written with the largest suffix that leaves it whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantity {
    /// In thousandths, which is as fine as anything here needs.
    milli: i128,
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Format {
    /// `1k`.
    #[default]
    Decimal,
    /// `1Ki`.
    Binary,
    /// `1e3`.
    Exponent,
}

const DECIMAL: [(&str, i128); 7] = [
    ("E", 1_000_000_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000),
    ("T", 1_000_000_000_000_000),
    ("G", 1_000_000_000_000),
    ("M", 1_000_000_000),
    ("k", 1_000_000),
    ("", 1_000),
];
const BINARY: [(&str, i128); 6] = [
    ("Ei", 1_000 << 60),
    ("Pi", 1_000 << 50),
    ("Ti", 1_000 << 40),
    ("Gi", 1_000 << 30),
    ("Mi", 1_000 << 20),
    ("Ki", 1_000 << 10),
];
/// Upstream's message for whatever is no quantity.
const REFUSED: &str = "quantities must match the regular expression \
                       '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

impl Quantity {
    /// Whether it is nothing at all.
    pub fn is_zero(self) -> bool {
        self.milli == 0
    }
}

impl FromStr for Quantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-'))
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (format, scale) = scale(suffix).ok_or(REFUSED)?;
        let milli = scaled(number, scale).ok_or(REFUSED)?;
        Ok(Self { milli, format })
    }
}

/// What a suffix multiplies by, in thousandths.
fn scale(suffix: &str) -> Option<(Format, i128)> {
    let named = |table: &[(&str, i128)]| {
        let found = table.iter().find(|(name, _)| *name == suffix);
        found.map(|(_, scale)| *scale)
    };
    if let Some(scale) = named(&BINARY) {
        return Some((Format::Binary, scale));
    }
    if let Some(scale) = named(&DECIMAL) {
        return Some((Format::Decimal, scale));
    }
    if suffix == "m" {
        return Some((Format::Decimal, 1));
    }
    let exponent: u32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((
        Format::Exponent,
        10_i128.checked_pow(exponent)?.checked_mul(1_000)?,
    ))
}

/// A decimal number times a scale; what is finer than a thousandth is rounded up.
fn scaled(number: &str, scale: i128) -> Option<i128> {
    let (negative, digits) = match number.as_bytes().first()? {
        b'-' => (true, &number[1..]),
        b'+' => (false, &number[1..]),
        _ => (false, number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = [whole, fraction].concat();
    if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let divisor = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let product = all.parse::<i128>().ok()?.checked_mul(scale)?;
    let milli = (product + divisor - 1) / divisor;
    Some(if negative { -milli } else { milli })
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.milli == 0 {
            return f.write_str("0");
        }
        let divides = |scale: i128| self.milli % scale == 0;
        match self.format {
            Format::Binary if divides(1_000) => {
                let found = BINARY.iter().find(|(_, scale)| divides(*scale));
                let (suffix, scale) = found.unwrap_or(&("", 1_000));
                write!(f, "{}{suffix}", self.milli / scale)
            }
            Format::Exponent if divides(1_000) => {
                let (mut number, mut exponent) = (self.milli / 1_000, 0);
                while number % 1_000 == 0 {
                    number /= 1_000;
                    exponent += 3;
                }
                match exponent {
                    0 => write!(f, "{number}"),
                    _ => write!(f, "{number}e{exponent}"),
                }
            }
            _ => match DECIMAL.iter().find(|(_, scale)| divides(*scale)) {
                Some((suffix, scale)) => write!(f, "{}{suffix}", self.milli / scale),
                None => write!(f, "{}m", self.milli),
            },
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Tree::deserialize(deserializer)? {
            Tree::Null => return Ok(Self::default()),
            Tree::Integer(number) => number.to_string(),
            Tree::Text(text) => text,
            other => {
                return Err(D::Error::custom(other.is_not("a quantity such as \"1Ki\"")));
            }
        };
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_with_the_largest_suffix_that_leaves_it_whole() {
        for (text, written) in [
            ("0", "0"),
            ("512", "512"),
            ("1000", "1k"),
            ("1024", "1024"),
            ("1Ki", "1Ki"),
            ("1024Ki", "1Mi"),
            ("1.5Gi", "1536Mi"),
            ("100Ki", "100Ki"),
            ("0.5Ki", "512"),
            ("1e3", "1e3"),
            ("12e4", "120e3"),
            ("0.5", "500m"),
            ("-3M", "-3M"),
        ] {
            let quantity: Quantity = text.parse().expect(text);
            assert_eq!(quantity.to_string(), written, "{text}");
        }
        for text in ["", "foo", "1x", "1.2.3", "-", "1KiB"] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }
}
