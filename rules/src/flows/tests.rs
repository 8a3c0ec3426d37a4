//! Flow by flow: what a change of Services makes stale, and what it does not.

use super::*;
use crate::Change;
use crate::model::{Endpoint, EndpointPort, EndpointSlice, Hints, Service};

const VIP: &str = "10.96.0.10:53";
const EXTERNAL: &str = "198.51.100.1:53";
const NODE: &str = "192.168.60.11";
const POD_1: &str = "10.244.1.1:8053";
const POD_2: &str = "10.244.1.2:8053";

/// Whether the outcome is that the flow is deleted.
const STALE: bool = true;
const KEPT: bool = false;

fn backend(text: &str) -> EndpointAddr {
    let address: std::net::SocketAddr = text.parse().expect("an address and a port");
    EndpointAddr {
        address: address.ip(),
        port: address.port(),
    }
}

fn service(name: &str, vip: &str, node_port: Option<u16>) -> Service {
    let port = |name: &str, protocol| ServicePort {
        name: name.into(),
        protocol,
        port: backend(vip).port,
        node_port,
    };
    Service {
        name: ObjectName::new("ns", name),
        origin: None,
        created: 0,
        cluster_ips: vec![backend(vip).address],
        external_ips: vec![backend(EXTERNAL).address],
        load_balancer_ips: Vec::new(),
        ports: vec![port("dns", Protocol::Udp), port("tcp", Protocol::Tcp)],
        internal_policy: Default::default(),
        external_policy: Default::default(),
        health_check_node_port: None,
        kind: crate::model::ServiceType::NodePort,
        ..Service::default()
    }
}

fn endpoint(pod: &str) -> Endpoint {
    Endpoint {
        address: backend(pod).address,
        node: None,
        ready: true,
        serving: true,
        terminating: false,
        hints: Hints::default(),
    }
}

fn slice(service: &str, endpoints: Vec<Endpoint>) -> EndpointSlice {
    let port = |name: &str, protocol| EndpointPort {
        name: name.into(),
        protocol,
        port: 8053,
    };
    EndpointSlice {
        name: ObjectName::new("ns", service),
        service: ObjectName::new("ns", service),
        family: Family::V4,
        ports: vec![port("dns", Protocol::Udp), port("tcp", Protocol::Tcp)],
        endpoints,
        last_change_trigger: None,
    }
}

/// A cluster and what its changes leave behind.
struct Bench {
    state: State,
    flows: StaleFlows,
    nodeports: NodeportAddresses,
}

impl Bench {
    fn new() -> Self {
        Self {
            state: State::new(),
            flows: StaleFlows::new(Family::V4),
            nodeports: NodeportAddresses::All,
        }
    }

    /// One Service with these pods, cleaned up already.
    fn settled(pods: &[&str]) -> Self {
        let mut bench = Self::new();
        bench.tell(Change::Service(service("a", VIP, Some(30053))));
        bench.pods("a", pods);
        bench.flows.cleaned();
        bench
    }

    fn tell(&mut self, event: Change) {
        self.state.apply(event);
        let dirty = self.state.take_dirty();
        self.flows.update(&self.state, &dirty);
    }

    fn pods(&mut self, service: &str, pods: &[&str]) {
        let endpoints = pods.iter().map(|pod| endpoint(pod)).collect();
        self.tell(Change::Slice(slice(service, endpoints)));
    }

    fn gone(&mut self, service: &str) {
        self.tell(Change::ServiceGone(ObjectName::new("ns", service)));
    }

    fn suspects(&self) -> Option<Suspects<'_>> {
        let local = ["127.0.0.1", NODE].map(|ip| ip.parse().expect("an address"));
        self.flows.suspects(&self.state, &self.nodeports, &local)
    }

    /// Compares the decision about flows, given as destination, who answers,
    /// and whether the flow is deleted.
    #[track_caller]
    fn expect(&self, rows: &[(&str, &str, bool)]) {
        let suspects = self.suspects().expect("something to look for");
        for (destination, answers, stale) in rows {
            let flow = Flow {
                destination: backend(destination),
                answers: backend(answers),
            };
            assert_eq!(
                suspects.is_stale(&flow),
                *stale,
                "a flow to {destination} that {answers} answers"
            );
        }
    }
}

