//! The whole network.

use anyhow::Result;

use crate::address::{CLIENT, CONTROL, GATEWAY, OUTSIDE_GATEWAY, Pair};
use crate::node::plug;
use crate::{LoadBalancer, Namespace, Node, cleanup, ip, veth};

/// Nodes on one underlay, and an outside client behind a load balancer that is also the router:
///
/// ```text
/// client ── balancer ── switch ─┬─ node-1 ─┬─ pod
///                               ├─ node-2  └─ pod
///                               └─ control
/// ```
#[derive(Debug)]
pub struct Bed {
    balancer: LoadBalancer,
    client: Namespace,
    control: Namespace,
    nodes: Vec<Node>,
    _switch: Namespace,
}

impl Bed {
    /// Builds it with this many nodes, 1 to 9.
    ///
    /// # Errors
    /// If a namespace, link, address or route can't be made.
    pub fn build(nodes: u8) -> Result<Self> {
        cleanup::sweep();
        let switch = Namespace::create("switch")?;
        // Bridged packets shall pass no hook: the switch is only wire.
        for key in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"] {
            let path = format!("net/bridge/{key}");
            if switch.run(|| std::path::Path::new("/proc/sys").join(&path).exists())? {
                switch.sysctls(&[(&path, "0")])?;
            }
        }
        ip(
            &switch,
            "link add underlay type bridge\nlink set underlay up",
        )?;
        let router = Namespace::create("balancer")?;
        plug(&router, &switch, "balancer", GATEWAY)?;
        let client = outside(&router)?;
        let control = Namespace::create("control")?;
        plug(&control, &switch, "control", CONTROL)?;
        default_route(&control, GATEWAY)?;
        let nodes = (1..=nodes)
            .map(|number| Node::create(number, &switch))
            .collect::<Result<Vec<_>>>()?;
        for (from, to) in pairs(&nodes) {
            from.route_to(to)?;
        }
        let addresses = nodes.iter().map(Node::addresses).collect();
        Ok(Self {
            balancer: LoadBalancer::start(router, addresses)?,
            client,
            control,
            nodes,
            _switch: switch,
        })
    }

    /// The outside client.
    pub fn client(&self) -> &Namespace {
        &self.client
    }

    /// A namespace on the underlay that is no node, for a control plane.
    pub fn control(&self) -> &Namespace {
        &self.control
    }

    /// The load balancer.
    pub fn balancer(&self) -> &LoadBalancer {
        &self.balancer
    }

    /// The nodes, in the order of their numbers.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

fn outside(router: &Namespace) -> Result<Namespace> {
    let client = Namespace::create("client")?;
    veth((router, "outside"), (&client, "eth0"))?;
    for (namespace, interface, Pair { v4, v6 }) in [
        (router, "outside", OUTSIDE_GATEWAY),
        (&client, "eth0", CLIENT),
    ] {
        ip(
            namespace,
            &format!(
                "address add {v4}/24 dev {interface}\n-6 address add {v6}/64 dev {interface} nodad"
            ),
        )?;
    }
    default_route(&client, OUTSIDE_GATEWAY)?;
    Ok(client)
}

fn default_route(namespace: &Namespace, Pair { v4, v6 }: Pair) -> Result<()> {
    ip(
        namespace,
        &format!("route add default via {v4}\n-6 route add default via {v6}"),
    )
}

/// Every ordered pair of two different nodes.
fn pairs(nodes: &[Node]) -> impl Iterator<Item = (&Node, &Node)> {
    nodes.iter().flat_map(move |from| {
        let others = nodes.iter().filter(|to| to.number() != from.number());
        others.map(move |to| (from, to))
    })
}
