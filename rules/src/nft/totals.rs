//! What a family's tables counted together. A table that is replaced takes its counts along, and
//! the next one begins at zero; whoever shows totals has to add up.

use super::ruleset::Counter;
use crate::model::Frontend;
use foldhash::HashMap;
use std::collections::BTreeMap;

/// What a table had counted when it was read, from its beginning on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The kernel's number of the table; a later table has a greater one.
    pub table: u64,
    /// Packets of each counter.
    pub counters: BTreeMap<Counter, u64>,
    /// Connections to each frontend that had any, a node port's under each address that it was
    /// reached by.
    pub connections: Vec<(Frontend, u64)>,
}

/// What came since the reading before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Increments {
    /// Packets of each counter, zeros too.
    pub counters: BTreeMap<Counter, u64>,
    /// Connections to each frontend that had any since.
    pub connections: Vec<(Frontend, u64)>,
}

/// The readings of one family so far. The first one is where counting begins: what an earlier
/// process has told of it nobody knows.
///
/// ```
/// use rules::nft::ruleset::Counter;
/// use rules::nft::totals::{Reading, Totals};
///
/// let mut totals = Totals::default();
/// let mut count = |table, packets| {
///     let counters = [(Counter::WrongPort, packets)].into();
///     let increments = totals.take(&Reading { table, counters, connections: Vec::new() });
///     increments.counters.get(&Counter::WrongPort).copied()
/// };
/// assert_eq!(count(1, 70), None, "whatever an earlier process has told of that");
/// assert_eq!(count(1, 72), Some(2));
/// assert_eq!(count(2, 5), Some(5), "another table");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Totals {
    last: Option<Last>,
}

#[derive(Clone, Debug, Default)]
struct Last {
    table: u64,
    counters: BTreeMap<Counter, u64>,
    connections: HashMap<Frontend, u64>,
}

impl Totals {
    /// There is no table: all that the next one counts is new.
    pub fn nothing(&mut self) {
        self.last.get_or_insert_default();
    }

    /// Takes in a reading. One of a table that is known to be gone says nothing.
    pub fn take(&mut self, reading: &Reading) -> Increments {
        let begins = self.last.is_none();
        let last = self.last.get_or_insert_default();
        if reading.table < last.table {
            return Increments::default();
        }
        if reading.table > last.table {
            *last = Last {
                table: reading.table,
                ..Last::default()
            };
        }
        let mut increments = Increments::default();
        for (counter, now) in &reading.counters {
            let before = last.counters.insert(*counter, *now).unwrap_or(0);
            increments.counters.insert(*counter, since(before, *now));
        }
        for (frontend, now) in &reading.connections {
            let before = last.connections.insert(*frontend, *now).unwrap_or(0);
            let new = since(before, *now);
            if new > 0 {
                increments.connections.push((*frontend, new));
            }
        }
        match begins {
            true => Increments::default(),
            false => increments,
        }
    }
}

/// Less than before is what came since somebody set it to zero (`nft reset counters`).
fn since(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;
    use proptest::prelude::*;

    fn frontend(port: u16) -> Frontend {
        Frontend {
            address: Some("10.96.0.1".parse().expect("an address")),
            protocol: Protocol::Tcp,
            port,
        }
    }

    fn reading(table: u64, drops: u64, connections: &[(u16, u64)]) -> Reading {
        let connections = connections.iter();
        Reading {
            table,
            counters: [(Counter::SourceRange, drops)].into(),
            connections: connections
                .map(|(port, count)| (frontend(*port), *count))
                .collect(),
        }
    }

    #[test]
    fn what_came_is_told_whatever_became_of_the_table() {
        let mut totals = Totals::default();
        let mut rows = vec![
            (
                "a table of an earlier process",
                reading(7, 9, &[(1, 4)]),
                None,
            ),
            (
                "the first of this one",
                reading(8, 2, &[(1, 3), (2, 1)]),
                Some((2, vec![(1, 3), (2, 1)])),
            ),
            (
                "nothing new",
                reading(8, 2, &[(1, 3), (2, 1)]),
                Some((0, vec![])),
            ),
            (
                "more",
                reading(8, 5, &[(1, 3), (2, 6)]),
                Some((3, vec![(2, 5)])),
            ),
            (
                "late, from a table that is gone",
                reading(7, 50, &[(1, 50)]),
                None,
            ),
            (
                "set to zero by hand",
                reading(8, 1, &[(1, 3), (2, 2)]),
                Some((1, vec![(2, 2)])),
            ),
            (
                "replaced, and more than before",
                reading(9, 4, &[(2, 8)]),
                Some((4, vec![(2, 8)])),
            ),
        ];
        for (what, reading, expected) in rows.drain(..) {
            let found = totals.take(&reading);
            let expected = expected.map_or_else(Increments::default, |(drops, connections)| {
                let connections = connections.into_iter();
                Increments {
                    counters: [(Counter::SourceRange, drops)].into(),
                    connections: connections
                        .map(|(port, count)| (frontend(port), count))
                        .collect(),
                }
            });
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn where_there_was_no_table_the_first_one_counts() {
        let mut totals = Totals::default();
        totals.nothing();
        let found = totals.take(&reading(1, 3, &[]));
        assert_eq!(found.counters, [(Counter::SourceRange, 3)].into());
    }

    proptest! {
        /// Whenever it is looked at, as long as each table is looked at last before it goes, the
        /// sum is what happened.
        #[test]
        fn the_sum_is_what_happened(tables in prop::collection::vec(prop::collection::vec((0..9u64, any::<bool>()), 1..8), 1..6)) {
            let mut totals = Totals::default();
            totals.nothing();
            let (mut happened, mut told) = (0, 0);
            for (table, events) in (1..).zip(tables) {
                let mut counted = 0;
                let last = events.len() - 1;
                for (at, (packets, looked)) in events.into_iter().enumerate() {
                    counted += packets;
                    if looked || at == last {
                        let found = totals.take(&reading(table, counted, &[(1, counted)]));
                        told += found.counters[&Counter::SourceRange];
                        let services: u64 = found.connections.iter().map(|(_, new)| new).sum();
                        prop_assert_eq!(services, found.counters[&Counter::SourceRange]);
                    }
                }
                happened += counted;
            }
            prop_assert_eq!(told, happened);
        }
    }
}