fn node_port() -> String {
    format!("{NODE}:30053")
}

#[test]
fn flows_to_an_endpoint_that_goes_are_stale_at_every_frontend() {
    let mut bench = Bench::settled(&[POD_1, POD_2]);
    bench.pods("a", &[POD_2]);
    for frontend in [VIP, EXTERNAL, &node_port()] {
        bench.expect(&[(frontend, POD_1, STALE), (frontend, POD_2, KEPT)]);
    }
    // Same pod, another port; same VIP, another port; not ours at all.
    bench.expect(&[
        (VIP, "10.244.1.2:53", STALE),
        ("10.96.0.10:54", POD_1, KEPT),
        ("8.8.8.8:53", "8.8.8.8:53", KEPT),
        (POD_1, POD_1, KEPT),
    ]);
}

#[test]
fn the_first_endpoint_frees_flows_that_were_never_translated() {
    let mut bench = Bench::settled(&[]);
    bench.pods("a", &[POD_1]);
    for frontend in [VIP, EXTERNAL, &node_port()] {
        bench.expect(&[(frontend, frontend, STALE), (frontend, POD_1, KEPT)]);
    }
}

#[test]
fn without_any_endpoint_nothing_that_was_translated_stays() {
    let mut bench = Bench::settled(&[POD_1]);
    bench.pods("a", &[]);
    bench.expect(&[
        (VIP, POD_1, STALE),
        // Refused from now on, and as long as nobody answers `ct state new`.
        (VIP, VIP, STALE),
        (&node_port(), POD_1, STALE),
        // A process of the node itself may listen there.
        (&node_port(), &node_port(), KEPT),
    ]);
}

#[test]
fn a_frontend_that_goes_takes_its_translated_flows_along() {
    let mut bench = Bench::settled(&[POD_1]);
    bench.gone("a");
    for frontend in [VIP, EXTERNAL, &node_port()] {
        bench.expect(&[(frontend, POD_1, STALE), (frontend, frontend, KEPT)]);
    }

    // One address of a Service, and then its node port.
    let mut bench = Bench::settled(&[POD_1]);
    let mut changed = service("a", VIP, Some(30053));
    changed.external_ips.clear();
    bench.tell(Change::Service(changed));
    bench.expect(&[
        (EXTERNAL, POD_1, STALE),
        (EXTERNAL, EXTERNAL, KEPT),
        (VIP, POD_1, KEPT),
        (&node_port(), POD_1, KEPT),
    ]);
    bench.flows.cleaned();
    let mut changed = service("a", VIP, None);
    changed.external_ips.clear();
    bench.tell(Change::Service(changed));
    bench.expect(&[(&node_port(), POD_1, STALE), (VIP, POD_1, KEPT)]);
}

#[test]
fn node_port_numbers_elsewhere_are_nobodys_business() {
    let mut bench = Bench::settled(&[POD_1]);
    // Service b's cluster IP has the port number of a's node port.
    bench.tell(Change::Service(service("b", "10.96.0.20:30053", None)));
    bench.pods("b", &["10.244.1.9:8053"]);
    bench.flows.cleaned();
    bench.pods("a", &[POD_2]);
    bench.expect(&[
        // A remote server, another node's node port, loopback.
        ("203.0.113.9:30053", "203.0.113.9:30053", KEPT),
        ("192.168.60.12:30053", "192.168.60.12:30053", KEPT),
        ("127.0.0.1:30053", "127.0.0.1:30053", KEPT),
        ("10.96.0.20:30053", "10.244.1.9:8053", KEPT),
        // Translated, so the address was the node's when the flow began.
        ("192.168.60.99:30053", POD_1, STALE),
        (&node_port(), POD_1, STALE),
        (&node_port(), &node_port(), STALE),
    ]);
    bench.nodeports = NodeportAddresses::Within(vec!["10.0.0.0/8".parse().expect("a range")]);
    bench.expect(&[
        (&node_port(), &node_port(), KEPT),
        (&node_port(), POD_1, STALE),
    ]);
}

