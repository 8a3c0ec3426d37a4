use super::*;
use crate::model::{
    Endpoint, EndpointPort, EndpointSlice, Family, Hints, Service, ServicePort, TrafficPolicy,
};
use crate::{Change, State};
use std::time::{Duration, Instant};

const ALL: Localhost = Localhost::Proxied {
    local_policy_serves_all: true,
};
const OWN: Localhost = Localhost::Proxied {
    local_policy_serves_all: false,
};

fn name(name: &str) -> ObjectName {
    ObjectName::new("ns", name)
}

fn backend(n: u8) -> EndpointAddr {
    EndpointAddr {
        address: [10, 244, 0, n].into(),
        port: 8080,
    }
}

fn service(own: &str, node_port: Option<u16>) -> Service {
    let port = |name: &str, protocol, port, node_port| ServicePort {
        name: name.into(),
        protocol,
        port,
        node_port,
    };
    Service {
        name: name(own),
        cluster_ips: vec![[10, 96, 0, 1].into()],
        ports: vec![
            port("http", Protocol::Tcp, 80, node_port),
            port("dns", Protocol::Udp, 53, node_port),
        ],
        ..Service::default()
    }
}

/// One endpoint on each of these nodes, 10.244.0.1 and so on.
fn slice(service: &str, nodes: &[&str]) -> EndpointSlice {
    let port = |name: &str, protocol| EndpointPort {
        name: name.into(),
        protocol,
        port: 8080,
    };
    let endpoint = |(n, node): (u8, &&str)| Endpoint {
        address: [10, 244, 0, n].into(),
        node: Some((*node).into()),
        ready: true,
        serving: true,
        terminating: false,
        hints: Hints::default(),
    };
    EndpointSlice {
        name: name(service),
        service: name(service),
        family: Family::V4,
        ports: vec![port("http", Protocol::Tcp), port("dns", Protocol::Udp)],
        endpoints: (1..).zip(nodes).map(endpoint).collect(),
        last_change_trigger: None,
    }
}

/// A cluster, and the ports of it on node n1.
struct Bench {
    state: State,
    ports: LocalhostPorts,
    config: Config,
}

impl Bench {
    fn new(localhost: Localhost) -> Self {
        Self {
            state: State::new(),
            ports: LocalhostPorts::default(),
            config: Config {
                localhost,
                ..Config::new(Family::V4, "n1")
            },
        }
    }

    /// One word for each port that changed.
    fn tell(&mut self, changes: impl IntoIterator<Item = Change>) -> Vec<String> {
        for change in changes {
            self.state.apply(change);
        }
        self.ports.note(&self.state.take_dirty());
        self.take()
    }

    fn take(&mut self) -> Vec<String> {
        let changes = self.ports.take(&self.config, self.state.view());
        let words = changes.into_iter().map(|(port, change)| match change {
            None => format!("{port} closed"),
            Some(served) => {
                let last = |own: &EndpointAddr| own.address.to_string().replace("10.244.0.", "");
                let all: Vec<String> = served.endpoints.iter().map(last).collect();
                let sticky = served
                    .affinity
                    .map_or(String::new(), |s| format!(" for {s} s"));
                format!(
                    "{port} {} at {}{sticky}",
                    served.service.name,
                    all.join(" ")
                )
            }
        });
        words.collect()
    }

