//! Single cases: what a change does to the chains.

use super::*;
use crate::Change;
use crate::histories::ip;
use crate::iptables::{Before, Kernel, Step as Told};
use crate::model::{Endpoint, EndpointPort, EndpointSlice, Hints, Protocol, Service, ServicePort};
use std::ops::Range;

fn service(number: u32) -> Service {
    Service {
        name: ObjectName::new("default", format!("s{number}")),
        cluster_ips: vec![std::net::Ipv4Addr::from_bits(0x0a60_0001 + number).into()],
        ports: vec![ServicePort {
            name: "p".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
        }],
        ..Service::default()
    }
}

fn slice(number: u32, endpoints: Range<u32>) -> Change {
    let endpoint = |own: u32| Endpoint {
        address: std::net::Ipv4Addr::from_bits(0x0af4_0001 + own).into(),
        node: None,
        ready: true,
        serving: true,
        terminating: false,
        hints: Hints::default(),
    };
    Change::Slice(EndpointSlice {
        name: ObjectName::new("default", format!("s{number}")),
        service: ObjectName::new("default", format!("s{number}")),
        family: Family::V4,
        ports: vec![EndpointPort {
            name: "p".into(),
            protocol: Protocol::Tcp,
            port: 8080,
        }],
        endpoints: endpoints.map(endpoint).collect(),
        last_change_trigger: None,
    })
}

/// A node whose tables hold so many Services with two endpoints each.
struct Node {
    state: State,
    planner: Planner,
    kernel: Memory,
}

impl Node {
    fn new(services: u32) -> Self {
        let mut node = Self {
            state: State::new(),
            planner: Planner::new(config(Family::V4)),
            kernel: Memory::new(),
        };
        for number in 0..services {
            node.state.apply(Change::Service(service(number)));
            node.state.apply(slice(number, 0..2));
        }
        node.sync();
        node
    }

    /// What is told to the kernel after a change.
    fn change(&mut self, change: Change) -> Vec<String> {
        self.state.apply(change);
        self.sync()
    }

    fn sync(&mut self) -> Vec<String> {
        self.planner.agenda.mark(&self.state.take_dirty());
        self.sync_from(&[])
    }

    fn sync_from(&mut self, local: &[IpAddr]) -> Vec<String> {
        let Some(pending) = self.planner.prepare(self.state.view(), local) else {
            return Vec::new();
        };
        let steps = told(&pending);
        let applied = self.kernel.apply(&pending.transaction);
        applied.expect("it takes it");
        self.planner.commit(pending);
        steps
    }

    fn chain(&self, table: Table, chain: ChainName) -> Vec<Rule> {
        self.kernel.chains(Family::V4)[&Object { table, chain }].clone()
    }
}

/// A transaction's steps in words, chains of Services by their kind.
fn told(pending: &Pending) -> Vec<String> {
    let kind = |chain: ChainName| match chain.is_of_service() {
        true => chain.as_str()[..8].trim_end_matches('-').to_owned(),
        false => chain.to_string(),
    };
    let mut steps = Vec::new();
    pending.transaction.steps.for_each_step(&mut |step| {
        steps.push(match step {
            Told::Make { chain, .. } => format!("make {chain}"),
            Told::Fill {
                table,
                chain,
                before,
                rules,
            } => {
                let (table, chain, count) = (table.name(), kind(chain), rules.len());
                match before {
                    Before::Absent => format!("new {table} {chain}: {count}"),
                    Before::Present => format!("again {table} {chain}: {count}"),
                    Before::Unknown => format!("{table} {chain}: {count}"),
                }
            }
            Told::Together => "together".to_owned(),
            Told::Delete { table, chain } => format!("delete {} {}", table.name(), kind(chain)),
        });
    });
    steps
}

#[test]
fn a_first_sync_says_everything() {
    let mut node = Node::new(1);
    node.planner.agenda.distrust();
    let steps = node.sync();
    let expected = [
        "make KUBE-MARK-MASQ",
        "nat KUBE-SEP: 2",
        "nat KUBE-SEP: 2",
        "nat KUBE-SVC: 3",
        "together",
        "filter KUBE-EXTERNAL-SERVICES: 0",
        "filter KUBE-FORWARD: 2",
        "filter KUBE-NODEPORTS: 0",
        "filter KUBE-PROXY-FIREWALL: 0",
        "filter KUBE-SERVICES: 0",
        "nat KUBE-MARK-MASQ: 1",
        "nat KUBE-NODEPORTS: 0",
        "nat KUBE-POSTROUTING: 3",
        "nat KUBE-SERVICES: 2",
    ];
    assert_eq!(steps, expected);
    assert!(node.planner.prepare(node.state.view(), &[]).is_none());
    node.planner.agenda.mark(&[name(0)]);
    assert!(node.planner.prepare(node.state.view(), &[]).is_none());
}

