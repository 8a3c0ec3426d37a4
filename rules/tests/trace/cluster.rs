//! A small cluster with one Service, and packets by name.

use crate::names::{address, address_of, endpoint, loopback};
use oracle::Mode;
use rules::iptables::trace::Chains;
use rules::iptables::{self, names};
use rules::model::{
    Endpoint, EndpointAddr, EndpointPort, EndpointSlice, Family, Node, ObjectName, Protocol,
    Service, ServiceCidr, ServicePort,
};
use rules::nft::Table;
use rules::nft::ruleset::{AffinitySet, PortName};
use rules::nft::trace::{Trace, Tracer};
use rules::nft::{Kernel, Planner};
use rules::trace::{End, Origin, Packet, Way};
use rules::{Change, Config, LocalDetector, NodeportAddresses, State};
use std::net::IpAddr;
use std::sync::Arc;

/// What a node has programmed.
pub enum Programmed {
    Nftables(Table),
    Iptables(Chains),
}

#[derive(Clone)]
pub struct Cluster {
    pub config: Config,
    pub service: Service,
    pub others: Vec<Service>,
    pub zone: Option<&'static str>,
    /// `:81` and `:80` below are of this protocol.
    pub protocol: Protocol,
    pub service_range: bool,
    /// Also on the node's interfaces, by the names of destinations.
    pub on_node: Vec<&'static str>,
    endpoints: Vec<(&'static str, Endpoint)>,
    remembered: Vec<(&'static str, &'static str)>,
}

fn both(network: &str, n: u8) -> Vec<IpAddr> {
    Family::ALL.map(|family| address(family, network, n)).into()
}

/// A Service with a frontend of each kind in both families.
pub fn service(name: &str, protocol: Protocol) -> Service {
    Service {
        name: ObjectName::new("default", name),
        cluster_ips: both("cluster", 1),
        external_ips: both("external", 1),
        load_balancer_ips: both("external", 2),
        ports: vec![ServicePort {
            name: "http".into(),
            protocol,
            port: 80,
            node_port: Some(30080),
        }],
        ..Service::default()
    }
}

impl Cluster {
    pub fn new(family: Family) -> Self {
        let pods = match family {
            Family::V4 => "10.244.0.0/24",
            Family::V6 => "fd00:10:244::/64",
        };
        Self {
            config: Config {
                local_detector: LocalDetector::Source(pods.parse().expect("a range")),
                nodeport_addresses: NodeportAddresses::Within(vec![
                    address(family, "node", 1).into(),
                ]),
                ..Config::new(family, "n1")
            },
            service: service("web", Protocol::Tcp),
            others: Vec::new(),
            zone: None,
            protocol: Protocol::Tcp,
            service_range: true,
            on_node: Vec::new(),
            endpoints: Vec::new(),
            remembered: Vec::new(),
        }
    }

    pub fn endpoints(mut self, all: &'static str) -> Self {
        let family = self.config.family;
        self.endpoints = all.split(' ').map(|text| endpoint(family, text)).collect();
        self
    }

    pub fn with(mut self, change: impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The endpoint remembers the source, by their names.
    pub fn remember(mut self, source: &'static str, endpoint: &'static str) -> Self {
        self.remembered.push((source, endpoint));
        self
    }

    /// What becomes of a packet: `a b*` if it reaches endpoints a and b, the
    /// second one with the node's address as its source. And how.
    pub fn ends(
        &self,
        programmed: &Programmed,
        source: &str,
        destination: &str,
    ) -> (String, String) {
        let (ends, trace) = match programmed {
            Programmed::Nftables(table) => {
                let trace = self.trace_in(table, source, destination);
                (trace.ends(), trace.to_string())
            }
            Programmed::Iptables(chains) => {
                let trace = self.trace_through(chains, source, destination);
                (trace.ends(), trace.to_string())
            }
        };
        let mut words: Vec<String> = ends.iter().map(|end| self.word(end)).collect();
        words.sort_unstable();
        (words.join(" "), trace)
    }

    /// A packet's way through chains of iptables.
    pub fn trace_through(
        &self,
        chains: &Chains,
        source: &str,
        destination: &str,
    ) -> iptables::trace::Trace {
        let packet = self.packet(source, destination);
        self.chain_tracer(chains).explain(&packet)
    }

    /// The ways of a packet through chains of iptables.
    pub fn ways_through_chains(&self, source: &str, destination: &str) -> Vec<Way> {
        let chains = self.chains();
        let tracer = self.chain_tracer(&chains);
        tracer.ways(&tracer.explain(&self.packet(source, destination)))
    }

    fn chain_tracer<'a>(&self, chains: &'a Chains) -> iptables::trace::Tracer<'a> {
        let mut tracer = iptables::trace::Tracer::new(chains, self.node_addresses());
        for (client, name) in &self.remembered {
            let endpoint = names::endpoint_name(&self.clients_of(name).backend);
            let port = names::port_name(&self.service.name, &self.service.ports[0].name);
            let chain = names::endpoint_chain(&port, self.protocol, &endpoint);
            tracer.remember(chain, self.source(client).1);
        }
        tracer
    }

    /// What the node has programmed in a mode.
    pub fn programmed(&self, mode: Mode) -> Programmed {
        match mode {
            Mode::Nftables => Programmed::Nftables(self.table()),
            Mode::Iptables => Programmed::Iptables(self.chains()),
        }
    }

