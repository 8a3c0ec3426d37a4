//! Sets of sources in the kernel: whatever the ranges are, and whatever they
//! were before, they hold what they should, to the last address.

use super::build;
use super::listing::Node;
use e2e::Namespace;
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::TestRunner;
use rules::model::{Family, Protocol, Service, ServicePort};
use rules::nft::ruleset::Op;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Ranges that overlap, adjoin, halve each other, begin at the first address
/// and end at the last.
const V4: &[&str] = &[
    "0.0.0.0/1",
    "1.0.0.0/8",
    "10.0.0.0/15",
    "10.0.0.0/16",
    "10.1.0.0/16",
    "10.1.0.0/17",
    "10.1.128.0/17",
    "10.2.0.0/15",
    "10.4.0.0/32",
    "10.4.0.1/32",
    "10.4.0.2/32",
    "10.4.0.3/32",
    "192.0.2.0/31",
    "128.0.0.0/1",
    "203.0.113.255/32",
    "203.0.114.0/24",
    "223.255.255.255/32",
    "240.0.0.0/4",
    "255.255.255.255/32",
];
const V6: &[&str] = &[
    "::/1",
    "::/64",
    "fd00::/8",
    "fd00:1::/32",
    "fd00:1::/33",
    "fd00:1:8000::/33",
    "fd00:2::/31",
    "2001:db8::/128",
    "2001:db8::1/128",
    "2001:db8::2/127",
    "8000::/1",
    "fe00::/8",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
    "ff00::/8",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
];

fn balancer(family: Family) -> IpAddr {
    match family {
        Family::V4 => [198, 51, 100, 1].into(),
        Family::V6 => "2001:db8:1::1".parse().expect("an address"),
    }
}

fn with_ranges(family: Family, ranges: &[IpNet]) -> Service {
    let mut web = build::service("web");
    web.load_balancer_ips = vec![balancer(family)];
    web.source_ranges = ranges.into();
    web
}

/// Lets every address be the namespace's own, and gives it one to masquerade as.
fn own_all_addresses(namespace: &Namespace, family: Family) {
    let (own, all) = match family {
        Family::V4 => ("192.0.2.1/32", "0.0.0.0/0"),
        Family::V6 => ("2001:db8::1/128", "::/0"),
    };
    for command in [
        format!("address add {own} dev lo"),
        format!("route add local {all} dev lo"),
    ] {
        e2e::ip(namespace, &command).expect("addresses");
    }
    let any = [("net/ipv6/ip_nonlocal_bind", "1")];
    namespace.sysctls(&any).expect("a sysctl");
}

/// Single addresses that do not adjoin.
fn others(family: Family, count: u32) -> impl Iterator<Item = IpNet> {
    (0..count).map(move |n| {
        let address: IpAddr = match family {
            Family::V4 => Ipv4Addr::from((11 << 24) + 2 * n).into(),
            Family::V6 => Ipv6Addr::from((0x3fff_u128 << 112) + 2 * u128::from(n)).into(),
        };
        address.into()
    })
}

/// The addresses at the ends of ranges, and those beside them.
fn probes(ranges: &[IpNet]) -> Vec<IpAddr> {
    let beside = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => {
            let n = u32::from(ip);
            [n.saturating_sub(1), n, n.saturating_add(1)].map(|n| Ipv4Addr::from(n).into())
        }
        IpAddr::V6(ip) => {
            let n = u128::from(ip);
            [n.saturating_sub(1), n, n.saturating_add(1)].map(|n| Ipv6Addr::from(n).into())
        }
    };
    let ends = ranges
        .iter()
        .flat_map(|range| [range.network(), range.broadcast()]);
    let mut all: Vec<IpAddr> = ends.flat_map(beside).filter(|ip| can_send(*ip)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether a socket may be bound to it: only plain unicast.
fn can_send(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => (1..224).contains(&ip.octets()[0]) && ip.octets()[0] != 127,
        IpAddr::V6(ip) => matches!(ip.segments()[0], 0x2000..0x4000 | 0xfc00..0xfe00),
    }
}