#[test]
fn a_replaced_endpoint_costs_the_same_among_any_number_of_services() {
    for services in [1, 2000] {
        let mut node = Node::new(services);
        // In the mode that there is already, as the number of endpoints decides.
        node.planner.agenda.distrust();
        node.sync();
        let before = node.kernel.filled;
        let steps = node.change(slice(0, 1..3));
        let expected = [
            "new nat KUBE-SEP: 2",
            "again nat KUBE-SVC: 3",
            "together",
            "delete nat KUBE-SEP",
        ];
        assert_eq!(steps, expected, "{services} Services");
        assert_eq!(node.kernel.filled - before, 5, "{services} Services");
    }
}

#[test]
fn services_come_and_go_with_their_chains() {
    let mut node = Node::new(1);
    let mut web = service(1);
    web.ports[0].node_port = Some(30080);
    web.load_balancer_ips = vec![ip("198.51.100.1")];
    web.source_ranges = ["203.0.113.0/24".parse().expect("a range")].into();
    assert_eq!(
        node.change(Change::Service(web.clone())),
        [
            "together",
            "again filter KUBE-EXTERNAL-SERVICES: 2",
            "again filter KUBE-SERVICES: 1",
        ],
        "it has no endpoints"
    );
    assert_eq!(
        node.change(slice(1, 0..1)),
        [
            "new nat KUBE-SEP: 2",
            "new nat KUBE-SVC: 2",
            "new nat KUBE-EXT: 2",
            "new nat KUBE-FW: 2",
            "together",
            "again filter KUBE-EXTERNAL-SERVICES: 0",
            "again filter KUBE-PROXY-FIREWALL: 1",
            "again filter KUBE-SERVICES: 0",
            "again nat KUBE-NODEPORTS: 1",
            "again nat KUBE-SERVICES: 4",
        ]
    );
    web.source_ranges = [].into();
    assert_eq!(
        node.change(Change::Service(web.clone())),
        [
            "together",
            "again filter KUBE-PROXY-FIREWALL: 0",
            "again nat KUBE-SERVICES: 4",
            "delete nat KUBE-FW",
        ]
    );
    assert_eq!(
        node.change(Change::ServiceGone(web.name)),
        [
            "together",
            "again nat KUBE-NODEPORTS: 0",
            "again nat KUBE-SERVICES: 2",
            "delete nat KUBE-EXT",
            "delete nat KUBE-SVC",
            "delete nat KUBE-SEP",
        ]
    );
}

#[test]
fn other_addresses_for_node_ports_are_other_rules_in_one_chain() {
    let mut node = Node::new(2);
    let config = |ranges: &[&str]| Config {
        nodeport_addresses: NodeportAddresses::Within(
            ranges
                .iter()
                .map(|own| own.parse().expect("a range"))
                .collect(),
        ),
        ..config(Family::V4)
    };
    let local = [ip("192.0.2.1"), ip("192.0.2.2"), ip("203.0.113.1")];
    node.planner.configure(config(&["192.0.2.0/24"]));
    let only = |count: usize| {
        [
            "together".to_owned(),
            format!("again nat KUBE-SERVICES: {count}"),
        ]
    };
    assert_eq!(node.sync_from(&local), only(4));
    assert_eq!(node.sync_from(&local[1..]), only(3), "an address is gone");
    node.planner.configure(config(&["203.0.113.0/24"]));
    assert_eq!(node.sync_from(&local), only(3));
    assert!(node.sync_from(&local).is_empty());
    assert_eq!(node.planner.summary().lines.expect("lines").nat, 7 + 14);

    node.planner.configure(Config {
        masquerade_all: true,
        ..config(&["203.0.113.0/24"])
    });
    assert!(
        node.planner.agenda.is_whole(),
        "it is in every Service's chain"
    );
}

#[test]
fn lost_jumps_are_put_back_without_the_rest() {
    let mut node = Node::new(3);
    let whole = node.kernel.chains(Family::V4);
    node.kernel.edit(Family::V4, |chains| {
        for jump in crate::iptables::setup::jumps() {
            let (table, chain) = (jump.table, jump.from);
            chains.remove(&Object { table, chain });
        }
    });
    node.planner.distrust_jumps();
    assert_eq!(node.sync(), ["together"]);
    assert_eq!(node.kernel.chains(Family::V4), whole);
    assert!(node.sync().is_empty(), "once");
}

