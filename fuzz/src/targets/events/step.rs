//! One thing that happens: to the cluster, to the node, or between it and the kernel. What the API
//! server keeps apart is kept apart (cluster IPs, node ports); other addresses are few, so that
//! Services share them.

use super::bytes::{Bytes, chosen, ip};
use ipnet::IpNet;
use rules::model::{
    Endpoint, EndpointPort, EndpointSlice, Family, Hints, Node, ObjectName, Protocol, Service,
    ServiceCidr, ServicePort, TrafficPolicy,
};
use rules::{Change, Config, LocalDetector, NodeportAddresses, ObjectKind};
use std::net::IpAddr;
use std::sync::Arc;

/// How many Services there may be.
pub(super) const SERVICES: u8 = 5;
const SLICES: u8 = 8;
/// Service ports: name, protocol, port, the endpoints' port. The last one is a node port of
/// another Service, to see them kept apart.
pub(super) const PORTS: [(&str, Protocol, u16, u16); 4] = [
    ("a", Protocol::Tcp, 80, 8080),
    ("b", Protocol::Udp, 80, 8080),
    ("", Protocol::Sctp, 80, 8080),
    ("d", Protocol::Tcp, 30000, 30004),
];
/// An endpoint that several slices name.
pub(super) const SHARED: u8 = 99;

/// A step of a history.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// An object comes, changes or goes.
    Change(Change),
    /// A kind is listed anew; of its objects those with a set bit are left out, so they are gone.
    List(ObjectKind, u8),
    /// Other settings, as a changed Node object brings them.
    Configure(Config),
    /// The node's interfaces have other addresses from now on.
    Addresses(Vec<IpAddr>),
    /// A client is remembered by one of the sets for that.
    Remember(u8, IpAddr, u64),
    /// A sync that the kernel refuses.
    Refused,
    /// Somebody takes something out of the table, and it is noticed.
    Meddle(u8),
    /// The process starts anew, the table is still there.
    Restart,
    /// A sync, after which everything is looked at, and so many packets are sent.
    Sync(u8),
}

impl Step {
    pub(super) fn read(from: &mut Bytes<'_>, family: Family) -> Self {
        match from.below(32) {
            0..6 => Self::Change(Change::Service(service(from, family))),
            6 => Self::Change(Change::ServiceGone(name("s", from.below(SERVICES)))),
            7..15 => Self::Change(Change::Slice(slice(from, family))),
            15 => Self::Change(Change::SliceGone(name("e", from.below(SLICES)))),
            16 | 17 => Self::Change(Change::Node(node(from.byte()))),
            18 => Self::Change(Change::NodeGone),
            19 => Self::Change(service_cidr(from.byte())),
            20 => Self::Addresses(addresses(from.byte())),
            21 => Self::Configure(config(from.byte(), family)),
            22 => Self::Remember(
                from.byte(),
                address(family, "outside", from.below(4) + 1),
                u64::from(from.byte()) * 1000 + 1,
            ),
            23 => Self::Refused,
            24 => Self::Meddle(from.byte()),
            25 => Self::Restart,
            26 => Self::List(kind(from.byte()), from.byte()),
            _ => Self::Sync(from.below(8)),
        }
    }
}

fn kind(byte: u8) -> ObjectKind {
    match byte % 4 {
        0 => ObjectKind::Service,
        1 => ObjectKind::EndpointSlice,
        2 => ObjectKind::Node,
        _ => ObjectKind::ServiceCidr,
    }
}

