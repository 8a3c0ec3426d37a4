//! Counts of what calls came to. Names are whatever the peer says, so there is a bound on how
//! long and how many they are.

use crate::echo::{Echo, End};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Different keys of one count; what comes beyond them counts as `others`.
const KEYS: usize = 1000;
/// Characters of a name: as many as Kubernetes lets one have.
const NAME: usize = 253;
/// Characters of what went wrong.
const EXAMPLE: usize = 500;

/// An answer, and from which address it was asked for.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) echo: Echo,
    pub(super) own: End,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// A few words, by which they are counted.
    pub(super) kind: String,
    /// What exactly.
    pub(super) what: String,
}

impl Failure {
    pub(super) fn new(kind: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            what: short(&what.into(), EXAMPLE),
        }
    }
}

/// Who answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Answerer {
    pub(super) namespace: Option<String>,
    pub(super) pod: Option<String>,
    pub(super) node: Option<String>,
    /// `None` for those of whom there were too many.
    pub(super) address: Option<End>,
}

/// Whose address was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Client {
    /// As the connection came from.
    pub(super) address: IpAddr,
    /// Whether that is what it was sent from.
    pub(super) kept: bool,
    /// What PROXY protocol claimed.
    pub(super) claimed: Option<IpAddr>,
    /// What `X-Forwarded-For` claimed.
    pub(super) forwarded_for: Option<String>,
}

/// Counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) answers: BTreeMap<Answerer, u64>,
    /// `None` for those of whom there were too many.
    pub(super) clients: BTreeMap<Option<Client>, u64>,
    /// From which addresses of this machine.
    pub(super) own: BTreeMap<Option<IpAddr>, u64>,
    /// By kind, with one of them.
    pub(super) failures: BTreeMap<String, (u64, String)>,
}

impl Tally {
    /// Counts a call.
    pub(super) fn count(&mut self, result: Result<Answered, Failure>) {
        match result {
            Ok(Answered { echo, own }) => {
                let name = |name: Option<String>| name.map(|name| short(&name, NAME));
                let answerer = Answerer {
                    namespace: name(echo.identity.namespace),
                    pod: name(echo.identity.pod),
                    node: name(echo.identity.node),
                    address: Some(echo.local),
                };
                let proxied = echo.claims.proxy_protocol.and_then(|claim| claim.source);
                let forwarded = echo.claims.x_forwarded_for.join(", ");
                let client = Client {
                    address: echo.remote.address,
                    kept: echo.remote.address == own.address,
                    claimed: proxied.map(|end| end.address),
                    forwarded_for: (!forwarded.is_empty()).then(|| short(&forwarded, NAME)),
                };
                add(&mut self.answers, answerer, 1);
                add(&mut self.clients, Some(client), 1);
                add(&mut self.own, Some(own.address), 1);
            }
            Err(Failure { kind, what }) => self.fail(kind, 1, what),
        }
    }

    fn fail(&mut self, kind: String, times: u64, what: String) {
        // There are as many kinds as statuses of HTTP at most.
        self.failures.entry(kind).or_insert((0, what)).0 += times;
    }

    /// Adds another's counts.
    pub(super) fn merge(&mut self, other: Self) {
        for (answerer, times) in other.answers {
            add(&mut self.answers, answerer, times);
        }
        for (client, times) in other.clients {
            add(&mut self.clients, client, times);
        }
        for (own, times) in other.own {
            add(&mut self.own, own, times);
        }
        for (kind, (times, what)) in other.failures {
            self.fail(kind, times, what);
        }
    }

    /// Calls that were answered.
    pub(super) fn answered(&self) -> u64 {
        self.answers.values().sum()
    }

    /// Calls that were not.
    pub(super) fn failed(&self) -> u64 {
        self.failures.values().map(|(times, _)| times).sum()
    }
}

fn add<K: Ord + Default>(counts: &mut BTreeMap<K, u64>, key: K, times: u64) {
    let key = match counts.contains_key(&key) || counts.len() < KEYS {
        true => key,
        false => K::default(),
    };
    *counts.entry(key).or_default() += times;
}

fn short(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_peers_make_up_is_bounded() {
        let mut counts: BTreeMap<Option<usize>, u64> = BTreeMap::new();
        for number in 0..10 * KEYS {
            add(&mut counts, Some(number), 1);
            add(&mut counts, Some(0), 1);
        }
        assert_eq!(counts.len(), KEYS + 1);
        assert_eq!(counts.values().sum::<u64>(), 20 * KEYS as u64);
        assert_eq!(counts[&Some(0)], 1 + 10 * KEYS as u64);
        assert_eq!(short("äöü", 2), "äö…");
        assert_eq!(short("äö", 2), "äö");
    }
}
