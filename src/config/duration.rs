//! Durations as Go writes them.

use super::tree::Tree;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Nanoseconds, with a sign; `1h0m0s` as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(i64);

const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    // Micro sign and Greek mu.
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl GoDuration {
    /// So many nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// So many seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds * 1_000_000_000)
    }

    /// The nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The whole seconds.
    pub const fn seconds(self) -> i64 {
        self.0 / 1_000_000_000
    }

    /// As a length of time; one below zero is none.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

impl FromStr for GoDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("time: invalid duration {text:?}");
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut sum: i128 = 0;
        while !rest.is_empty() {
            let number_end = rest
                .find(|c: char| c != '.' && !c.is_ascii_digit())
                .unwrap_or(rest.len());
            let (number, after) = rest.split_at(number_end);
            let unit_end = after
                .find(|c: char| c == '.' || c.is_ascii_digit())
                .unwrap_or(after.len());
            let (unit, after) = after.split_at(unit_end);
            if !number.bytes().any(|b| b.is_ascii_digit()) || number.matches('.').count() > 1 {
                return Err(invalid());
            }
            if unit.is_empty() {
                return Err(format!("time: missing unit in duration {text:?}"));
            }
            let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
                return Err(format!("time: unknown unit {unit:?} in duration {text:?}"));
            };
            sum += nanos(number, i128::from(*scale)).ok_or_else(invalid)?;
            rest = after;
        }
        let sum = if negative { -sum } else { sum };
        i64::try_from(sum).map(Self).map_err(|_| invalid())
    }
}

/// A decimal number of a unit in nanoseconds, what is smaller cut off.
fn nanos(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut sum = whole.checked_mul(scale)?;
    let mut part = scale;
    for digit in fraction.bytes() {
        let digit = i128::from(digit - b'0');
        sum += digit * part / 10;
        // Digits below a nanosecond of the unit add nothing.
        part /= 10;
    }
    Some(sum)
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let nanos = self.0.unsigned_abs();
        if nanos < 1_000_000_000 {
            let (unit, scale, digits) = match nanos {
                0..1_000 => ("ns", 1, 0),
                1_000..1_000_000 => ("\u{b5}s", 1_000, 3),
                _ => ("ms", 1_000_000, 6),
            };
            return write!(f, "{}{unit}", decimal(nanos, scale, digits));
        }
        let minutes = nanos / 60_000_000_000;
        let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000, 9);
        match (minutes / 60, minutes % 60) {
            (0, 0) => write!(f, "{seconds}s"),
            (0, minutes) => write!(f, "{minutes}m{seconds}s"),
            (hours, minutes) => write!(f, "{hours}h{minutes}m{seconds}s"),
        }
    }
}

/// `value / scale` without closing zeros.
fn decimal(value: u64, scale: u64, digits: usize) -> String {
    let fraction = format!("{:0digits$}", value % scale);
    let fraction = fraction.trim_end_matches('0');
    if digits == 0 || fraction.is_empty() {
        (value / scale).to_string()
    } else {
        format!("{}.{fraction}", value / scale)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Tree::deserialize(deserializer)? {
            Tree::Null => Ok(Self::default()),
            Tree::Text(text) => text.parse().map_err(D::Error::custom),
            other => Err(D::Error::custom(other.is_not("a duration such as \"30s\""))),
        }
    }
}

/// A duration that a number of nanoseconds may stand for; it is written as it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeOrMetaDuration {
    /// How long.
    pub duration: GoDuration,
    /// It was read as a number.
    pub is_number: bool,
}

impl From<GoDuration> for TimeOrMetaDuration {
    fn from(duration: GoDuration) -> Self {
        Self {
            duration,
            is_number: false,
        }
    }
}

impl Serialize for TimeOrMetaDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_number {
            self.duration.nanos().serialize(serializer)
        } else {
            self.duration.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for TimeOrMetaDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const WHAT: &str = "a duration such as \"5s\" or a number of nanoseconds";
        let tree = Tree::deserialize(deserializer)?;
        match &tree {
            Tree::Null => Ok(Self::default()),
            Tree::Text(text) => text.parse().map(GoDuration::into).map_err(D::Error::custom),
            number => Ok(Self {
                duration: number
                    .integer()
                    .map(GoDuration)
                    .ok_or_else(|| D::Error::custom(number.is_not(WHAT)))?,
                is_number: true,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_go_does() {
        for (text, written) in [
            ("0", "0s"),
            ("0s", "0s"),
            ("30s", "30s"),
            ("90s", "1m30s"),
            ("15m", "15m0s"),
            ("24h", "24h0m0s"),
            ("1h30m", "1h30m0s"),
            ("1.5s", "1.5s"),
            (".5s", "500ms"),
            ("100ms", "100ms"),
            ("1500us", "1.5ms"),
            ("1us", "1\u{b5}s"),
            ("3ns", "3ns"),
            ("-1m", "-1m0s"),
            ("+2m", "2m0s"),
            ("1h0.001s", "1h0m0.001s"),
        ] {
            let duration: GoDuration = text.parse().expect(text);
            assert_eq!(duration.to_string(), written, "{text}");
            assert_eq!(written.parse(), Ok(duration), "{written}");
        }
    }

    #[test]
    fn refused_as_go_does() {
        for (text, says) in [
            ("", "time: invalid duration \"\""),
            ("5", "time: missing unit in duration \"5\""),
            ("foo", "time: invalid duration \"foo\""),
            ("1.2.3s", "time: invalid duration"),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            ("-", "time: invalid duration \"-\""),
            ("99999999h", "time: invalid duration"),
        ] {
            let error = text.parse::<GoDuration>().expect_err(text);
            assert!(error.starts_with(says), "{text}: {error}");
        }
    }
}
