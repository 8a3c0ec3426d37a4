//! Flow by flow: whose it is, and what all of them add up to.

use super::*;
use crate::model::{Endpoint as SliceEndpoint, EndpointPort, EndpointSlice, Hints, Node};
use crate::model::{Service, ServicePort, TrafficPolicy};
use crate::{Change, Config, State};
use proptest::prelude::*;
use std::net::SocketAddr;

fn at(text: &str) -> EndpointAddr {
    let address: SocketAddr = text.parse().expect("an address and a port");
    EndpointAddr {
        address: address.ip(),
        port: address.port(),
    }
}

fn configs() -> [Config; 2] {
    Family::ALL.map(|family| Config::new(family, "n1"))
}

fn port(name: &str, protocol: Protocol, number: u16, node_port: Option<u16>) -> ServicePort {
    ServicePort {
        name: name.into(),
        protocol,
        port: number,
        node_port,
    }
}

fn service(name: &str, addresses: [&str; 2], ports: Vec<ServicePort>) -> Service {
    Service {
        name: ObjectName::new("shop", name),
        cluster_ips: addresses.map(|ip| ip.parse().expect("an address")).into(),
        ports,
        ..Service::default()
    }
}

/// A pod on a node, as `n1 10.244.1.1`, and without readiness as `n1 10.244.1.1 not`.
fn slice(service: &str, family: Family, port: u16, pods: &[&str]) -> EndpointSlice {
    let endpoint = |pod: &&str| {
        let words: Vec<&str> = pod.split(' ').collect();
        let ready = words.len() == 2;
        SliceEndpoint {
            address: words[1].parse().expect("an address"),
            node: Some(words[0].into()),
            ready,
            serving: ready,
            terminating: false,
            hints: Hints::default(),
        }
    };
    let port = |name: &str, protocol| EndpointPort {
        name: name.into(),
        protocol,
        port,
    };
    EndpointSlice {
        name: ObjectName::new("shop", format!("{service}-{family}")),
        service: ObjectName::new("shop", service),
        family,
        ports: vec![port("http", Protocol::Tcp), port("dns", Protocol::Udp)],
        endpoints: pods.iter().map(endpoint).collect(),
        last_change_trigger: None,
    }
}

/// Two Services: `web` with a node port and both families, `dns` with UDP and TCP of one number.
fn cluster() -> State {
    let mut state = State::new();
    let web = service(
        "web",
        ["10.96.0.10", "fd00:10:96::10"],
        vec![port("http", Protocol::Tcp, 80, Some(30080))],
    );
    let dns = service(
        "dns",
        ["10.96.0.53", "fd00:10:96::53"],
        vec![
            port("dns", Protocol::Udp, 53, None),
            port("http", Protocol::Tcp, 53, None),
        ],
    );
    state.apply(Change::Service(web));
    state.apply(Change::Service(dns));
    let web = ["n1 10.244.1.1", "n2 10.244.2.2", "n2 10.244.2.3 not"];
    for slice in [
        slice("web", Family::V4, 8080, &web),
        slice("web", Family::V6, 8080, &["n1 fd00:10:244:1::1"]),
        slice("dns", Family::V4, 5353, &["n1 10.244.1.9"]),
    ] {
        state.apply(Change::Slice(slice));
    }
    state
}

fn flow(protocol: Protocol, destination: &str, answers: &str) -> Flow {
    Flow {
        identity: 0,
        protocol,
        destination: at(destination),
        answers: at(answers),
        ended: false,
        traffic: None,
    }
}

/// What a flow counts for, in words.
fn told(ports: &Ports, flow: &Flow) -> String {
    let mut usage = Usage::new(ports);
    usage.add(flow, Tally::of(flow));
    let Some(found) = usage.ports().find(|port| port.total().open > 0) else {
        assert_eq!(usage.other().open, 1);
        return "other".to_owned();
    };
    assert_eq!(usage.other(), Tally::default());
    let endpoint = found.endpoints().find(|(_, tally)| tally.open > 0);
    let endpoint = endpoint.map_or("elsewhere".to_owned(), |(endpoint, _)| {
        let serves = if endpoint.serves {
            ""
        } else {
            ", does not serve"
        };
        let EndpointAddr { address, port } = endpoint.address;
        format!("{}{serves}", SocketAddr::new(address, port))
    });
    format!("{}:{} {endpoint}", found.service(), found.name())
}

