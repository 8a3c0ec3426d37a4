//! Two nodes, an outside client, and node-1 programmed by the planner of nftables or by chains of
//! iptables.

use e2e::address::{CLIENT, ECHO_PORT, Pair, cluster_ip, node, virtual_ip};
use e2e::client::{Outcome, PATIENCE, dial, dial_udp};
use e2e::{Bed, Namespace, Pod as BedPod, ip};
use kube_proxy::netlink::{Iptables, Nftables};
use rules::iptables::IptablesBackend;
use rules::model::{
    Endpoint, EndpointPort, EndpointSlice, Family, Hints, ObjectName, Protocol, Service,
    ServiceCidr, ServicePort,
};
use rules::nft::{Kernel, Planner};
use rules::{Backend, Change, Config, LocalDetector, NodeportAddresses, State};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Connections until both of two endpoints have surely answered: missing one
/// has a chance of 2^-24.
const TRIES: usize = 24;
/// What is dropped stays so; nothing here answers later than this.
const SILENCE: Duration = Duration::from_millis(300);

/// Where a packet comes from; node-1 is the node under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A pod of node-1.
    Pod,
    /// Node-1 itself.
    Node,
    /// Node-2, by way of node-1.
    OtherNode,
    /// The client outside.
    Outside,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    /// Every endpoint answers; each sees the client's own address.
    Preserved,
    /// Every endpoint answers; each sees an address of node-1.
    Masqueraded,
    /// Only endpoints on node-1 answer; they see the client's address if true.
    Local(bool),
    /// Port unreachable, or a reset.
    Refused,
    /// Nothing.
    Dropped,
}

/// The name of the endpoint on a node.
pub fn echo(node: u8) -> String {
    format!("echo-{node}")
}

/// Which rules node-1 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A table of nftables, by the product's own netlink module.
    Nftables,
    /// Chains of iptables, by the same module.
    Iptables,
}

impl Mode {
    /// Each family in each mode.
    pub fn in_families() -> impl Iterator<Item = (Self, Family)> {
        let modes = [Self::Nftables, Self::Iptables].into_iter();
        modes.flat_map(|mode| Family::ALL.into_iter().map(move |family| (mode, family)))
    }
}

/// Who programs node-1.
enum Programmer {
    Nftables(Box<Planner>, Nftables),
    Iptables(Box<IptablesBackend<Iptables>>, Iptables),
}

/// The bed, one family's planner, and the netlink socket inside node-1.
pub struct Rig {
    bed: Bed,
    family: Family,
    endpoints: Vec<BedPod>,
    client_pod: BedPod,
    state: State,
    programmer: Programmer,
    wanted: BTreeSet<String>,
}

impl Rig {
    pub fn new(family: Family) -> Self {
        Self::of_mode(family, Mode::Nftables)
    }

    pub fn of_mode(family: Family, mode: Mode) -> Self {
        let bed = Bed::build(2).expect("a bed of two nodes");
        let pod = |at: usize, name: &str| bed.nodes()[at].pod(name).expect("a pod");
        let endpoints = vec![pod(0, &echo(1)), pod(1, &echo(2))];
        let client_pod = pod(0, "client-pod");
        route_services_to_node_1(&bed);
        let (cluster_cidr, service_cidr) = match family {
            Family::V4 => ("10.244.0.0/16", "10.96.0.0/16"),
            Family::V6 => ("fd00:10:244::/48", "fd00:10:96::/112"),
        };
        let node_ip = of(family, node(1));
        let config = Config {
            local_detector: LocalDetector::Source(cluster_cidr.parse().expect("a range")),
            nodeport_addresses: NodeportAddresses::Within(vec![node_ip.into()]),
            count_services: true,
            ..Config::new(family, "node-1")
        };
        let mut state = State::new();
        let cidrs = vec![service_cidr.parse().expect("a range")];
        state.apply(Change::ServiceCidr(ServiceCidr {
            name: "kubernetes".into(),
            cidrs,
        }));
        let programmer = match mode {
            Mode::Nftables => {
                let kernel = bed.nodes()[0].namespace().run(Nftables::open);
                let kernel = kernel.expect("node-1's namespace").expect("nf_tables");
                Programmer::Nftables(Box::new(Planner::new(config)), kernel)
            }
            Mode::Iptables => {
                let kernel = bed.nodes()[0].namespace().run(Iptables::open);
                let kernel = kernel.expect("node-1's namespace").expect("nf_tables");
                Programmer::Iptables(Box::new(IptablesBackend::new(config)), kernel)
            }
        };
        Self {
            bed,
            family,
            endpoints,
            client_pod,
            state,
            programmer,
            wanted: BTreeSet::new(),
        }
    }

