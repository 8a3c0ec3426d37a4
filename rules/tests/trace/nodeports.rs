//! docs/reference.md#node-port-addresses.

use crate::cluster::{Cluster, service};
use crate::names::address;
use crate::{differing, table};
use rules::NodeportAddresses;
use rules::model::TrafficPolicy;

const OTHERS: &str = "nodeport@loopback nodeport@other-node";

/// Of node ports that nobody serves.
const REJECTED_EVERYWHERE: &str =
    "mode iptables rejects them at each of the node's addresses, whichever answer others";

fn all(own: Cluster) -> Cluster {
    own.endpoints("a@n1 b@n2")
        .with(|own| own.config.nodeport_addresses = NodeportAddresses::All)
}

#[test]
fn a_list() {
    table(
        "5.8: the node's addresses in the ranges answer",
        |own| own.endpoints("a@n1 b@n2"),
        &[
            ("pod node outside", "nodeport", "a* b*"),
            ("pod node outside", "nodeport@second", "untouched"),
            ("node", "nodeport@loopback", "untouched"),
            ("pod node outside", "nodeport@other-node", "untouched"),
            ("pod node outside", "nodeport:30081", "untouched"),
        ],
    );
    differing(
        "5.3: what does not answer is not rejected either",
        |own| own.endpoints("a@n1:unready"),
        &[
            ("pod node outside", "nodeport", "rejected"),
            ("pod node outside", "nodeport@second", "untouched"),
            ("node", OTHERS, "untouched"),
        ],
        REJECTED_EVERYWHERE,
        &[
            ("pod node outside", "nodeport@second", "rejected"),
            ("node", "nodeport@loopback", "rejected"),
        ],
    );
    table(
        "5.8: loopback addresses never answer, even if a range holds them",
        |own| {
            own.endpoints("a@n1 b@n2").with(|own| {
                let ranges = ["127.0.0.0/8", "::1/128"].map(|text| text.parse().expect("a range"));
                own.config.nodeport_addresses = NodeportAddresses::Within(ranges.into());
            })
        },
        &[("node", "nodeport nodeport@loopback", "untouched")],
    );
}

#[test]
fn every_address() {
    table(
        "5.3: match-all is every local address but loopback",
        all,
        &[
            ("pod node outside", "nodeport nodeport@second", "a* b*"),
            ("node loopback", OTHERS, "untouched"),
            ("pod outside", "nodeport@other-node", "untouched"),
        ],
    );
    differing(
        "5.3: match-all, nobody serves",
        |own| all(own).endpoints("a@n1:gone"),
        &[
            ("pod node outside", "nodeport nodeport@second", "rejected"),
            ("node", OTHERS, "untouched"),
        ],
        REJECTED_EVERYWHERE,
        &[("node", "nodeport@loopback", "rejected")],
    );
    table(
        "5.3: match-all, policy Local, none here",
        |own| {
            all(own)
                .endpoints("b@n2")
                .with(|own| own.service.external_policy = TrafficPolicy::Local)
        },
        &[
            ("outside other-node", "nodeport nodeport@second", "dropped"),
            ("pod", "nodeport nodeport@second", "b"),
            ("node", "nodeport nodeport@second", "b*"),
        ],
    );
}

/// The Service has the node's own address as its external IP, and another one,
/// that nobody serves, the same number as its node port.
fn same_number(own: Cluster) -> Cluster {
    all(own).with(|own| {
        let family = own.config.family;
        let mut other = service("other", own.protocol);
        other.cluster_ips = vec![address(family, "cluster", 2)];
        other.external_ips.clear();
        other.load_balancer_ips.clear();
        other.ports[0].node_port = Some(80);
        own.others = vec![other];
        own.service.external_ips = vec![address(family, "node", 1)];
    })
}

#[test]
fn an_address_of_a_service_comes_before_node_ports() {
    table(
        "5.3: (b) before (c)",
        same_number,
        &[
            ("pod node outside", "nodeport:80", "a* b*"),
            ("pod node outside", "nodeport@second:80", "rejected"),
        ],
    );
    table(
        "5.3: (c) where (b) finds nothing, as nobody serves the address",
        |own| {
            same_number(own).with(|own| {
                let external = own.service.external_ips.drain(..).collect();
                own.others[0].external_ips = external;
                own.others[0].ports[0].port = 30080;
            })
        },
        &[("pod node outside", "nodeport", "a* b*")],
    );
}