    /// The chains of mode iptables.
    pub fn chains(&self) -> Chains {
        let state = self.state();
        let addresses = self.node_addresses();
        Chains::planned(&iptables::ruleset(&self.config, state.view(), &addresses))
    }

    pub fn trace(&self, source: &str, destination: &str) -> Trace {
        self.trace_in(&self.table(), source, destination)
    }

    /// The ways of a packet.
    pub fn ways(&self, source: &str, destination: &str) -> Vec<Way> {
        let table = self.table();
        let tracer = self.tracer(&table);
        tracer.ways(&tracer.explain(&self.packet(source, destination)))
    }

    fn trace_in(&self, table: &Table, source: &str, destination: &str) -> Trace {
        let packet = self.packet(source, destination);
        self.tracer(table).explain(&packet)
    }

    fn tracer<'a>(&self, table: &'a Table) -> Tracer<'a> {
        let mut tracer = Tracer::new(table, self.node_addresses());
        for (client, name) in &self.remembered {
            tracer.remember(self.clients_of(name), self.source(client).1);
        }
        tracer
    }

    /// The clients that an endpoint remembers.
    pub fn clients_of(&self, endpoint: &str) -> AffinitySet {
        AffinitySet {
            port: PortName::new(&self.service.name, self.protocol, 80),
            backend: EndpointAddr {
                address: address_of(self.config.family, endpoint),
                port: 8080,
            },
        }
    }

    fn word(&self, end: &End) -> String {
        let star = |masquerade: &bool| if *masquerade { "*" } else { "" };
        match end {
            End::Endpoint {
                backend,
                masquerade,
            } => {
                let mut known = self.endpoints.iter();
                let own = known.find(|(_, own)| own.address == backend.address);
                let (name, _) = own.expect("an endpoint of the Service");
                assert_eq!(backend.port, 8080);
                format!("{name}{}", star(masquerade))
            }
            End::Untranslated { masquerade } => format!("untouched{}", star(masquerade)),
            End::Rejected => "rejected".to_owned(),
            End::Dropped => "dropped".to_owned(),
        }
    }

    fn packet(&self, source: &str, destination: &str) -> Packet {
        let (origin, source) = self.source(source);
        let (destination, port) = self.destination(destination);
        Packet {
            origin,
            protocol: self.protocol,
            source,
            destination,
            port,
        }
    }

    fn source(&self, name: &str) -> (Origin, IpAddr) {
        let family = self.config.family;
        let by = |name: &str| Origin::Interface(name.into());
        match name {
            "pod" => (by("cni0"), address(family, "here", 200)),
            "far-pod" => (by("eth0"), address(family, "there", 200)),
            "node" => (Origin::Node, address(family, "node", 1)),
            "loopback" => (Origin::Node, loopback(family)),
            "balancer" => (Origin::Node, address(family, "external", 2)),
            "other-node" => (by("eth0"), address(family, "node", 9)),
            "outside" => (by("eth0"), address(family, "outside", 9)),
            endpoint => (by("cni0"), address_of(family, endpoint)),
        }
    }

    fn destination(&self, name: &str) -> (IpAddr, u16) {
        let family = self.config.family;
        let (name, port) = match name.split_once(':') {
            Some((name, port)) => (name, port.parse().expect("a port")),
            None if name.starts_with("nodeport") => (name, 30080),
            None => (name, 80),
        };
        let address = match name {
            "cluster" => address(family, "cluster", 1),
            "unallocated" => address(family, "cluster", 200),
            "external" => address(family, "external", 1),
            "balancer" => address(family, "external", 2),
            "nodeport" => address(family, "node", 1),
            "nodeport@second" => address(family, "node", 2),
            "nodeport@other-node" => address(family, "node", 9),
            "nodeport@loopback" => loopback(family),
            endpoint => address_of(family, endpoint),
        };
        (address, port)
    }

    fn node_addresses(&self) -> Vec<IpAddr> {
        let own = ["nodeport", "nodeport@second", "nodeport@loopback"];
        let all = own.iter().chain(&self.on_node);
        all.map(|name| self.destination(name).0).collect()
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.apply(Change::Node(Node {
            name: "n1".into(),
            zone: self.zone.map(Arc::from),
            ..Node::default()
        }));
        if self.service_range {
            let cidrs =
                ["10.96.0.0/16", "fd00:10:96::/112"].map(|own| own.parse().expect("a range"));
            state.apply(Change::ServiceCidr(ServiceCidr {
                name: "kubernetes".into(),
                cidrs: cidrs.into(),
            }));
        }
        state.apply(Change::Service(self.service.clone()));
        for service in &self.others {
            state.apply(Change::Service(service.clone()));
        }
        state.apply(Change::Slice(self.slice()));
        state
    }

    /// The table of mode nftables.
    pub fn table(&self) -> Table {
        let state = self.state();
        let mut kernel = Table::new();
        let mut planner = Planner::new(self.config.clone());
        let pending = planner.prepare(&state, &self.node_addresses(), Default::default);
        let pending = pending.expect("a first sync");
        let applied = kernel.apply(&pending.transaction);
        applied.expect("the table takes it");
        kernel
    }

    fn slice(&self) -> EndpointSlice {
        EndpointSlice {
            name: ObjectName::new("default", "web-1"),
            service: self.service.name.clone(),
            family: self.config.family,
            ports: vec![EndpointPort {
                name: "http".into(),
                protocol: self.protocol,
                port: 8080,
            }],
            endpoints: self.endpoints.iter().map(|(_, own)| own.clone()).collect(),
            last_change_trigger: None,
        }
    }
}
