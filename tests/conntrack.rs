//! The kernel's flows, listed and deleted as the rules decide: every kind of
//! flow is put into a namespace, and what is left is counted.

use e2e::flows::{self, Flow, TCP, UDP};
use e2e::{Namespace, ip};
use kube_proxy::netlink::{Conntrack, Flows};
use rules::flows::{Deleted, FlowTable, StaleFlows};
use rules::model::{
    Endpoint, EndpointPort, EndpointSlice, Family, Hints, ObjectName, Protocol, Service,
    ServicePort,
};
use rules::usage::{Ports, Seen, Usage};
use rules::{Change, Config, NodeportAddresses, State};
use std::net::{IpAddr, SocketAddr};

/// A node with flows, and a UDP Service whose changes make some of them stale.
struct Table {
    namespace: Namespace,
    kernel: Conntrack,
    family: Family,
    state: State,
    stale: StaleFlows,
    next_client: u16,
}

const VIP: u16 = 10;
const OTHER_VIP: u16 = 11;

impl Table {
    fn new(family: Family) -> Self {
        let namespace = Namespace::create("flows").expect("a namespace");
        // Conntrack's sysctls are there once something asks for flows.
        let rules = "table inet own {\nchain in {\ntype filter hook input priority 0\n\
                     ct state new accept\n}\n}\n";
        namespace.nft(rules).expect("a rule");
        ip(&namespace, "address add 192.168.60.11/32 dev lo").expect("an address");
        let kernel = namespace.run(Conntrack::open).expect("the namespace");
        Self {
            namespace,
            kernel: kernel.expect("conntrack"),
            family,
            state: State::new(),
            stale: StaleFlows::new(family),
            next_client: 1000,
        }
    }

    fn address(&self, kind: &str, number: u16) -> IpAddr {
        let text = match (self.family, kind) {
            (Family::V4, "vip") => format!("10.96.0.{number}"),
            (Family::V4, "pod") => format!("10.244.1.{number}"),
            (Family::V4, _) => format!("192.168.60.{number}"),
            (Family::V6, "vip") => format!("fd00:10:96::{number:x}"),
            (Family::V6, "pod") => format!("fd00:10:244:1::{number:x}"),
            (Family::V6, _) => format!("fd00:60::{number:x}"),
        };
        text.parse().expect("an address")
    }

    fn vip(&self, number: u16) -> SocketAddr {
        SocketAddr::new(self.address("vip", number), 53)
    }

    fn pod(&self, number: u16) -> SocketAddr {
        SocketAddr::new(self.address("pod", number), 8053)
    }

    fn node(&self, number: u16, port: u16) -> SocketAddr {
        SocketAddr::new(self.address("node", number), port)
    }

    /// One flow more, from a client of its own.
    fn flow(&mut self, protocol: u8, destination: SocketAddr, answers: SocketAddr) {
        self.next_client += 1;
        let flow = Flow {
            protocol,
            source: SocketAddr::new(self.address("pod", 200), self.next_client),
            destination,
            answers,
        };
        flows::insert(&self.namespace, [flow]).expect("a new flow");
    }

    fn service(&mut self, name: &str, vip: u16, node_port: Option<u16>) {
        let service = Service {
            name: ObjectName::new("ns", name),
            origin: None,
            created: 0,
            cluster_ips: vec![self.address("vip", vip)],
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            ports: vec![ServicePort {
                name: "dns".into(),
                protocol: Protocol::Udp,
                port: 53,
                node_port,
            }],
            internal_policy: Default::default(),
            external_policy: Default::default(),
            health_check_node_port: None,
            kind: Default::default(),
            ..Service::default()
        };
        self.tell(Change::Service(service));
    }

    fn pods(&mut self, service: &str, pods: &[u16]) {
        let endpoint = |number: &u16| Endpoint {
            address: self.address("pod", *number),
            node: None,
            ready: true,
            serving: true,
            terminating: false,
            hints: Hints::default(),
        };
        let slice = EndpointSlice {
            name: ObjectName::new("ns", service),
            service: ObjectName::new("ns", service),
            family: self.family,
            ports: vec![EndpointPort {
                name: "dns".into(),
                protocol: Protocol::Udp,
                port: 8053,
            }],
            endpoints: pods.iter().map(endpoint).collect(),
            last_change_trigger: None,
        };
        self.tell(Change::Slice(slice));
    }

    fn tell(&mut self, event: Change) {
        self.state.apply(event);
        let dirty = self.state.take_dirty();
        self.stale.update(&self.state, &dirty);
    }

    /// One pass; what it listed and deleted, and how many flows are left.
    fn clean(&mut self) -> (u64, u64, u64) {
        let local = [self.address("node", 11)];
        let suspects = self
            .stale
            .suspects(&self.state, &NodeportAddresses::All, &local)
            .expect("something changed");
        let mut tally = Deleted::default();
        self.kernel
            .delete_stale(&suspects, &mut tally)
            .expect("a pass");
        self.stale.cleaned();
        let left = flows::count(&self.namespace).expect("a count");
        (tally.listed, tally.deleted, left)
    }
}

