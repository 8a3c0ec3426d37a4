//! The objects that every fault meets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use e2e::Pod;
use e2e::address::{ECHO_PORT, Pair, cluster_ip};
use serde_json::{Value, json};

/// Where pods hold numbered conversations.
pub(crate) const STEADY_PORT: u16 = 8090;
/// A Service's port for new connections, and the one for conversations.
pub(crate) const NEW: u16 = 80;
/// See [`NEW`].
pub(crate) const HELD: u16 = 90;

/// A Service of the site, in both families, TCP and UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// No fault changes it.
    Calm,
    /// Its endpoints come and go where a fault wants changes.
    Busy,
}

impl Service {
    pub(crate) const ALL: [Self; 2] = [Self::Calm, Self::Busy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Busy => "busy",
        }
    }

    pub(crate) fn cluster_ips(self) -> Pair {
        match self {
            Self::Calm => cluster_ip(10),
            Self::Busy => cluster_ip(20),
        }
    }

    /// The node port of [`NEW`] or [`HELD`].
    pub(crate) fn node_port(self, port: u16) -> u16 {
        match self {
            Self::Calm => 30_000 + port,
            Self::Busy => 30_100 + port,
        }
    }

    /// The object.
    pub(crate) fn object(self) -> Value {
        let port = |name: &str, protocol: &str, port: u16| json!({"name": name, "protocol": protocol, "port": port, "nodePort": self.node_port(port)});
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": self.name(), "namespace": "default"},
            "spec": {
                "type": "NodePort",
                "clusterIP": self.cluster_ips().v4,
                "clusterIPs": self.cluster_ips().both(),
                "ipFamilies": ["IPv4", "IPv6"],
                "ipFamilyPolicy": "RequireDualStack",
                "ports": [
                    port("new-tcp", "TCP", NEW),
                    port("new-udp", "UDP", NEW),
                    port("held-tcp", "TCP", HELD),
                    port("held-udp", "UDP", HELD),
                ],
            },
        })
    }

    /// Its slices with these pods.
    pub(crate) fn slices(self, pods: &[&Pod]) -> Vec<Value> {
        let port = |name: &str, protocol: &str, port: u16| json!({"name": name, "protocol": protocol, "port": port});
        let ports = json!([
            port("new-tcp", "TCP", ECHO_PORT),
            port("new-udp", "UDP", ECHO_PORT),
            port("held-tcp", "TCP", STEADY_PORT),
            port("held-udp", "UDP", STEADY_PORT),
        ]);
        slices(self.name(), pods, &ports)
    }
}

/// A Service with no other purpose than to be seen to be served; its number is 0 to 199.
pub(crate) fn marker(number: u8, pod: &Pod) -> Vec<Value> {
    let name = format!("marker-{number}");
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "clusterIP": marker_ips(number).v4,
            "clusterIPs": marker_ips(number).both(),
            "ipFamilies": ["IPv4", "IPv6"],
            "ipFamilyPolicy": "RequireDualStack",
            "ports": [{"name": "new-tcp", "protocol": "TCP", "port": NEW}],
        },
    });
    let ports = json!([{"name": "new-tcp", "protocol": "TCP", "port": ECHO_PORT}]);
    let mut objects = vec![service];
    objects.extend(slices(&name, &[pod], &ports));
    objects
}

/// A marker's addresses.
pub(crate) fn marker_ips(number: u8) -> Pair {
    Pair {
        v4: Ipv4Addr::new(10, 96, 1, number),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 1, u16::from(number)),
    }
}

/// One slice for each family.
fn slices(service: &str, pods: &[&Pod], ports: &Value) -> Vec<Value> {
    let of_family = |(index, family): (usize, &str)| {
        let endpoint = |pod: &&Pod| {
            json!({
                "addresses": [pod.addresses().both()[index]],
                "conditions": {"ready": true, "serving": true, "terminating": false},
                "nodeName": pod.node(),
                "targetRef": {"kind": "Pod", "namespace": "default", "name": pod.name()},
            })
        };
        slice(
            service,
            family,
            &pods.iter().map(endpoint).collect::<Vec<_>>(),
            ports,
        )
    };
    ["IPv4", "IPv6"]
        .into_iter()
        .enumerate()
        .map(of_family)
        .collect()
}

fn slice(service: &str, family: &str, endpoints: &[Value], ports: &Value) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-{}", family.to_lowercase()),
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": family,
        "ports": ports,
        "endpoints": endpoints,
    })
}

/// A Service of IPv4 that no pod serves: for churn, and its endpoints with these addresses.
pub(crate) fn idle(number: u16, endpoints: &[Ipv4Addr]) -> [Value; 2] {
    let name = format!("idle-{number}");
    let ip = IpAddr::from(Ipv4Addr::from(0x0a60_0400 + u32::from(number)));
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "clusterIP": ip,
            "clusterIPs": [ip],
            "ports": [{"name": "p", "protocol": "TCP", "port": 80}],
        },
    });
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|ip| json!({"addresses": [ip], "conditions": {"ready": true}}))
        .collect();
    let ports = json!([{"name": "p", "protocol": "TCP", "port": 8080}]);
    [service, slice(&name, "IPv4", &endpoints, &ports)]
}