#[test]
fn more_than_is_changed_at_once_is_written_whole() {
    let mut node = Node::new(3);
    node.planner.largest_change = 5;
    assert!(
        !node
            .change(slice(0, 1..3))
            .contains(&"make KUBE-MARK-MASQ".to_owned())
    );
    node.state.apply(slice(1, 2..4));
    node.planner.agenda.mark(&node.state.take_dirty());
    let pending = node
        .planner
        .prepare(node.state.view(), &[])
        .expect("something");
    let why = "7 rules change, which is too much at once; writing all";
    assert_eq!(
        (pending.replaces_all(), pending.why_all().as_deref()),
        (true, Some(why))
    );
}

/// The comments of a Service's endpoints, whether there are any.
fn speaks(node: &Node, number: u32) -> bool {
    let name = format!("default/s{number}:p");
    let chain = crate::iptables::names::PortChains::of(&name, Protocol::Tcp).cluster;
    let rules = node.chain(Table::Nat, chain);
    let last = rules.last().expect("a rule");
    last.matches
        .iter()
        .any(|own| matches!(own, Match::Comment(_)))
}

#[test]
fn comments_of_endpoints_go_and_come_with_what_is_written() {
    let mut node = Node::new(3);
    node.planner.large_beyond = 6;
    node.planner.agenda.distrust();
    node.sync();
    assert_eq!([0, 1, 2].map(|own| speaks(&node, own)), [true; 3]);
    assert!(node.planner.wants_periodic_replacement());

    let steps = node.change(slice(1, 0..3));
    assert_eq!([0, 1, 2].map(|own| speaks(&node, own)), [true, false, true]);
    assert!(!node.planner.wants_periodic_replacement());
    // All of its chains, as upstream writes all of them.
    let filled = |what: &str| steps.iter().filter(|step| step.starts_with(what)).count();
    assert_eq!([filled("new"), filled("again")], [1, 3], "{steps:?}");
    node.planner.agenda.mark(&[service(2).name]);
    node.sync();
    assert_eq!(
        [0, 1, 2].map(|own| speaks(&node, own)),
        [true, false, false]
    );

    node.change(slice(0, 0..1));
    assert_eq!(
        [0, 1, 2].map(|own| speaks(&node, own)),
        [true, false, false]
    );
    node.planner.agenda.distrust();
    node.sync();
    assert_eq!([0, 1, 2].map(|own| speaks(&node, own)), [true; 3]);
}

#[test]
fn a_refused_chain_is_known_by_its_service() {
    let mut node = Node::new(3);
    node.state.apply(slice(1, 5..6));
    node.state.apply(slice(2, 6..7));
    node.planner.agenda.mark(&node.state.take_dirty());
    let pending = node
        .planner
        .prepare(node.state.view(), &[])
        .expect("something");
    let mut last = None;
    pending.transaction.steps.for_each_step(&mut |step| {
        if let Told::Fill { table, chain, .. } = step {
            last = Some(Object { table, chain });
        }
    });
    let of_service = last.expect("a chain");
    let shared = Object {
        table: Table::Nat,
        chain: top::SERVICES,
    };
    let owners = |objects: &[Object]| node.planner.owners(&pending, objects);
    assert_eq!(owners(&[shared]), BTreeSet::new());
    assert_eq!(owners(&[of_service, shared]), [service(2).name].into());
}

#[test]
fn lines_are_counted_as_upstream_counts_them() {
    let mut node = Node::new(3);
    let lines = |node: &Node| {
        let lines = node.planner.summary().lines.expect("lines");
        [lines.filter, lines.nat, lines.nat_written]
    };
    // KUBE-FORWARD 2; POSTROUTING 3, MARK-MASQ 1, SERVICES 3 and the jump to node ports, seven of each Service.
    assert_eq!(lines(&node), [2, 8 + 21, 8 + 21]);
    node.change(slice(0, 1..3));
    assert_eq!(lines(&node), [2, 8 + 21, 8 + 7]);
    node.change(slice(0, 0..0));
    assert_eq!(lines(&node), [3, 7 + 14, 7]);
    // One that stays as it is is written by upstream nevertheless.
    node.planner.agenda.mark(&[service(1).name]);
    node.change(slice(0, 0..1));
    assert_eq!(lines(&node), [2, 8 + 14 + 4, 8 + 4 + 7]);
}
