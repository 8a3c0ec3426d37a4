//! What clients connect to.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use e2e::Namespace;
use e2e::address::{ECHO_PORT, node, pod, virtual_ip};
use serde_json::{Value, json};

use super::client::Work;
use crate::bench_upstream::objects::{self, SERVICES, SLICES};
use crate::bench_upstream::rig::{Rig, Side};
use crate::mode::Mode;
use crate::size::Size;

/// Where the first pod answers on connections that last.
pub(super) const CHAT_PORT: u16 = 8082;

/// One kind of what is connected to.
pub(super) struct Target {
    pub(super) name: String,
    from_pod: bool,
    pub(super) work: Work,
    /// Upstream's and ours.
    at: [SocketAddr; 2],
}

impl Target {
    fn new(name: &str, from_pod: bool, at: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            from_pod,
            work: Work::Connect,
            at: [at; 2],
        }
    }

    pub(super) fn of(&self, side: Side) -> SocketAddr {
        let [upstream, ours] = self.at;
        match side {
            Side::Upstream => upstream,
            Side::Ours => ours,
        }
    }

    pub(super) fn source<'a>(&self, rig: &'a Rig, side: Side) -> &'a Namespace {
        let place = rig.place(side);
        match self.from_pod {
            true => place.client_pod(),
            false => place.bed.client(),
        }
    }
}

/// All that can be named before there are rules.
pub(super) fn all(rig: &Rig, size: Size, mode: Mode) -> Result<Vec<Target>> {
    let node_port = create_frontends(rig)?;
    let node_port = SocketAddr::new(node(1).v4.into(), node_port);
    let node_port = Target::new("NodePort", false, node_port);
    Ok(match mode {
        Mode::Nftables => vec![
            Target::new(
                "ClusterIP, from a pod",
                true,
                objects::frontend(size.services - 1),
            ),
            node_port,
            Target::new(
                "load balancer, Local",
                false,
                SocketAddr::new(virtual_ip(1).v4.into(), 80),
            ),
        ],
        Mode::Iptables => {
            let direct = SocketAddr::new(pod(1, 10).v4.into(), ECHO_PORT);
            vec![
                node_port,
                Target::new("no Service: a pod itself", true, direct),
                Target {
                    work: Work::Ask,
                    ..Target::new("an established connection", true, create_chat(rig)?)
                },
            ]
        }
    })
}

/// The first, the middle and the last Service of the chain that is asked from its first rule on: not
/// the same ones on both sides, as upstream's order is chance.
pub(super) fn by_place(rig: &Rig) -> Result<Vec<Target>> {
    let [upstream, ours] = [chain(rig, Side::Upstream)?, chain(rig, Side::Ours)?];
    let last = upstream.len().min(ours.len()).saturating_sub(1);
    let places = [("first", 0), ("middle", last / 2), ("last", last)];
    let target = |(name, at): (&str, usize)| -> Result<Target> {
        let of = |chain: &[SocketAddr]| chain.get(at).copied().context("a chain without Services");
        Ok(Target {
            name: format!("the {name} Service, from a pod"),
            from_pod: true,
            work: Work::Connect,
            at: [of(&upstream)?, of(&ours)?],
        })
    };
    places.into_iter().map(target).collect()
}

/// Where the Services answer, in the order of their rules.
fn chain(rig: &Rig, side: Side) -> Result<Vec<SocketAddr>> {
    let saved = rig
        .place(side)
        .node()
        .exec(&["iptables-save", "-t", "nat"])?;
    Ok(in_order(&saved))
}

fn in_order(saved: &str) -> Vec<SocketAddr> {
    let rules = saved
        .lines()
        .filter(|line| line.starts_with("-A KUBE-SERVICES ") && line.contains("default/service-"));
    let address = |rule: &str| {
        let (_, rest) = rule.split_once(" -d ")?;
        let (address, _) = rest.split_once("/32 ")?;
        Some(SocketAddr::new(address.parse().ok()?, 80))
    };
    rules.filter_map(address).collect()
}

/// A Service with a node port, and one with a load balancer's address and policy Local.
fn create_frontends(rig: &Rig) -> Result<u16> {
    for (name, policy) in [("node-port", "Cluster"), ("balancer", "Local")] {
        let slice = objects::slice(name, vec![objects::real(0)]);
        rig.api.post(SLICES, &slice)?;
        rig.api.post(
            SERVICES,
            &json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {
                    "type": "LoadBalancer",
                    "externalTrafficPolicy": policy,
                    "ipFamilies": ["IPv4"],
                    "ports": [{"name": "http", "port": 80, "targetPort": ECHO_PORT}],
                },
            }),
        )?;
    }
    let ingress = json!([{"ip": virtual_ip(1).v4, "ipMode": "VIP"}]);
    let status = json!({"status": {"loadBalancer": {"ingress": ingress}}});
    rig.api
        .patch(&format!("{SERVICES}/balancer/status"), &status)?;
    let service = get(rig, "node-port")?;
    let port = service["spec"]["ports"][0]["nodePort"].as_u64();
    u16::try_from(port.context("no node port")?).context("node port")
}

/// A Service for connections that last; returns where it answers.
fn create_chat(rig: &Rig) -> Result<SocketAddr> {
    let mut slice = objects::slice("chat", vec![objects::real(0)]);
    slice["ports"][0]["port"] = json!(CHAT_PORT);
    rig.api.post(SLICES, &slice)?;
    let value = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "chat"},
        "spec": {
            "ipFamilies": ["IPv4"],
            "ports": [{"name": "http", "port": 80, "targetPort": CHAT_PORT}],
        },
    });
    rig.api.post(SERVICES, &value)?;
    let service = get(rig, "chat")?;
    let address = service["spec"]["clusterIP"].as_str();
    let address = address.context("no cluster IP")?.parse()?;
    Ok(SocketAddr::new(address, 80))
}

fn get(rig: &Rig, name: &str) -> Result<Value> {
    let text = rig.api.get(&format!("{SERVICES}/{name}"))?;
    Ok(serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn services_are_in_the_order_of_their_rules() {
        let saved = "-A KUBE-SERVICES -d 10.96.1.7/32 -p tcp -m comment --comment \"default/service-00007:http cluster IP\" -m tcp --dport 80 -j KUBE-SVC-A\n\
                     -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment \"default/kubernetes:https cluster IP\" -m tcp --dport 443 -j KUBE-SVC-B\n\
                     -A KUBE-SERVICES -d 10.96.1.2/32 -p tcp -m comment --comment \"default/service-00002:http cluster IP\" -m tcp --dport 80 -j KUBE-SVC-C\n\
                     -A KUBE-SVC-C -d 10.96.1.2/32 ! -s 10.244.0.0/16 -m comment --comment \"default/service-00002:http cluster IP\" -j KUBE-MARK-MASQ\n";
        let order: Vec<_> = in_order(saved).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["10.96.1.7:80", "10.96.1.2:80"]);
    }
}