/// Whether the rules let a packet from this address to the load balancer's.
fn passes(source: IpAddr, to: IpAddr) -> bool {
    let socket = UdpSocket::bind((source, 0)).unwrap_or_else(|error| panic!("{source}: {error}"));
    match socket.send_to(b"x", SocketAddr::new(to, 80)) {
        Ok(_) => true,
        // A packet that the hook drops.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => false,
        Err(error) => panic!("{source}: {error}"),
    }
}

#[test]
fn any_history_of_ranges_lets_through_what_it_should() {
    for (family, pool) in [(Family::V4, V4), (Family::V6, V6)] {
        let pool: Vec<IpNet> = pool
            .iter()
            .map(|own| own.parse().expect("a range"))
            .collect();
        let mut node = Node::new(family);
        node.sync();
        own_all_addresses(&node.both.namespace, family);
        let node = std::cell::RefCell::new(node);
        let ranges = (subsequence(pool.clone(), 0..pool.len()), any::<bool>());
        let histories = prop::collection::vec(ranges, 1..6);
        let config = ProptestConfig {
            cases: 10,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let all = probes(&pool);
        let to = balancer(family);
        let outcome = TestRunner::new(config).run(&histories, |history| {
            let mut node = node.borrow_mut();
            for (mut ranges, many) in history {
                // So many that they are a set.
                ranges.extend(many.then(|| others(family, 20)).into_iter().flatten());
                let mut web = with_ranges(family, &ranges);
                web.ports[0].protocol = Protocol::Udp;
                let mut slices = build::endpoints("web", &["n2"]);
                slices
                    .iter_mut()
                    .for_each(|own| own.ports[0].protocol = Protocol::Udp);
                node.add(web, slices);
                node.both.compare(&format!("{ranges:?}"));
                let open = ranges.is_empty();
                let expected = |ip: &IpAddr| open || ranges.iter().any(|own| own.contains(ip));
                let wrong = node.both.namespace.run(|| {
                    let is_wrong = |ip: &&IpAddr| passes(**ip, to) != expected(ip);
                    all.iter().filter(is_wrong).copied().collect::<Vec<_>>()
                });
                let wrong = wrong.expect("the namespace");
                prop_assert!(wrong.is_empty(), "{:?}: {:?}", ranges, wrong);
            }
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{family}: {error}"));
    }
}

#[test]
fn services_with_the_same_sources_share_a_set_until_the_last_one_goes() {
    let family = Family::V4;
    let mut node = Node::new(family);
    let named = |name: &str, last: u8, ranges: &[IpNet]| {
        let mut web = with_ranges(family, ranges);
        web.name = build::service(name).name;
        web.cluster_ips = vec![[10, 96, 0, last].into()];
        web.load_balancer_ips = vec![[198, 51, 100, last].into()];
        web
    };
    let sets = |node: &Node| node.both.listed().matches("set sources-").count();
    let office: Vec<IpNet> = others(family, 30).collect();
    let turned: Vec<IpNet> = office.iter().rev().copied().collect();
    node.add(named("a", 1, &office), Vec::new());
    node.add(named("b", 2, &turned), Vec::new());
    assert_eq!(sets(&node), 1, "{}", node.both.listed());
    node.add(named("b", 2, &office[1..]), Vec::new());
    assert_eq!(sets(&node), 2, "{}", node.both.listed());
    node.add(named("a", 1, &[]), Vec::new());
    // What nobody needs any more stays for one sync.
    node.add(build::dns(), Vec::new());
    assert_eq!(sets(&node), 1, "{}", node.both.listed());
    node.both.compare("the other's set is left");
}

#[test]
fn five_thousand_ranges_and_ten_ports_take_less_than_a_second() {
    for family in Family::ALL {
        let mut node = Node::new(family);
        node.sync();
        let ranges: Vec<IpNet> = others(family, 5000).collect();
        let mut web = with_ranges(family, &ranges);
        let port = web.ports[0].clone();
        let ports = (0..10).map(|n| ServicePort {
            name: format!("p{n}").into(),
            port: 80 + n,
            ..port.clone()
        });
        web.ports = ports.collect();
        let ops = node.planned(web);
        let sets = ops.iter().filter(|op| matches!(op, Op::AddSourceSet(_)));
        assert_eq!(sets.count(), 1);
        let start = Instant::now();
        node.both.real(ops).expect("the kernel takes it");
        let took = start.elapsed();
        assert!(took < Duration::from_secs(1), "{family}: {took:?}");
    }
}
