//! Which rows are shown, and in which order.

use super::sample::Row;
use std::cmp::Ordering;
use std::fmt;

/// What `--sort` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// New connections per second.
    #[default]
    New,
    /// Open connections.
    Open,
    /// Bytes per second.
    Bytes,
    /// What is dropped or rejected, per second.
    Drops,
    /// The busiest endpoint's connections by the mean.
    Spread,
    /// Namespace, name and port.
    Name,
}

impl Order {
    /// All, by the words of the flag.
    pub const ALL: [(&'static str, Self); 6] = [
        ("new", Self::New),
        ("open", Self::Open),
        ("bytes", Self::Bytes),
        ("drops", Self::Drops),
        ("spread", Self::Spread),
        ("name", Self::Name),
    ];

    /// The largest first; equals by name, so that rows stay where they are.
    pub(super) fn sort(self, rows: &mut [Row]) {
        rows.sort_unstable_by(|left, right| {
            let largest_first = self.value(right).total_cmp(&self.value(left));
            largest_first.then_with(|| by_name(left, right))
        });
    }

    fn value(self, row: &Row) -> f64 {
        match self {
            Self::New => row.rates.new,
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
            Self::Open => row.rates.open as f64,
            Self::Bytes => row.rates.bytes,
            // One whose rate nobody knows comes before those of which nothing is refused.
            Self::Drops => {
                let drops = row.drops.as_ref();
                drops.map_or(-1.0, |drops| drops.per_second.unwrap_or(0.0))
            }
            Self::Spread => row.spread.unwrap_or(0.0),
            Self::Name => 0.0,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = Self::ALL.iter().find(|(_, order)| order == self);
        f.write_str(own.map_or("", |(name, _)| name))
    }
}

fn by_name(left: &Row, right: &Row) -> Ordering {
    let key = |row: &Row| (row.number, row.protocol);
    left.service
        .cmp(&right.service)
        .then_with(|| key(left).cmp(&key(right)))
}