#[test]
fn a_flow_belongs_to_the_port_of_its_frontend_and_to_the_endpoint_that_answers() {
    let state = cluster();
    let ports = Ports::new(state.view(), &configs());
    assert_eq!(ports.len(), 3);
    let (tcp, udp, sctp) = (Protocol::Tcp, Protocol::Udp, Protocol::Sctp);
    let v6 = "[fd00:10:244:1::1]:8080";
    for (flow, expected) in [
        (
            flow(tcp, "10.96.0.10:80", "10.244.1.1:8080"),
            "shop/web:http 10.244.1.1:8080",
        ),
        (
            flow(tcp, "[fd00:10:96::10]:80", v6),
            "shop/web:http [fd00:10:244:1::1]:8080",
        ),
        // By the node port, at any address.
        (
            flow(tcp, "192.0.2.1:30080", "10.244.2.2:8080"),
            "shop/web:http 10.244.2.2:8080",
        ),
        (
            flow(tcp, "[2001:db8::1]:30080", v6),
            "shop/web:http [fd00:10:244:1::1]:8080",
        ),
        // A connection outlives its endpoint's readiness, and its endpoint.
        (
            flow(tcp, "10.96.0.10:80", "10.244.2.3:8080"),
            "shop/web:http 10.244.2.3:8080, does not serve",
        ),
        (
            flow(tcp, "10.96.0.10:80", "10.244.1.77:8080"),
            "shop/web:http elsewhere",
        ),
        (
            flow(tcp, "10.96.0.10:80", "10.244.1.1:8081"),
            "shop/web:http elsewhere",
        ),
        // The same number of two protocols.
        (
            flow(udp, "10.96.0.53:53", "10.244.1.9:5353"),
            "shop/dns:dns 10.244.1.9:5353",
        ),
        (
            flow(tcp, "10.96.0.53:53", "10.244.1.9:5353"),
            "shop/dns:http 10.244.1.9:5353",
        ),
        (flow(sctp, "10.96.0.53:53", "10.244.1.9:5353"), "other"),
        // Not a frontend, and a frontend whose flow was not translated.
        (flow(tcp, "10.96.0.10:81", "10.244.1.1:8080"), "other"),
        (flow(tcp, "10.96.0.10:80", "10.96.0.10:80"), "other"),
        (flow(tcp, "192.0.2.1:30080", "192.0.2.1:30080"), "other"),
    ] {
        assert_eq!(told(&ports, &flow), expected, "{flow:?}");
    }
}

#[test]
fn an_ended_connection_is_not_open_and_its_bytes_count() {
    let state = cluster();
    let ports = Ports::new(state.view(), &configs());
    let mut usage = Usage::new(&ports);
    assert!(!usage.counts_traffic());
    let ended = Flow {
        ended: true,
        traffic: Some(Traffic {
            packets: 10,
            bytes: 1000,
        }),
        ..flow(Protocol::Tcp, "10.96.0.10:80", "10.244.1.1:8080")
    };
    usage.add(&ended, Tally::of(&ended));
    assert!(usage.counts_traffic());
    let web = ObjectName::new("shop", "web");
    let total = usage.of_service(&web).next().expect("a port").total();
    assert_eq!((total.open, total.traffic.bytes), (0, 1000));
}