/// The `n`-th address of a network.
pub(super) fn address(family: Family, network: &str, n: u8) -> IpAddr {
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

fn range(text: &str) -> IpNet {
    text.parse()
        .unwrap_or_else(|_| panic!("{text} is no range"))
}

fn name(prefix: &str, n: u8) -> ObjectName {
    ObjectName::new("default", format!("{prefix}{n}"))
}

/// Two addresses of each family, and up to two more.
pub(super) fn addresses(bits: u8) -> Vec<IpAddr> {
    let of_family = |family| {
        let mut own = vec![address(family, "node", 1), address(family, "pod", 254)];
        own.extend((bits & 1 == 1).then(|| address(family, "external", 1)));
        own.extend((bits & 2 == 2).then(|| address(family, "node", 2)));
        own
    };
    Family::ALL.into_iter().flat_map(of_family).collect()
}

pub(super) fn config(bits: u8, family: Family) -> Config {
    let interface = |name: &str, wildcard| LocalDetector::Interface {
        name: name.into(),
        wildcard,
    };
    let (pods, own) = match family {
        Family::V4 => ("10.244.0.0/25", "192.0.2.0/31"),
        Family::V6 => ("fd00:10:244::/121", "2001:db8:2::/127"),
    };
    Config {
        masquerade_all: bits & 8 == 8,
        local_detector: match bits & 7 {
            0 => LocalDetector::None,
            1 => interface("cni0", false),
            2 => interface("cali", true),
            _ => LocalDetector::Source(range(pods)),
        },
        nodeport_addresses: match bits & 16 {
            0 => NodeportAddresses::All,
            _ => NodeportAddresses::Within(vec![range(own)]),
        },
        node_ip: (bits & 32 == 32).then(|| address(family, "node", 1)),
        ..Config::new(family, "n1")
    }
}

fn service_cidr(byte: u8) -> Change {
    let name = "kubernetes";
    if byte & 1 == 0 {
        return Change::ServiceCidrGone(name.into());
    }
    let ranges = ["10.96.0.0/16", "fd00:10:96::/108"].map(range);
    Change::ServiceCidr(ServiceCidr {
        name: name.into(),
        cidrs: ranges.into(),
    })
}

fn node(byte: u8) -> Node {
    let zone = match byte % 3 {
        0 => None,
        n => Some(format!("z{n}").into()),
    };
    Node {
        name: "n1".into(),
        zone,
        eligible: true,
        ..Node::default()
    }
}

fn service(from: &mut Bytes<'_>, family: Family) -> Service {
    const RANGES: [&str; 8] = [
        "203.0.113.0/24",
        "192.0.2.0/24",
        "10.244.0.0/26",
        "0.0.0.0/0",
        "2001:db8:3::/64",
        "2001:db8:2::1/128",
        "fd00:10:244::/122",
        "::/0",
    ];
    let n = from.below(SERVICES);
    let (kind, ports, node_ports) = (from.byte(), from.byte(), from.byte());
    let (external, balancer, ranges) = (from.byte(), from.byte(), from.byte());
    let families: &[Family] = match kind & 7 {
        0 | 1 => &[Family::V4, Family::V6],
        2 => &[Family::V6, Family::V4],
        3 => &[Family::V4],
        4 => &[Family::V6],
        _ => &[family],
    };
    let policy = |bit| match kind & bit {
        0 => TrafficPolicy::Cluster,
        _ => TrafficPolicy::Local,
    };
    let both = |network: &'static str, own: Vec<u8>| -> Vec<IpAddr> {
        let each = |n| Family::ALL.map(|family| address(family, network, n));
        own.into_iter().flat_map(each).collect()
    };
    let mut wanted = chosen(ports, &[0u8, 1, 2, 3]);
    if wanted.is_empty() {
        wanted.push(ports >> 4 & 3);
    }
    let port = |at: &u8| {
        let (name, protocol, port, _) = PORTS[usize::from(*at)];
        // Unique in the cluster: a bit says whether there is one.
        let node_port = 30000 + u16::from(n * 4 + at);
        ServicePort {
            name: name.into(),
            protocol,
            port,
            node_port: (node_ports >> at & 1 == 1).then_some(node_port),
        }
    };
    Service {
        name: name("s", n),
        created: i64::from(node_ports >> 4 & 3),
        cluster_ips: families
            .iter()
            .map(|own| address(*own, "cluster", n + 1))
            .collect(),
        external_ips: both("external", chosen(external, &[1, 2, 3])),
        load_balancer_ips: both("external", chosen(balancer, &[1, 2, 3, 4])),
        ports: wanted.iter().map(port).collect(),
        internal_policy: policy(8),
        external_policy: policy(16),
        session_affinity: (kind & 96 == 96).then_some(60 + u32::from(kind >> 7)),
        source_ranges: chosen(ranges, &RANGES.map(range)).into(),
        ..Service::default()
    }
}

/// Ready, serving, terminating.
const CONDITIONS: [(bool, bool, bool); 8] = [
    (true, true, false),
    (true, false, false),
    (true, true, true),
    (false, true, true),
    (false, false, true),
    (false, true, false),
    (false, false, false),
    (true, true, false),
];

fn endpoint(address: IpAddr, from: &mut Bytes<'_>) -> Endpoint {
    let (kind, hints) = (from.byte(), from.byte());
    let (ready, serving, terminating) = CONDITIONS[usize::from(kind & 7)];
    let named = |bits: u8, all: &[&'static str]| -> Vec<Arc<str>> {
        chosen(bits, all).into_iter().map(Arc::from).collect()
    };
    Endpoint {
        address,
        node: match kind >> 3 & 3 {
            0 => None,
            1 => Some("n2".into()),
            _ => Some("n1".into()),
        },
        ready,
        serving,
        terminating,
        hints: Hints::new(
            named(hints & 3, &["z1", "z2"]),
            named(hints >> 2 & 3, &["n1", "n2"]),
        ),
    }
}

/// One on this node that several slices name; upstream leaves open which one counts, so all that
/// are not terminating are the same.
fn common(address: IpAddr, terminating: bool) -> Endpoint {
    Endpoint {
        address,
        node: Some("n1".into()),
        ready: !terminating,
        serving: true,
        terminating,
        hints: Hints::default(),
    }
}

fn slice(from: &mut Bytes<'_>, family: Family) -> EndpointSlice {
    let n = from.below(SLICES);
    let (kind, ports, there) = (from.byte(), from.byte(), from.byte());
    let family = match kind & 7 {
        0 => Family::V4,
        1 => Family::V6,
        _ => family,
    };
    let mut endpoints: Vec<Endpoint> = chosen(there & 15, &[0u8, 1, 2, 3])
        .into_iter()
        .map(|k| endpoint(address(family, "pod", n * 4 + k + 1), from))
        .collect();
    let shared = there & 16 == 16;
    endpoints.extend(shared.then(|| common(address(family, "pod", SHARED), n % 2 == 1)));
    let host = there & 32 == 32;
    endpoints.extend(host.then(|| common(address(family, "node", 1), false)));
    let port = |(name, protocol, _, port): &(&str, Protocol, u16, u16)| EndpointPort {
        name: (*name).into(),
        protocol: *protocol,
        port: *port,
    };
    EndpointSlice {
        name: name("e", n),
        service: name("s", kind >> 3 & 7),
        family,
        // All of them, but for those whose bits say otherwise.
        ports: chosen(!ports, &PORTS).iter().map(port).collect(),
        endpoints,
        last_change_trigger: None,
    }
}
