//! Clients that session affinity remembers, carried from a table over into the
//! one that replaces it: a restart of the proxy, or the change from upstream's
//! kube-proxy to this one, sends nobody to another endpoint.

use crate::ruleset::{AffinitySet, Client};
use std::collections::HashMap;
use std::net::IpAddr;

/// A client in one of a table's sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedClient {
    /// The set's name.
    pub set: String,
    /// The client's address.
    pub address: IpAddr,
    /// For how long it will be remembered, in milliseconds.
    pub remaining: u64,
}

/// All clients of a table, by set.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    by_set: HashMap<String, Vec<(IpAddr, u64)>>,
}

impl Clients {
    pub(crate) fn new(clients: Vec<RememberedClient>) -> Self {
        let mut by_set: HashMap<String, Vec<(IpAddr, u64)>> = HashMap::new();
        for client in clients {
            let Some(key) = key(&client.set) else {
                continue;
            };
            let own = match by_set.get_mut(key) {
                Some(own) => own,
                None => by_set.entry(key.to_owned()).or_default(),
            };
            own.push((client.address, client.remaining));
        }
        Self { by_set }
    }

    /// The clients of an endpoint of a port with this name, none of them
    /// remembered for longer than the Service says now.
    pub(crate) fn of(&self, set: &AffinitySet, port_name: &str, seconds: u32) -> Vec<Client> {
        let own = key(&set.to_string()).and_then(|own| self.by_set.get(own));
        let found = own.or_else(|| self.by_set.get(&upstream_key(set, port_name)));
        let timeout = u64::from(seconds) * 1000;
        let clients = found.into_iter().flatten().take(AffinitySet::CLIENTS_MAX);
        clients
            .map(|(address, remaining)| Client {
                address: *address,
                timeout,
                remaining: (*remaining).clamp(1, timeout),
            })
            .collect()
    }
}

/// What names an endpoint's set in both proxies' tables: upstream begins with
/// a hash of eight base32 digits, which no namespace can.
fn key(set: &str) -> Option<&str> {
    const HASH: usize = 8;
    let rest = set.strip_prefix("affinity-")?;
    let is_hash = |hash: &str| {
        let digit = |c: char| c.is_ascii_uppercase() || ('2'..='7').contains(&c);
        hash.chars().all(digit)
    };
    match (rest.get(..HASH), rest.get(HASH..)) {
        (Some(hash), Some(tail)) if is_hash(hash) => tail.strip_prefix('-'),
        _ => Some(rest),
    }
}

/// The same as upstream names it (reference: section 5.3): by the port's name
/// where ours has its number.
fn upstream_key(set: &AffinitySet, port_name: &str) -> String {
    let own = set.to_string();
    let own = key(&own).unwrap_or_default();
    let (port, endpoint) = own.rsplit_once("__").unwrap_or((own, ""));
    let (service, _) = port.rsplit_once('/').unwrap_or((port, ""));
    format!("{service}/{port_name}__{endpoint}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Backend, ObjectName, Protocol};
    use crate::ruleset::PortName;

    #[test]
    fn sets_of_both_proxies_are_found() {
        let backend = Backend {
            address: "fd00:10:244::7".parse().expect("an address"),
            port: 8080,
        };
        let service = ObjectName::new("default", "web");
        let set = AffinitySet {
            port: PortName::new(&service, Protocol::Tcp, 80),
            backend,
        };
        let client = |set: &str, last: u8| RememberedClient {
            set: set.to_owned(),
            address: [203, 0, 113, last].into(),
            remaining: 5_000_000,
        };
        let of = |clients: Vec<RememberedClient>, seconds| {
            let found = Clients::new(clients).of(&set, "http", seconds);
            let found = found.into_iter().map(|own| (own.address, own.remaining));
            found.collect::<Vec<_>>()
        };
        let ours = client(&set.to_string(), 1);
        let theirs = client(
            "affinity-A2B3C4D5-default/web/tcp/http__fd00.10.244..7/8080",
            2,
        );
        let other = client("affinity-default/web/tcp/81__fd00.10.244..7/8080", 3);
        let unknown = client("something-else", 4);
        let first: IpAddr = [203, 0, 113, 1].into();
        let second: IpAddr = [203, 0, 113, 2].into();
        assert_eq!(of(vec![ours, other, unknown], 10_800), [(first, 5_000_000)]);
        assert_eq!(
            of(vec![theirs], 60),
            [(second, 60_000)],
            "a shorter timeout"
        );
    }
}
