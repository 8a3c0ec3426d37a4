//! Random clusters, histories and packets. What the API server keeps apart is
//! kept apart (cluster IPs, node ports); external and load-balancer IPs are
//! drawn from so few that Services share them.

mod objects;
mod packet;

pub use packet::{PacketSeed, packet};

use ipnet::IpNet;
use objects::{node, service, slice};
use oracle::World;
use proptest::collection::vec;
use proptest::prelude::*;
use rules::model::{Family, ObjectName, Protocol, ServiceCidr};
use rules::{Change, Config, LocalDetector, NodeportAddresses};
use std::collections::BTreeMap;
use std::net::IpAddr;

const SERVICES: u8 = 5;
const SLICES: u8 = 8;
/// Service ports: name, protocol, port, the endpoints' port. The last one's
/// ports are the node port of another Service, to see them kept apart.
const PORTS: [(&str, Protocol, u16, u16); 4] = [
    ("a", Protocol::Tcp, 80, 8080),
    ("b", Protocol::Udp, 80, 8080),
    ("", Protocol::Sctp, 80, 8080),
    ("d", Protocol::Tcp, 30000, 30004),
];
/// An endpoint that several slices name.
const SHARED: u8 = 99;

#[derive(Clone, Debug)]
pub enum Step {
    Change(Change),
    /// Other settings, as a changed Node object brings them.
    Configure(Config),
    /// The node's interfaces have other addresses from now on.
    Addresses(Vec<IpAddr>),
    Sync,
    /// A sync that the kernel refuses.
    Refused,
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn range(text: &str) -> IpNet {
    text.parse().expect("a range")
}

/// The `n`-th address of a network.
fn address(family: Family, network: &str, n: u8) -> IpAddr {
    match (family, network) {
        (Family::V4, "pod") => ip(&format!("10.244.0.{n}")),
        (Family::V4, "cluster") => ip(&format!("10.96.0.{n}")),
        (Family::V4, "external") => ip(&format!("198.51.100.{n}")),
        (Family::V4, "node") => ip(&format!("192.0.2.{n}")),
        (Family::V4, _) => ip(&format!("203.0.113.{n}")),
        (Family::V6, "pod") => ip(&format!("fd00:10:244::{n:x}")),
        (Family::V6, "cluster") => ip(&format!("fd00:10:96::{n:x}")),
        (Family::V6, "external") => ip(&format!("2001:db8:1::{n:x}")),
        (Family::V6, "node") => ip(&format!("2001:db8:2::{n:x}")),
        (Family::V6, _) => ip(&format!("2001:db8:3::{n:x}")),
    }
}

fn name(prefix: &str, n: u8) -> ObjectName {
    ObjectName::new("default", format!("{prefix}{n}"))
}

/// Two addresses, sometimes one of the external ones, sometimes one less.
fn node_addresses() -> impl Strategy<Value = Vec<IpAddr>> {
    (any::<bool>(), any::<bool>()).prop_map(|(external, second)| {
        let of_family = |family| {
            let mut own = vec![address(family, "node", 1), address(family, "pod", 254)];
            own.extend(external.then(|| address(family, "external", 1)));
            own.extend(second.then(|| address(family, "node", 2)));
            own
        };
        Family::ALL.into_iter().flat_map(of_family).collect()
    })
}

prop_compose! {
    fn config(family: Family)(
        detector in 0u8..5,
        masquerade_all in prop::bool::weighted(0.2),
        listed: bool,
        node_ip: bool,
        localhost_nodeports: bool,
    ) -> Config {
        let interface = |name: &str, wildcard| LocalDetector::Interface {
            name: name.into(),
            wildcard,
        };
        let (pods, own) = match family {
            Family::V4 => ("10.244.0.0/25", "192.0.2.0/31"),
            Family::V6 => ("fd00:10:244::/121", "2001:db8:2::/127"),
        };
        Config {
            masquerade_all,
            local_detector: match detector {
                0 => LocalDetector::None,
                1 => interface("cni0", false),
                2 => interface("cali", true),
                _ => LocalDetector::Source(range(pods)),
            },
            nodeport_addresses: match listed {
                true => NodeportAddresses::Within(vec![range(own)]),
                false => NodeportAddresses::All,
            },
            node_ip: node_ip.then(|| address(family, "node", 1)),
            localhost_nodeports,
            ..Config::new(family, "n1")
        }
    }
}

/// Settings and addresses of a cluster that holds nothing yet.
pub fn world(family: Family) -> impl Strategy<Value = World> {
    (config(family), node_addresses()).prop_map(|(config, addresses)| World {
        config,
        cidrs: Vec::new(),
        addresses,
        node: None,
        services: BTreeMap::new(),
        slices: BTreeMap::new(),
    })
}

fn service_cidr(there: bool) -> Change {
    let name = "kubernetes";
    if !there {
        return Change::ServiceCidrGone(name.into());
    }
    Change::ServiceCidr(ServiceCidr {
        name: name.into(),
        cidrs: vec![range("10.96.0.0/16"), range("fd00:10:96::/108")],
    })
}

/// A cluster comes up, and then things happen to it.
pub fn history(family: Family) -> impl Strategy<Value = Vec<Step>> {
    let services = vec(service(family).prop_map(Change::Service), 3..7);
    let slices = vec(slice(family).prop_map(Change::Slice), 6..12);
    let start = (services, slices, node().prop_map(Change::Node));
    (start, vec(step(family), 0..30)).prop_map(|((services, slices, node), steps)| {
        let events = services.into_iter().chain(slices).chain([node]);
        let start = events.map(Step::Change).chain([Step::Sync]);
        start.chain(steps).collect()
    })
}

fn step(family: Family) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => service(family).prop_map(|own| Step::Change(Change::Service(own))),
        1 => (0..SERVICES).prop_map(|n| Step::Change(Change::ServiceGone(name("s", n)))),
        8 => slice(family).prop_map(|own| Step::Change(Change::Slice(own))),
        1 => (0..SLICES).prop_map(|n| Step::Change(Change::SliceGone(name("e", n)))),
        2 => node().prop_map(|own| Step::Change(Change::Node(own))),
        1 => Just(Step::Change(Change::NodeGone)),
        2 => any::<bool>().prop_map(|there| Step::Change(service_cidr(there))),
        1 => node_addresses().prop_map(Step::Addresses),
        1 => config(family).prop_map(Step::Configure),
        4 => Just(Step::Sync),
        1 => Just(Step::Refused),
    ]
}