    fn add(&mut self, service: Service, nodes: &[&str]) -> Vec<String> {
        let slice = slice(&service.name.name, nodes);
        self.tell([Change::Service(service), Change::Slice(slice)])
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn only_tcp_node_ports_with_endpoints_are_served() {
    let mut bench = Bench::new(OWN);
    assert_eq!(
        bench.add(service("web", Some(30080)), &["n1", "n2"]),
        ["30080 web at 1 2"]
    );
    assert_eq!(bench.add(service("inside", None), &["n1"]), NOTHING);
    assert_eq!(bench.add(service("empty", Some(30081)), &[]), NOTHING);
}

#[test]
fn no_endpoint_on_a_loopback_address_is_connected_to() {
    let mut bench = Bench::new(ALL);
    let mut slice = slice("web", &["n1", "n1"]);
    slice.endpoints[0].address = [127, 0, 0, 1].into();
    bench.tell([Change::Slice(slice)]);
    let web = bench.tell([Change::Service(service("web", Some(30080)))]);
    assert_eq!(web, ["30080 web at 2"]);
}

#[test]
fn policy_local_is_as_the_mode_has_it() {
    for (localhost, nodes, served) in [
        (OWN, &["n1", "n2"][..], &["30080 web at 1"][..]),
        (OWN, &["n2"], &[]),
        (ALL, &["n1", "n2"], &["30080 web at 1 2"]),
        (ALL, &["n2"], &["30080 web at 1"]),
        (Localhost::Refused, &["n1"], &[]),
        (Localhost::Untouched, &["n1"], &[]),
    ] {
        let mut bench = Bench::new(localhost);
        let web = Service {
            external_policy: TrafficPolicy::Local,
            ..service("web", Some(30080))
        };
        assert_eq!(bench.add(web, nodes), served, "{localhost:?} {nodes:?}");
    }
}

#[test]
fn what_changes_is_told_once() {
    let mut bench = Bench::new(ALL);
    bench.add(service("web", Some(30080)), &["n1"]);
    bench.add(service("dns", Some(30053)), &["n1"]);
    assert_eq!(bench.take(), NOTHING);
    // Another address of the same Service is nothing to the proxy.
    let more = Service {
        external_ips: vec![[203, 0, 113, 1].into()],
        ..service("web", Some(30080))
    };
    assert_eq!(bench.tell([Change::Service(more)]), NOTHING);
    let sticky = Service {
        session_affinity: Some(60),
        ..service("web", Some(30080))
    };
    assert_eq!(
        bench.tell([Change::Service(sticky)]),
        ["30080 web at 1 for 60 s"]
    );
    assert_eq!(
        bench.tell([Change::Service(service("web", Some(30090)))]),
        ["30080 closed", "30090 web at 1"]
    );
    assert_eq!(
        bench.tell([Change::Slice(slice("web", &[]))]),
        ["30090 closed"]
    );
    assert_eq!(
        bench.tell([Change::Slice(slice("web", &["n1"]))]),
        ["30090 web at 1"]
    );
    assert_eq!(
        bench.tell([Change::ServiceGone(name("web"))]),
        ["30090 closed"]
    );
}

#[test]
fn a_port_that_goes_to_another_service_stays_open() {
    let mut bench = Bench::new(ALL);
    bench.add(service("a", Some(30080)), &["n1"]);
    bench.add(service("b", None), &["n1", "n2"]);
    let swap = [
        Change::Service(service("a", None)),
        Change::Service(service("b", Some(30080))),
    ];
    assert_eq!(bench.tell(swap), ["30080 b at 1 2"]);
    assert_eq!(bench.tell([Change::ServiceGone(name("a"))]), NOTHING);
    assert_eq!(
        bench.tell([Change::ServiceGone(name("b"))]),
        ["30080 closed"]
    );
}

#[test]
fn other_settings_are_another_look_at_everything() {
    let mut bench = Bench::new(Localhost::Untouched);
    assert_eq!(bench.add(service("web", Some(30080)), &["n1"]), NOTHING);
    bench.config.localhost = ALL;
    assert_eq!(bench.take(), ["30080 web at 1"]);
    bench.config.localhost = Localhost::Refused;
    assert_eq!(bench.take(), ["30080 closed"]);
}

fn served(endpoints: &[u8], affinity: Option<u32>) -> Served {
    Served {
        service: name("web"),
        endpoints: endpoints.iter().copied().map(backend).collect(),
        affinity,
    }
}

#[test]
fn endpoints_are_drawn_and_none_is_tried_twice() {
    let mut choice = Choice::new(&served(&[1, 2, 3], None));
    let now = Instant::now();
    let mut tried = Vec::new();
    for expected in [3, 2, 1] {
        let picked = choice.pick(now, &tried, |count| count - 1);
        assert_eq!(picked, Some(backend(expected)));
        tried.extend(picked);
    }
    assert_eq!(choice.pick(now, &tried, |_| 0), None);
    assert_eq!(choice.pick(now, &[], |_| 0), Some(backend(1)));
}

#[test]
fn one_that_failed_is_avoided_for_a_while() {
    let mut choice = Choice::new(&served(&[1, 2], None));
    let start = Instant::now();
    choice.failed(backend(1), start);
    assert_eq!(choice.pick(start, &[], |_| 0), Some(backend(2)));
    // Nobody else is left.
    assert_eq!(choice.pick(start, &[backend(2)], |_| 0), Some(backend(1)));
    assert_eq!(choice.pick(start + SHUNNED, &[], |_| 0), Some(backend(1)));
    choice.failed(backend(1), start);
    choice.succeeded(backend(1));
    assert_eq!(choice.pick(start, &[], |_| 0), Some(backend(1)));
}

#[test]
fn affinity_keeps_all_clients_at_one_endpoint() {
    let mut choice = Choice::new(&served(&[1, 2, 3], Some(10)));
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(choice.pick(start, &[], |_| 1), Some(backend(2)));
    // Each connection begins the time anew.
    assert_eq!(choice.pick(after(9), &[], |_| 0), Some(backend(2)));
    assert_eq!(choice.pick(after(19), &[], |_| 0), Some(backend(2)));
    assert_eq!(choice.pick(after(30), &[], |_| 0), Some(backend(1)));
    // One that fails is left for good.
    choice.failed(backend(1), after(31));
    assert_eq!(
        choice.pick(after(31), &[backend(1)], |_| 1),
        Some(backend(3))
    );
    assert_eq!(choice.pick(after(32), &[], |_| 0), Some(backend(3)));
    // So is one that serves no more.
    choice.update(&served(&[1, 2], Some(10)));
    assert_eq!(choice.pick(after(40), &[], |_| 1), Some(backend(2)));
    // Another timeout is another beginning, as upstream has it.
    choice.update(&served(&[1, 2], Some(20)));
    assert_eq!(choice.pick(after(40), &[], |_| 0), Some(backend(1)));
}