#[test]
fn busiest_and_spread_are_of_the_open_connections() {
    let state = cluster();
    let ports = Ports::new(state.view(), &configs());
    // Of each endpoint so many: the serving ones, the one that is not ready, one that is gone.
    for (v4, second, v6, not_ready, gone, busiest, spread) in [
        (0, 0, 0, 0, 0, None, None),
        (
            1,
            1,
            1,
            0,
            0,
            Some(("10.244.1.1:8080", 1.0 / 3.0)),
            Some(1.0),
        ),
        // Of the family that clients use, as the other one's endpoints have none.
        (3, 0, 0, 0, 0, Some(("10.244.1.1:8080", 1.0)), Some(2.0)),
        (
            1,
            2,
            1,
            0,
            0,
            Some(("10.244.2.2:8080", 0.5)),
            Some(4.0 / 3.0),
        ),
        // Whoever does not serve counts for the share, not for the spread.
        (1, 1, 1, 3, 0, Some(("10.244.2.3:8080", 0.5)), Some(1.0)),
        (1, 0, 0, 0, 3, Some(("10.244.1.1:8080", 0.25)), Some(2.0)),
        (0, 0, 0, 1, 0, Some(("10.244.2.3:8080", 1.0)), None),
        (0, 0, 0, 0, 1, None, None),
        (
            3,
            0,
            5,
            0,
            0,
            Some(("[fd00:10:244:1::1]:8080", 0.625)),
            Some(1.0),
        ),
    ] {
        let mut usage = Usage::new(&ports);
        for (count, answers) in [
            (v4, "10.244.1.1:8080"),
            (second, "10.244.2.2:8080"),
            (not_ready, "10.244.2.3:8080"),
            (gone, "10.244.9.9:8080"),
        ] {
            let flow = flow(Protocol::Tcp, "10.96.0.10:80", answers);
            (0..count).for_each(|_| usage.add(&flow, Tally::of(&flow)));
        }
        let flow = flow(
            Protocol::Tcp,
            "[fd00:10:96::10]:80",
            "[fd00:10:244:1::1]:8080",
        );
        (0..v6).for_each(|_| usage.add(&flow, Tally::of(&flow)));
        let web = ObjectName::new("shop", "web");
        let port = usage.of_service(&web).next().expect("a port");
        let case = (v4, second, v6, not_ready, gone);
        let expected = busiest.map(|(address, share)| (at(address), share));
        assert_eq!(port.busiest(), expected, "{case:?}");
        assert_eq!(port.spread(), spread, "{case:?}");
    }
}

#[test]
fn policy_local_serves_by_what_is_here() {
    let mut state = cluster();
    let mut web = service(
        "web",
        ["10.96.0.10", "fd00:10:96::10"],
        vec![port("http", Protocol::Tcp, 80, None)],
    );
    web.internal_policy = TrafficPolicy::Local;
    state.apply(Change::Service(web));
    let ports = Ports::new(state.view(), &configs());
    let usage = Usage::new(&ports);
    let web = ObjectName::new("shop", "web");
    let port = usage.of_service(&web).next().expect("a port");
    let serving: Vec<String> = port
        .endpoints()
        .filter(|(endpoint, _)| endpoint.serves)
        .map(|(endpoint, _)| endpoint.address.address.to_string())
        .collect();
    assert_eq!(serving, ["10.244.1.1", "fd00:10:244:1::1"]);
    assert_eq!(port.endpoints().count(), 4, "the others are known");
}

