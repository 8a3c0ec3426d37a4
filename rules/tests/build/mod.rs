//! Small clusters to print.

use rules::model::{
    Endpoint, EndpointPort, EndpointSlice, Family, Hints, Node, ObjectName, Protocol, Service,
    ServiceCidr, ServicePort,
};
use rules::nft::Table;
use rules::nft::{Kernel, Planner, print};
use rules::{Change, Config, LocalDetector, NodeportAddresses, State, iptables};
use std::net::IpAddr;

const NODE_V4: &str = "192.0.2.1";
const NODE_V6: &str = "2001:db8::1";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A node called n1 and what it has programmed.
pub struct Cluster {
    state: State,
    planner: Planner,
    kernel: Table,
}

impl Cluster {
    /// With the settings that a cluster usually has.
    pub fn new(family: Family) -> Self {
        let (pods, node) = match family {
            Family::V4 => ("10.244.0.0/16", NODE_V4),
            Family::V6 => ("fd00:10:244::/48", NODE_V6),
        };
        Self::with(Config {
            local_detector: LocalDetector::Source(pods.parse().expect("a range")),
            nodeport_addresses: NodeportAddresses::Within(vec![ip(node).into()]),
            ..Config::new(family, "n1")
        })
    }

    pub fn with(config: Config) -> Self {
        let mut state = State::new();
        state.apply(Change::Node(Node {
            name: "n1".into(),
            ..Node::default()
        }));
        Self {
            state,
            planner: Planner::new(config),
            kernel: Table::new(),
        }
    }

    pub fn service_cidr(&mut self, cidr: &str) {
        let cidrs = vec![cidr.parse().expect("a range")];
        self.state.apply(Change::ServiceCidr(ServiceCidr {
            name: "kubernetes".into(),
            cidrs,
        }));
    }

    /// The whole table, as the first sync makes it.
    pub fn table(mut self) -> String {
        self.sync()
    }

    /// The table of these settings without any Service.
    pub fn base(&self) -> String {
        Self::with(self.planner.config().clone()).table()
    }

    /// Adds or changes a Service and its slices; returns what that changes.
    pub fn add(&mut self, service: Service, slices: Vec<EndpointSlice>) -> String {
        self.sync();
        self.state.apply(Change::Service(service));
        for slice in slices {
            self.state.apply(Change::Slice(slice));
        }
        self.sync()
    }

    /// The same as chains of iptables.
    pub fn chains(&self) -> iptables::Ruleset {
        let local = [NODE_V4, NODE_V6, "127.0.0.1", "::1"].map(ip);
        iptables::ruleset(self.planner.config(), self.state.view(), &local)
    }

    fn sync(&mut self) -> String {
        self.planner.mark(&self.state.take_dirty());
        let Some(pending) =
            self.planner
                .prepare(&self.state, &[ip(NODE_V4), ip(NODE_V6)], Default::default)
        else {
            return String::new();
        };
        self.kernel
            .apply(&pending.transaction)
            .expect("the table takes it");
        let text = print::transaction(&pending.transaction);
        self.planner.commit(pending);
        text
    }
}

/// A ClusterIP Service with one port, both families.
pub fn service(name: &str) -> Service {
    Service {
        name: ObjectName::new("default", name),
        cluster_ips: vec![ip("10.96.0.1"), ip("fd00:10:96::1")],
        ports: vec![port("http", Protocol::Tcp, 80)],
        ..Service::default()
    }
}

fn port(name: &str, protocol: Protocol, port: u16) -> ServicePort {
    ServicePort {
        name: name.into(),
        protocol,
        port,
        node_port: None,
    }
}

/// A slice of each family with one ready endpoint on each of `nodes`.
pub fn endpoints(service: &str, nodes: &[&str]) -> Vec<EndpointSlice> {
    let ports = [("http", Protocol::Tcp, 8080)];
    Family::ALL
        .iter()
        .map(|family| slice(service, *family, &ports, nodes))
        .collect()
}

/// A Service with a port of every protocol, one of them without a name.
pub fn dns() -> Service {
    let ports = vec![
        port("dns", Protocol::Udp, 53),
        port("dns-tcp", Protocol::Tcp, 53),
        port("", Protocol::Sctp, 5060),
    ];
    Service {
        ports,
        ..service("dns")
    }
}

/// Endpoints for [`dns`].
pub fn dns_endpoints(nodes: &[&str]) -> Vec<EndpointSlice> {
    let ports = [
        ("dns", Protocol::Udp, 5353),
        ("dns-tcp", Protocol::Tcp, 5353),
        ("", Protocol::Sctp, 5060),
    ];
    vec![slice("dns", Family::V4, &ports, nodes)]
}

fn slice(
    service: &str,
    family: Family,
    ports: &[(&str, Protocol, u16)],
    nodes: &[&str],
) -> EndpointSlice {
    let address = |n: usize| match family {
        Family::V4 => ip(&format!("10.244.0.{}", n + 10)),
        Family::V6 => ip(&format!("fd00:10:244::{}", n + 10)),
    };
    let endpoint = |(n, node): (usize, &&str)| Endpoint {
        address: address(n),
        node: Some((*node).into()),
        ready: true,
        serving: true,
        terminating: false,
        hints: Hints::default(),
    };
    EndpointSlice {
        name: ObjectName::new("default", format!("{service}-{family}")),
        service: ObjectName::new("default", service),
        family,
        ports: ports
            .iter()
            .map(|(name, protocol, port)| EndpointPort {
                name: (*name).into(),
                protocol: *protocol,
                port: *port,
            })
            .collect(),
        endpoints: nodes.iter().enumerate().map(endpoint).collect(),
        last_change_trigger: None,
    }
}