    /// Other settings, from the next [`program`](Self::program) on.
    pub fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        match &mut self.programmer {
            Programmer::Nftables(planner, _) => {
                let mut config = planner.config().clone();
                change(&mut config);
                planner.configure(config);
            }
            Programmer::Iptables(backend, _) => {
                let mut config = backend.config().clone();
                change(&mut config);
                backend.configure(config);
            }
        }
    }

    /// Does something where an endpoint is.
    pub fn at_endpoint<T: Send>(&self, number: usize, work: impl FnOnce() -> T + Send) -> T {
        let namespace = self.endpoints[number - 1].namespace();
        namespace.run(work).expect("the pod's namespace")
    }

    pub fn family(&self) -> Family {
        self.family
    }

    /// Does something in the namespace of the node with the rules.
    pub fn on_node_1<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = self.bed.nodes()[0].namespace();
        namespace.run(work).expect("node-1's namespace")
    }

    /// A Service with every kind of frontend, TCP and UDP.
    pub fn service(&self) -> Service {
        let port = |name: &str, protocol| ServicePort {
            name: name.into(),
            protocol,
            port: 80,
            node_port: Some(30080),
        };
        Service {
            name: ObjectName::new("default", "echo"),
            cluster_ips: vec![self.cluster_ip()],
            external_ips: vec![self.external_ip()],
            ports: vec![port("tcp", Protocol::Tcp), port("udp", Protocol::Udp)],
            kind: rules::model::ServiceType::NodePort,
            ..Service::default()
        }
    }

    pub fn cluster_ip(&self) -> IpAddr {
        of(self.family, cluster_ip(10))
    }

    pub fn unallocated_ip(&self) -> IpAddr {
        of(self.family, cluster_ip(99))
    }

    pub fn external_ip(&self) -> IpAddr {
        of(self.family, virtual_ip(10))
    }

    pub fn node_ip(&self) -> IpAddr {
        of(self.family, node(1))
    }

    pub fn endpoint_ip(&self, number: usize) -> IpAddr {
        of(self.family, self.endpoints[number - 1].addresses())
    }

    /// Which rules it has.
    pub fn mode(&self) -> Mode {
        match self.programmer {
            Programmer::Nftables(..) => Mode::Nftables,
            Programmer::Iptables(..) => Mode::Iptables,
        }
    }

    /// Brings node-1's rules to this Service with endpoints on these nodes.
    pub fn program(&mut self, service: Service, nodes: &[u8]) {
        self.wanted = nodes.iter().map(|node| echo(*node)).collect();
        let port = |name: &str, protocol| EndpointPort {
            name: name.into(),
            protocol,
            port: ECHO_PORT,
        };
        let endpoint = |node: &u8| Endpoint {
            address: self.endpoint_ip(usize::from(*node)),
            node: Some(format!("node-{node}").into()),
            ready: true,
            serving: true,
            terminating: false,
            hints: Hints::default(),
        };
        let slice = EndpointSlice {
            name: ObjectName::new("default", "echo-1"),
            service: service.name.clone(),
            family: self.family,
            ports: vec![port("tcp", Protocol::Tcp), port("udp", Protocol::Udp)],
            endpoints: nodes.iter().map(endpoint).collect(),
            last_change_trigger: None,
        };
        self.state.apply(Change::Service(service));
        self.state.apply(Change::Slice(slice));
        let dirty = self.state.take_dirty();
        let local = [self.node_ip()];
        match &mut self.programmer {
            Programmer::Nftables(planner, kernel) => {
                planner.mark(&dirty);
                if let Some(pending) = planner.prepare(&self.state, &local, Default::default) {
                    kernel
                        .apply(&pending.transaction)
                        .expect("the kernel takes the rules");
                    planner.commit(pending);
                }
            }
            Programmer::Iptables(backend, kernel) => {
                backend.mark(&dirty);
                let view = self.state.view();
                if let Some(pending) = backend.prepare(view, &local, Default::default) {
                    backend
                        .apply(kernel, &pending)
                        .expect("the kernel takes the rules");
                    backend.commit(pending);
                }
            }
        }
    }

    /// Sends packets and compares what became of them.
    pub fn check(
        &self,
        source: Source,
        (address, port): (IpAddr, u16),
        protocol: Protocol,
        expect: Expect,
    ) -> Result<(), String> {
        let target = SocketAddr::new(address, port);
        let (namespace, own) = self.source(source);
        let (tries, patience) = match expect {
            Expect::Dropped => (1, SILENCE),
            // A reject may be heeded at the second SYN only: see PATIENCE.
            Expect::Refused => (1, PATIENCE),
            _ => (TRIES, PATIENCE),
        };
        let outcomes = namespace.run(|| {
            let dial = if protocol == Protocol::Udp {
                dial_udp
            } else {
                dial
            };
            (0..tries)
                .map(|_| dial(target, patience))
                .collect::<Vec<_>>()
        });
        let outcomes = outcomes.map_err(|error| error.to_string())?;
        let (pods, seen) = match expect {
            Expect::Refused => return same(&outcomes[0], &Outcome::Refused),
            Expect::Dropped => return same(&outcomes[0], &Outcome::Dropped),
            Expect::Preserved => (self.wanted.clone(), own),
            Expect::Masqueraded => (self.wanted.clone(), self.node_ip()),
            Expect::Local(true) => (BTreeSet::from([echo(1)]), own),
            Expect::Local(false) => (BTreeSet::from([echo(1)]), self.node_ip()),
        };
        let mut answered = BTreeSet::new();
        for outcome in &outcomes {
            let Outcome::Answered(answer) = outcome else {
                return Err(outcome.to_string());
            };
            // The node's way to its own pod needs no other address than its own.
            if answer.client != seen {
                return Err(format!("{outcome}, not {seen}"));
            }
            answered.insert(answer.pod.clone());
        }
        if answered == pods {
            Ok(())
        } else {
            Err(format!("{answered:?} answered, not {pods:?}"))
        }
    }

    /// Which endpoints answer many connections; all of them must be answered.
    pub fn answering(
        &self,
        source: Source,
        (address, port): (IpAddr, u16),
        protocol: Protocol,
    ) -> BTreeSet<String> {
        let target = SocketAddr::new(address, port);
        let (namespace, _) = self.source(source);
        let dial = if protocol == Protocol::Udp {
            dial_udp
        } else {
            dial
        };
        let outcomes = namespace.run(|| (0..TRIES).map(|_| dial(target, PATIENCE)).collect());
        let outcomes: Vec<Outcome> = outcomes.expect("the source's namespace");
        let answered = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Answered(answer) => answer.pod,
            other => panic!("{target} {protocol} from {source:?}: {other}"),
        });
        answered.collect()
    }

    /// One connection from the endpoint on a node: the pod that answered and
    /// the client's address that it saw.
    pub fn dial_from_endpoint(
        &self,
        number: usize,
        (address, port): (IpAddr, u16),
    ) -> Option<(String, IpAddr)> {
        let target = SocketAddr::new(address, port);
        match self.endpoints[number - 1]
            .namespace()
            .dial(target)
            .expect("the pod's namespace")
        {
            Outcome::Answered(answer) => Some((answer.pod, answer.client)),
            _ => None,
        }
    }

    /// The namespace of the node under test.
    pub fn node(&self) -> &Namespace {
        self.bed.nodes()[0].namespace()
    }

    /// The endpoints that the Service has.
    pub fn wanted(&self) -> &BTreeSet<String> {
        &self.wanted
    }

    /// Where a source is, and its address.
    pub fn source(&self, source: Source) -> (&Namespace, IpAddr) {
        let nodes = self.bed.nodes();
        let (namespace, addresses) = match source {
            Source::Pod => (self.client_pod.namespace(), self.client_pod.addresses()),
            Source::Node => (nodes[0].namespace(), node(1)),
            Source::OtherNode => (nodes[1].namespace(), node(2)),
            Source::Outside => (self.bed.client(), CLIENT),
        };
        (namespace, of(self.family, addresses))
    }
}

fn same(outcome: &Outcome, wanted: &Outcome) -> Result<(), String> {
    if outcome == wanted {
        Ok(())
    } else {
        Err(format!("{outcome}, not {wanted}"))
    }
}

fn of(family: Family, pair: Pair) -> IpAddr {
    match family {
        Family::V4 => pair.v4.into(),
        Family::V6 => pair.v6.into(),
    }
}

/// Cluster and load-balancer addresses reach the node under test from
/// everywhere, as if it announced them.
fn route_services_to_node_1(bed: &Bed) {
    let Pair { v4, v6 } = node(1);
    let routes = format!(
        "route add 10.96.0.0/16 via {v4}\nroute add 198.51.100.0/24 via {v4}\n\
         -6 route add fd00:10:96::/112 via {v6}\n-6 route add 2001:db8:100::/64 via {v6}"
    );
    for namespace in [bed.balancer().namespace(), bed.nodes()[1].namespace()] {
        ip(namespace, &routes).expect("routes to the Services");
    }
}