#[test]
fn serving_is_all_that_counts() {
    let mut bench = Bench::settled(&[POD_1, POD_2]);
    let terminating = Endpoint {
        ready: false,
        terminating: true,
        ..endpoint(POD_1)
    };
    bench.tell(Change::Slice(slice(
        "a",
        vec![terminating.clone(), endpoint(POD_2)],
    )));
    assert!(!bench.flows.is_pending(), "it still serves");
    let silent = Endpoint {
        serving: false,
        ..terminating
    };
    bench.tell(Change::Slice(slice("a", vec![silent, endpoint(POD_2)])));
    bench.expect(&[(VIP, POD_1, STALE), (VIP, POD_2, KEPT)]);
}

#[test]
fn only_udp_is_looked_at() {
    let mut bench = Bench::new();
    let mut tcp = service("a", VIP, Some(30053));
    tcp.ports.remove(0);
    bench.tell(Change::Service(tcp));
    bench.pods("a", &[POD_1]);
    bench.gone("a");
    assert!(bench.suspects().is_none());
    assert!(bench.flows.known.is_empty());
}

#[test]
fn nothing_is_lost_until_a_pass_went_through() {
    let mut bench = Bench::settled(&[POD_1]);
    bench.tell(Change::Service(service("b", "10.96.0.20:53", None)));
    bench.pods("b", &[POD_1]);
    bench.flows.cleaned();
    // Two syncs, neither followed by a pass.
    bench.pods("a", &[POD_2]);
    bench.pods("b", &[POD_2]);
    bench.expect(&[(VIP, POD_1, STALE), ("10.96.0.20:53", POD_1, STALE)]);
    // The endpoint is back before anybody looked: its flows are right again.
    bench.pods("a", &[POD_1, POD_2]);
    bench.expect(&[(VIP, POD_1, KEPT), ("10.96.0.20:53", POD_1, STALE)]);
    bench.flows.cleaned();
    assert!(bench.suspects().is_none());
    // An event that changes nothing brings nothing up.
    bench.pods("a", &[POD_2, POD_1]);
    assert!(!bench.flows.is_pending());
}

#[test]
fn a_frontend_that_moves_is_judged_by_its_new_owner() {
    // Both claim the external IP; the older one, a, has it.
    let mut bench = Bench::settled(&[POD_1]);
    let younger = Service {
        created: 1,
        ..service("b", "10.96.0.20:53", None)
    };
    bench.tell(Change::Service(younger));
    bench.pods("b", &[POD_2]);
    bench.flows.cleaned();
    bench.gone("a");
    bench.expect(&[
        (EXTERNAL, POD_1, STALE),
        (EXTERNAL, EXTERNAL, STALE),
        (EXTERNAL, POD_2, KEPT),
        (VIP, POD_1, STALE),
    ]);
}

#[test]
fn what_all_suspects_share_narrows_the_search() {
    let mut bench = Bench::new();
    let mut plain = service("a", VIP, None);
    plain.external_ips.clear();
    bench.tell(Change::Service(plain));
    let suspects = bench.suspects().expect("a new frontend");
    assert_eq!(suspects.port(), Some(53));
    assert_eq!(suspects.address(), Some(backend(VIP).address));
    bench.tell(Change::Service(service("a", VIP, None)));
    let suspects = bench.suspects().expect("two frontends");
    assert_eq!((suspects.port(), suspects.address()), (Some(53), None));
    bench.tell(Change::Service(service("a", VIP, Some(30053))));
    let suspects = bench.suspects().expect("three frontends");
    assert_eq!((suspects.port(), suspects.address()), (None, None));
}

#[test]
fn families_are_kept_apart() {
    let mut state = State::new();
    let mut six = StaleFlows::new(Family::V6);
    let mut dual = service("a", VIP, Some(30053));
    state.apply(Change::Service(dual.clone()));
    let dirty = state.take_dirty();
    six.update(&state, &dirty);
    assert!(!six.is_pending(), "no cluster IP of the family");
    dual.cluster_ips
        .push("fd00:10:96::a".parse().expect("an address"));
    state.apply(Change::Service(dual));
    let dirty = state.take_dirty();
    six.update(&state, &dirty);
    let all: Vec<Option<IpAddr>> = six.changed.keys().map(|own| own.address).collect();
    assert_eq!(all.len(), 2, "the cluster IP and the node port: {all:?}");
    assert!(all.contains(&None));
}
