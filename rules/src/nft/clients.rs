//! Clients that session affinity remembers, carried from a table over into the
//! one that replaces it: a restart of the proxy, or the change from upstream's
//! kube-proxy to this one, sends nobody to another endpoint.

use super::ruleset::{AffinitySet, Client};
use crate::RememberedClients;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// All clients of a table, by set.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    by_set: HashMap<String, Vec<(IpAddr, u64)>>,
}

impl Clients {
    pub(crate) fn new(clients: RememberedClients) -> Self {
        let mut by_set: HashMap<String, Vec<(IpAddr, u64)>> = HashMap::new();
        for (name, clients) in clients.into_sets() {
            if let Some(key) = key(&name) {
                by_set.entry(key.to_owned()).or_default().extend(clients);
            }
        }
        Self { by_set }
    }

    /// The clients of an endpoint of a port with this name, none of them
    /// remembered for longer than the Service says now. Each is there once and of
    /// the endpoint's family, whatever the table was made to hold: the kernel would
    /// refuse the others, and all rules with them.
    pub(crate) fn of(&self, set: &AffinitySet, port_name: &str, seconds: u32) -> Vec<Client> {
        let own = key(&set.to_string()).and_then(|own| self.by_set.get(own));
        let found = own.or_else(|| self.by_set.get(&upstream_key(set, port_name)));
        let timeout = u64::from(seconds) * 1000;
        let mut seen = HashSet::new();
        let is_of_family = |address: &IpAddr| address.is_ipv4() == set.backend.address.is_ipv4();
        let clients = found.into_iter().flatten();
        clients
            .filter(|(address, _)| is_of_family(address) && seen.insert(*address))
            .take(AffinitySet::CLIENTS_MAX)
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

/// The same as upstream names it (docs/reference.md#session-affinity): by the port's name
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
    use super::super::ruleset::PortName;
    use super::*;
    use crate::model::{EndpointAddr, ObjectName, Protocol};
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn sets_of_both_proxies_are_found() {
        let backend = EndpointAddr {
            address: "fd00:10:244::7".parse().expect("an address"),
            port: 8080,
        };
        let service = ObjectName::new("default", "web");
        let set = AffinitySet {
            port: PortName::new(&service, Protocol::Tcp, 80),
            backend,
        };
        let client =
            |set: &str, last: u16| (set.to_owned(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, last].into());
        let of = |sets: Vec<(String, IpAddr)>, seconds| {
            let mut clients = RememberedClients::default();
            for (set, address) in sets {
                clients.add_set(&set, [(address, 5_000_000)]);
            }
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
        let first: IpAddr = [0x2001u16, 0xdb8, 0, 0, 0, 0, 0, 1].into();
        let second: IpAddr = [0x2001u16, 0xdb8, 0, 0, 0, 0, 0, 2].into();
        assert_eq!(of(vec![ours, other, unknown], 10_800), [(first, 5_000_000)]);
        assert_eq!(
            of(vec![theirs], 60),
            [(second, 60_000)],
            "a shorter timeout"
        );
    }

    /// A list that changes while it is read may have a client twice, and others may put sets into
    /// the table.
    #[test]
    fn each_client_is_there_once_and_of_the_endpoints_family() {
        let backend = EndpointAddr {
            address: [10, 244, 0, 7].into(),
            port: 8080,
        };
        let service = ObjectName::new("default", "web");
        let set = AffinitySet {
            port: PortName::new(&service, Protocol::Tcp, 80),
            backend,
        };
        let name = set.to_string();
        let other = name.replacen("affinity-", "affinity-A2B3C4D5-", 1);
        let alien: IpAddr = std::net::Ipv6Addr::LOCALHOST.into();
        let mut clients = RememberedClients::default();
        clients.add_set(&name, [(address(1), 9), (alien, 8), (address(1), 9)]);
        clients.add_set(&other, [(address(1), 7), (address(2), 6)]);
        let found = Clients::new(clients).of(&set, "http", 60);
        let mut found: Vec<IpAddr> = found.iter().map(|own| own.address).collect();
        found.sort_unstable();
        assert_eq!(found, [address(1), address(2)]);
    }

    /// A client by its number, among the sets' clients.
    fn address(n: usize) -> IpAddr {
        let n = u32::try_from(n).expect("few clients");
        std::net::Ipv4Addr::from(n).into()
    }

    proptest! {
        /// Whatever sets there are, the ones with the longest time left are kept, and
        /// never more of them than the limit.
        #[test]
        fn the_longest_are_kept(
            sets in vec(vec(0u64..50, 0..40), 0..8),
            limit in 0usize..60,
        ) {
            let mut clients = RememberedClients::with_limit(limit);
            let mut all = Vec::new();
            for (number, times) in sets.iter().enumerate() {
                let name = format!("affinity-ns/s{number}/tcp/80__10.0.0.1/80");
                let own = times.iter().enumerate().map(|(n, time)| (address(n), *time));
                clients.add_set(&name, own.inspect(|own| all.push(own.1)));
                let held = clients.counts().1;
                prop_assert!(held <= limit, "{} are held", held);
            }
            all.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert_eq!(clients.counts(), (all.len() as u64, all.len().min(limit)));
            all.truncate(limit);
            let by_set = Clients::new(clients).by_set;
            let mut kept: Vec<u64> = Vec::new();
            for (key, own) in by_set {
                // Each is in the set that it came from.
                let number = key.trim_start_matches("ns/s").split_once('/').expect("a number");
                let times = &sets[number.0.parse::<usize>().expect("a number")];
                for (address, time) in own {
                    let IpAddr::V4(address) = address else { panic!("IPv4 it was") };
                    let n = usize::try_from(u32::from(address)).expect("a place");
                    prop_assert_eq!(times[n], time);
                    kept.push(time);
                }
            }
            kept.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert_eq!(kept, all);
        }
    }
}
