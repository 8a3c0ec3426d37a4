//! Clients that session affinity remembers in the rules that are going to be replaced.
//!
//! How many there are is the clients' choice, whose addresses may be forged: up
//! to 65,535 for each endpoint. So only the [`LIMIT`] that would be remembered the
//! longest are carried over, and no more than those are ever held.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;

/// How many clients of one family are carried over.
const LIMIT: usize = 100_000;

/// Clients of sets of the rules, those that will be remembered the longest.
#[derive(Debug)]
pub struct RememberedClients {
    limit: usize,
    /// The names of the sets that had clients.
    sets: Vec<Box<str>>,
    /// The one with the least time left on top.
    kept: BinaryHeap<Reverse<Remembered>>,
    seen: u64,
}

/// A client in one of the sets. Ordered by the time that it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Remembered {
    /// In milliseconds.
    remaining: u64,
    /// Where the set's name is.
    set: u32,
    address: IpAddr,
}

impl Default for RememberedClients {
    fn default() -> Self {
        Self::with_limit(LIMIT)
    }
}

impl RememberedClients {
    pub(crate) fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            sets: Vec::new(),
            kept: BinaryHeap::new(),
            seen: 0,
        }
    }

    /// Takes in the clients of a set, each with the time for which it will be
    /// remembered, in milliseconds.
    pub fn add_set(&mut self, name: &str, clients: impl IntoIterator<Item = (IpAddr, u64)>) {
        let Ok(set) = u32::try_from(self.sets.len()) else {
            return;
        };
        let mut any = false;
        for (address, remaining) in clients {
            self.seen += 1;
            let client = Remembered {
                remaining,
                set,
                address,
            };
            if self.kept.len() >= self.limit {
                let least = self.kept.peek();
                if least.is_none_or(|Reverse(least)| *least >= client) {
                    continue;
                }
                self.kept.pop();
            }
            self.kept.push(Reverse(client));
            any = true;
        }
        if any {
            self.sets.push(name.into());
        }
    }

    /// How many were taken in, and how many of them are kept.
    pub fn counts(&self) -> (u64, usize) {
        (self.seen, self.kept.len())
    }

    /// The sets that had clients, in the order in which they came, each with those that are kept:
    /// address and remaining time in milliseconds.
    pub(crate) fn into_sets(self) -> impl Iterator<Item = (Box<str>, Vec<(IpAddr, u64)>)> {
        let mut by_number: HashMap<u32, Vec<(IpAddr, u64)>> = HashMap::new();
        for Reverse(client) in self.kept {
            let clients = by_number.entry(client.set).or_default();
            clients.push((client.address, client.remaining));
        }
        let numbered = (0..).zip(self.sets);
        numbered.filter_map(move |(number, name)| Some((name, by_number.remove(&number)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn no_more_than_the_limit_is_held() {
        let mut clients = RememberedClients::default();
        for set in 0..3 {
            let own = (0u32..65_535).map(|n| (Ipv4Addr::from(n).into(), u64::from(n % 1000)));
            clients.add_set(&format!("affinity-{set}"), own);
        }
        assert_eq!(clients.counts(), (196_605, LIMIT));
        assert!(clients.kept.capacity() <= 2 * LIMIT);
    }
}