#[test]
fn what_refuses_packets_says_why() {
    let mut state = cluster();
    let http = || vec![port("http", Protocol::Tcp, 80, Some(31000))];
    let idle = service("idle", ["10.96.0.20", "fd00:10:96::20"], http());
    let mut far = service("far", ["10.96.0.21", "fd00:10:96::21"], http());
    far.ports[0].node_port = Some(31001);
    far.external_policy = TrafficPolicy::Local;
    let mut few = service("few", ["10.96.0.22", "fd00:10:96::22"], http());
    few.ports[0].node_port = None;
    few.load_balancer_ips = vec!["198.51.100.9".parse().expect("an address")];
    few.source_ranges = vec!["203.0.113.0/24".parse().expect("a range")].into();
    for service in [idle, far, few] {
        state.apply(Change::Service(service));
    }
    let pods = [
        (Family::V4, "n2 10.244.2.2"),
        (Family::V6, "n2 fd00:10:244:2::2"),
    ];
    for (family, pod) in pods {
        state.apply(Change::Slice(slice("far", family, 8080, &[pod])));
        state.apply(Change::Slice(slice("few", family, 8080, &[pod])));
    }
    let ports = Ports::new(state.view(), &configs());
    let usage = Usage::new(&ports);
    for (name, expected) in [
        ("idle", [true, false, false]),
        ("far", [false, true, false]),
        ("few", [false, false, true]),
    ] {
        let name = ObjectName::new("shop", name);
        let port = usage.of_service(&name).next().expect("a port");
        let found = port.refusals();
        let found = [
            found.no_endpoint,
            found.no_local_endpoint,
            found.source_range,
        ];
        assert_eq!(found, expected, "{name}");
    }
}

/// What everything adds up to, in one order.
fn summary(ports: &Ports, flows: &[Flow]) -> Vec<String> {
    let mut lines: Vec<String> = flows.iter().map(|flow| told(ports, flow)).collect();
    let usage = Usage::new(ports);
    let mut all: Vec<String> = usage
        .ports()
        .map(|port| {
            let endpoints: Vec<(Endpoint, Tally)> = port.endpoints().collect();
            let (service, name) = (port.service(), port.name());
            format!("{service} {name} {} {endpoints:?}", port.number())
        })
        .collect();
    all.sort();
    lines.extend(all);
    lines
}

#[test]
fn an_index_that_follows_changes_is_that_of_a_fresh_start() {
    let mut state = cluster();
    let configs = configs();
    let mut followed = Ports::new(state.view(), &configs);
    state.take_dirty();
    let http = |number| vec![port("http", Protocol::Tcp, number, None)];
    // Takes the external address over, and gives it back.
    let mut older = service("older", ["10.96.0.11", "fd00:10:96::11"], http(80));
    older.external_ips = vec!["198.51.100.1".parse().expect("an address")];
    let mut younger = service("younger", ["10.96.0.12", "fd00:10:96::12"], http(80));
    younger.created = 5;
    younger.external_ips = older.external_ips.clone();
    let many: Vec<ServicePort> = (1..20)
        .map(|number| port(&format!("p{number}"), Protocol::Tcp, number, None))
        .collect();
    let changes = [
        Change::Service(younger),
        Change::Slice(slice("younger", Family::V4, 8080, &["n1 10.244.1.1"])),
        Change::Service(older),
        Change::Slice(slice("older", Family::V4, 8080, &["n1 10.244.1.2"])),
        Change::Service(service("web", ["10.96.0.10", "fd00:10:96::10"], many)),
        Change::SliceGone(ObjectName::new("shop", "web-IPv4")),
        Change::ServiceGone(ObjectName::new("shop", "dns")),
        Change::ServiceGone(ObjectName::new("shop", "older")),
        Change::Node(Node {
            name: "n1".into(),
            zone: Some("a".into()),
            ..Node::default()
        }),
        Change::ServiceGone(ObjectName::new("shop", "web")),
        Change::ServiceGone(ObjectName::new("shop", "younger")),
    ];
    let flows: Vec<Flow> = [
        ("10.96.0.10:80", "10.244.1.1:8080"),
        ("10.96.0.10:7", "10.244.1.1:8080"),
        ("10.96.0.53:53", "10.244.1.9:5353"),
        ("198.51.100.1:80", "10.244.1.1:8080"),
        ("198.51.100.1:80", "10.244.1.2:8080"),
        ("192.0.2.1:30080", "10.244.1.1:8080"),
    ]
    .map(|(destination, answers)| flow(Protocol::Tcp, destination, answers))
    .into();
    let last = changes.len();
    for (number, change) in changes.into_iter().enumerate() {
        let what = format!("{change:?}");
        state.apply(change);
        for name in state.take_dirty() {
            followed.update(state.view(), &configs, &name);
        }
        let fresh = Ports::new(state.view(), &configs);
        assert_eq!(
            summary(&followed, &flows),
            summary(&fresh, &flows),
            "{what}"
        );
        assert_eq!(
            (followed.len(), followed.services().count()),
            (fresh.len(), fresh.services().count())
        );
        assert_eq!(number + 1 == last, followed.is_empty());
    }
}

