//! docs/reference.md#chain-masquerading, docs/reference.md#packet-paths.

use crate::{differing, table};
use rules::LocalDetector;

#[test]
fn cluster_ips() {
    table(
        "5.7: only a local pod keeps its address, and not if it meets itself",
        |own| own.endpoints("a@n1 b@n2"),
        &[
            ("pod", "cluster", "a b"),
            ("a", "cluster", "a* b"),
            (
                "node loopback other-node far-pod outside",
                "cluster",
                "a* b*",
            ),
        ],
    );
    differing(
        "5.7: hairpin is for endpoints of this node alone",
        |own| own.endpoints("a@n2 b@n2"),
        &[("a", "cluster", "a b")],
        "mode iptables knows who meets himself by the address alone, wherever he is",
        &[("a", "cluster", "a* b")],
    );
}

#[test]
fn masquerade_all() {
    table(
        "5.3: masqueradeAll marks whatever goes to a cluster IP",
        |own| {
            own.endpoints("a@n1 b@n2")
                .with(|own| own.config.masquerade_all = true)
        },
        &[("pod a node other-node far-pod outside", "cluster", "a* b*")],
    );
}

#[test]
fn without_a_detector() {
    table(
        "5.3: nobody is known to be from elsewhere, so only hairpin masquerades",
        |own| {
            own.endpoints("a@n1 b@n2")
                .with(|own| own.config.local_detector = LocalDetector::None)
        },
        &[
            ("pod node other-node far-pod outside", "cluster", "a b"),
            ("a", "cluster", "a* b"),
            ("pod outside node", "external balancer nodeport", "a* b*"),
        ],
    );
}

#[test]
fn detectors_of_interfaces() {
    for (name, wildcard) in [("cni0", false), ("cni", true)] {
        table(
            "5.7: what the node sends came in by no interface, so it is not a pod's",
            |own| {
                own.endpoints("a@n1 b@n2").with(|own| {
                    own.config.local_detector = LocalDetector::Interface {
                        name: name.into(),
                        wildcard,
                    };
                })
            },
            &[
                ("pod", "cluster", "a b"),
                ("a", "cluster", "a* b"),
                (
                    "node loopback other-node far-pod outside",
                    "cluster",
                    "a* b*",
                ),
            ],
        );
    }
    table(
        "5.7: a name that only begins like the bridge's is another one",
        |own| {
            own.endpoints("a@n1 b@n2").with(|own| {
                own.config.local_detector = LocalDetector::Interface {
                    name: "cni".into(),
                    wildcard: false,
                };
            })
        },
        &[("pod", "cluster", "a* b*")],
    );
}

#[test]
fn endpoints_in_the_network_of_the_node() {
    table(
        "5.7: what stays on the node does not pass postrouting, except from the node",
        |own| own.endpoints("host@n1 b@n2"),
        &[
            ("pod", "cluster", "b host"),
            ("outside", "cluster external balancer nodeport", "b* host"),
            ("node", "cluster", "b* host*"),
        ],
    );
}