#[test]
fn stale_flows_go_and_no_others() {
    for family in Family::ALL {
        let mut table = Table::new(family);
        table.service("a", VIP, Some(30053));
        table.service("b", OTHER_VIP, None);
        table.pods("a", &[1, 2]);
        table.pods("b", &[1, 2]);
        assert_eq!(table.clean(), (0, 0, 0), "{family}: nothing there yet");

        let (vip, other) = (table.vip(VIP), table.vip(OTHER_VIP));
        let (one, two) = (table.pod(1), table.pod(2));
        let (own, remote) = (table.node(11, 30053), table.node(99, 30053));
        // Five that the loss of the first pod makes stale ...
        for (destination, answers) in [(vip, one), (vip, one), (vip, vip), (own, one), (own, own)] {
            table.flow(UDP, destination, answers);
        }
        // ... and eight that have nothing to do with it.
        for (destination, answers) in [
            (vip, two),
            (own, two),
            (other, one),
            (remote, remote),
            (one, one),
        ] {
            table.flow(UDP, destination, answers);
        }
        table.flow(TCP, vip, one);
        table.flow(TCP, own, one);
        table.flow(TCP, vip, vip);
        table.pods("a", &[2]);
        // The kernel leaves TCP out.
        assert_eq!(table.clean(), (10, 5, 8), "{family}: an endpoint goes");

        table.tell(Change::ServiceGone(ObjectName::new("ns", "a")));
        assert_eq!(table.clean(), (5, 2, 6), "{family}: a Service goes");
    }
}

#[test]
fn the_kernel_lists_only_what_may_be_stale() {
    for family in Family::ALL {
        let mut table = Table::new(family);
        table.service("a", VIP, None);
        table.pods("a", &[1]);
        table.clean();
        let (vip, other, one) = (table.vip(VIP), table.vip(OTHER_VIP), table.pod(1));
        let other_port = SocketAddr::new(vip.ip(), 54);
        for destination in [vip, other, other_port, one] {
            table.flow(UDP, destination, one);
        }
        table.pods("a", &[2]);
        // By address too, but not in IPv6, where the kernel gets that wrong.
        let listed = if family == Family::V4 { 1 } else { 2 };
        assert_eq!(
            table.clean(),
            (listed, 1, 3),
            "{family}: by address and port"
        );
        table.flow(UDP, vip, one);
        table.service("b", OTHER_VIP, None);
        table.pods("b", &[2]);
        table.pods("a", &[3]);
        assert_eq!(table.clean(), (2, 2, 2), "{family}: by port");
    }
}

#[test]
fn a_pass_deletes_more_than_one_chunk() {
    const FLOWS: u16 = 5000;
    let mut table = Table::new(Family::V4);
    table.service("a", VIP, None);
    table.pods("a", &[2]);
    let (vip, client) = (table.vip(VIP), table.address("pod", 200));
    let (one, two) = (table.pod(1), table.pod(2));
    let flows = (0..FLOWS).map(|number| Flow {
        protocol: UDP,
        source: SocketAddr::new(client, 1000 + number),
        destination: vip,
        answers: if number % 5 == 0 { two } else { one },
    });
    flows::insert(&table.namespace, flows).expect("new flows");
    let kept = u64::from(FLOWS) / 5;
    let (listed, deleted, left) = table.clean();
    assert_eq!((deleted, left), (4 * kept, kept));
    assert!(listed >= 5 * kept, "{listed} listed");
}

#[test]
fn asking_for_conntrack_is_answered() {
    let namespace = Namespace::create("load").expect("a namespace");
    let answer = namespace.run(|| Conntrack::open()?.load());
    answer.expect("the namespace").expect("an answer");
}

#[test]
fn flows_are_counted_by_port_and_endpoint() {
    for family in Family::ALL {
        let mut table = Table::new(family);
        table.service("a", VIP, Some(30053));
        table.service("b", OTHER_VIP, None);
        table.pods("a", &[1, 2]);
        table.pods("b", &[1]);
        let (vip, other) = (table.vip(VIP), table.vip(OTHER_VIP));
        let (one, two, gone) = (table.pod(1), table.pod(2), table.pod(77));
        let (own, remote) = (table.node(11, 30053), table.node(99, 8080));
        for (destination, answers) in [
            (vip, one),
            (vip, one),
            (own, one),
            (vip, two),
            (vip, gone),
            (other, one),
            // Somebody else's translation, and three that are none.
            (remote, one),
            (vip, vip),
            (own, own),
            (one, one),
        ] {
            table.flow(UDP, destination, answers);
        }
        // Another protocol than the Service's.
        table.flow(TCP, vip, one);

        let config = [Config::new(family, "n1")];
        let ports = Ports::new(table.state.view(), &config);
        let mut flows = table
            .namespace
            .run(Flows::open)
            .expect("the namespace")
            .expect("a socket");
        let counts = |usage: &Usage<'_>, service: &str| -> Vec<u64> {
            let name = ObjectName::new("ns", service);
            let port = usage.of_service(&name).next().expect("a port");
            let endpoints = port.endpoints().map(|(_, tally)| tally.open);
            endpoints.chain([port.elsewhere().open]).collect()
        };
        let usage = flows.usage(&ports).expect("flows");
        assert_eq!(counts(&usage, "a"), [3, 1, 1], "{family}");
        assert_eq!(counts(&usage, "b"), [1, 0], "{family}");
        assert_eq!(usage.other().open, 2, "{family}");
        let room = flows.room().expect("an answer");
        assert_eq!(room.entries, 11, "{family}");
        assert!(
            room.limit.is_none_or(|limit| limit > 11),
            "{family}: {room:?}"
        );

        let mut seen = Seen::new();
        for (added, new) in [(0, 0), (0, 0), (3, 3), (1, 1)] {
            (0..added).for_each(|_| table.flow(UDP, vip, two));
            let usage = flows.look(&ports, &mut seen).expect("flows");
            let total: u64 = usage.ports().map(|port| port.total().new).sum();
            assert_eq!(total, new, "{family}");
        }
    }
}
