//! Nodes and their pods.

use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::Result;

use crate::address::{self, ECHO_PORT, GATEWAY, Pair};
use crate::{Answers, Namespace, Server, ip, veth};

/// A node: a namespace with an address on the underlay, whose pods hang off it by
/// point-to-point links without addresses of their own, as routed pod networks do it.
///
/// So the only address that the node has for masquerading is its own.
#[derive(Debug)]
pub struct Node {
    number: u8,
    name: String,
    namespace: Namespace,
    next_pod: AtomicU8,
}

impl Node {
    /// Makes node `number` (1 to 9), named `node-<number>`, and plugs it into `switch`'s bridge
    /// `underlay`.
    pub(crate) fn create(number: u8, switch: &Namespace) -> Result<Self> {
        let name = format!("node-{number}");
        let namespace = Namespace::create(&name)?;
        plug(&namespace, switch, &name, address::node(number))?;
        let Pair { v4, v6 } = GATEWAY;
        ip(
            &namespace,
            &format!("route add default via {v4}\n-6 route add default via {v6}"),
        )?;
        Ok(Self {
            number,
            name,
            namespace,
            next_pod: AtomicU8::new(10),
        })
    }

    /// Routes to another node's pods over the underlay.
    pub(crate) fn route_to(&self, other: &Self) -> Result<()> {
        let Pair { v4, v6 } = other.addresses();
        let [cidr4, cidr6] = address::pod_cidrs(other.number);
        ip(
            &self.namespace,
            &format!("route add {cidr4} via {v4}\n-6 route add {cidr6} via {v6}"),
        )
    }

    /// Its number, from 1.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Its name as Kubernetes knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its addresses on the underlay.
    pub fn addresses(&self) -> Pair {
        address::node(self.number)
    }

    /// Adds a pod that echoes, at the next free address.
    ///
    /// # Errors
    /// If its namespace, link or server can't be made.
    pub fn pod(&self, name: &str) -> Result<Pod> {
        let host = self.next_pod.fetch_add(1, Ordering::Relaxed);
        let addresses = address::pod(self.number, host);
        let namespace = Namespace::create(name)?;
        // Thousands of connections come from one masqueraded address at random ports. A pod that
        // remembered closed ones would now and then answer a SYN as if it were an old one's.
        namespace.sysctls(&[("net/ipv4/tcp_max_tw_buckets", "0")])?;
        let link = link(host);
        veth((&self.namespace, &link), (&namespace, "eth0"))?;
        let Pair { v4, v6 } = addresses;
        // The node answers ARP for the pod's gateway, and has fe80::1 on the link.
        self.namespace.sysctls(&[
            (&format!("net/ipv4/conf/{link}/proxy_arp"), "1"),
            (&format!("net/ipv4/neigh/{link}/proxy_delay"), "0"),
        ])?;
        ip(
            &self.namespace,
            &format!(
                "-6 address add fe80::1/64 dev {link} nodad\n\
                 route add {v4} dev {link}\n\
                 -6 route add {v6} dev {link}"
            ),
        )?;
        ip(
            &namespace,
            &format!(
                "address add {v4}/32 dev eth0\n\
                 -6 address add {v6}/128 dev eth0 nodad\n\
                 route add 169.254.1.1 dev eth0\n\
                 route add default via 169.254.1.1 dev eth0\n\
                 -6 route add default via fe80::1 dev eth0"
            ),
        )?;
        Ok(Pod {
            name: name.to_owned(),
            node: self.name.clone(),
            addresses,
            _server: Server::start(&namespace, name, ECHO_PORT, Answers::Once)?,
            namespace,
        })
    }
}

/// A pod: a namespace in which a [`Server`] answers on [`ECHO_PORT`], [`Answers::Once`].
#[derive(Debug)]
pub struct Pod {
    name: String,
    node: String,
    addresses: Pair,
    // Before the namespace, so that its thread has left when that is deleted.
    _server: Server,
    namespace: Namespace,
}

impl Pod {
    /// Its name, which it answers with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Its addresses.
    pub fn addresses(&self) -> Pair {
        self.addresses
    }

    /// The node's end of its link.
    pub fn link(&self) -> String {
        link(self.addresses.v4.octets()[3])
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

/// The name of the node's end of the link to the pod with this host number.
fn link(host: u8) -> String {
    format!("pod{host}")
}

/// Plugs `namespace`'s new interface `eth0` into the bridge `underlay` of `switch`.
pub(crate) fn plug(
    namespace: &Namespace,
    switch: &Namespace,
    port: &str,
    address: Pair,
) -> Result<()> {
    veth((switch, port), (namespace, "eth0"))?;
    ip(switch, &format!("link set {port} master underlay"))?;
    let Pair { v4, v6 } = address;
    ip(
        namespace,
        &format!("address add {v4}/24 dev eth0\n-6 address add {v6}/64 dev eth0 nodad"),
    )
}