#[test]
fn what_is_new_was_not_there_at_the_last_look() {
    let state = cluster();
    let ports = Ports::new(state.view(), &configs());
    let mut seen = Seen::new();
    let traffic = |bytes| {
        Some(Traffic {
            packets: bytes / 100,
            bytes,
        })
    };
    let mut look = |flows: &[(u64, bool, u64)]| {
        let mut usage = Usage::new(&ports);
        seen.begin();
        for (identity, ended, bytes) in flows {
            let flow = Flow {
                identity: *identity,
                ended: *ended,
                traffic: traffic(*bytes),
                ..flow(Protocol::Tcp, "10.96.0.10:80", "10.244.1.1:8080")
            };
            if let Some(counts) = seen.note(&flow) {
                usage.add(&flow, counts);
            }
        }
        seen.end();
        let web = ObjectName::new("shop", "web");
        let total = usage.of_service(&web).next().expect("a port").total();
        (total.open, total.new, total.traffic.bytes)
    };
    assert_eq!(
        look(&[(1, false, 500), (2, false, 900)]),
        (2, 0, 0),
        "the first one"
    );
    assert_eq!(look(&[(1, false, 700), (2, false, 900)]), (2, 0, 200));
    assert_eq!(
        look(&[(1, true, 800), (2, false, 900), (3, false, 50)]),
        (2, 1, 150)
    );
    assert_eq!(
        look(&[(4, true, 60), (4, true, 60)]),
        (0, 1, 60),
        "listed twice"
    );
    // One that was forgotten is another one.
    assert_eq!(look(&[(1, false, 10), (4, true, 60)]), (1, 1, 10));
    // Counters that went back, as after a reset by `conntrack -Z`.
    assert_eq!(look(&[(1, false, 5)]), (1, 0, 0));
    assert_eq!(look(&[]), (0, 0, 0));
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_counted_twice(
        flows in prop::collection::vec((0..6u8, 0..6u8, any::<bool>(), 0..1000u64), 0..60)
    ) {
        let state = cluster();
        let ports = Ports::new(state.view(), &configs());
        let mut usage = Usage::new(&ports);
        let (mut open, mut bytes) = (0, 0);
        for (destination, answers, ended, size) in flows {
            let destination = ["10.96.0.10:80", "10.96.0.53:53", "192.0.2.1:30080", "10.9.9.9:1",
                "[fd00:10:96::10]:80", "10.96.0.10:81"][usize::from(destination)];
            let answers = ["10.244.1.1:8080", "10.244.2.2:8080", "10.244.1.9:5353", "10.3.3.3:3",
                "[fd00:10:244:1::1]:8080", "10.244.2.3:8080"][usize::from(answers)];
            let flow = Flow {
                ended,
                traffic: Some(Traffic { packets: 1, bytes: size }),
                ..flow(Protocol::Tcp, destination, answers)
            };
            open += u64::from(!ended);
            bytes += size;
            usage.add(&flow, Tally::of(&flow));
        }
        let mut sum = usage.other();
        for port in usage.ports() {
            let mut own = port.elsewhere();
            port.endpoints().for_each(|(_, tally)| own.add(tally));
            prop_assert_eq!(own, port.total());
            sum.add(own);
            if let Some((_, share)) = port.busiest() {
                prop_assert!(share > 0.0 && share <= 1.0);
            }
            if let Some(spread) = port.spread() {
                let serving = port.serving();
                prop_assert!(spread >= 1.0 && spread <= serving as f64);
            }
        }
        prop_assert_eq!((sum.open, sum.traffic.bytes), (open, bytes));
    }
}
