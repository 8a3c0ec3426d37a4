//! docs/reference.md#cluster-ips-that-serve-nothing, #packet-paths, #services-and-slices.

use crate::{ALL_SOURCES, differing, table};
use rules::model::Protocol;

/// Why mode iptables lets pass what goes to cluster IPs and their range, and is nobody's.
const NO_RANGES: &str = "mode iptables knows no Service ranges, and looks at whole frontends alone";

#[test]
fn addresses_that_nobody_serves() {
    differing(
        "5.3: other ports of a cluster IP are rejected, unallocated ones dropped",
        |own| own.endpoints("a@n1 b@n2"),
        &[
            (ALL_SOURCES, "cluster:81", "rejected"),
            (ALL_SOURCES, "unallocated unallocated:81", "dropped"),
            (ALL_SOURCES, "external:81 balancer:81", "untouched"),
            (ALL_SOURCES, "a:8080 b:8080 a:81", "untouched"),
        ],
        NO_RANGES,
        &[(
            ALL_SOURCES,
            "cluster:81 unallocated unallocated:81",
            "untouched",
        )],
    );
    differing(
        "5.3: without Service ranges nothing is known to be unallocated",
        |own| own.endpoints("a@n1").with(|own| own.service_range = false),
        &[
            (ALL_SOURCES, "cluster:81", "rejected"),
            (ALL_SOURCES, "unallocated", "untouched"),
        ],
        NO_RANGES,
        &[(ALL_SOURCES, "cluster:81", "untouched")],
    );
}

#[test]
fn a_cluster_ip_on_the_node() {
    differing(
        "5.7: unknown ports are rejected in forward and output, not in input",
        |own| {
            own.endpoints("a@n1 b@n2")
                .with(|own| own.on_node = vec!["cluster", "unallocated"])
        },
        &[
            ("pod", "cluster", "a b"),
            ("pod outside", "cluster:81 unallocated", "untouched"),
            ("node", "cluster:81", "rejected"),
            ("node", "unallocated", "dropped"),
        ],
        NO_RANGES,
        &[("node", "cluster:81 unallocated", "untouched")],
    );
}

#[test]
fn a_balancer_ip_on_the_node() {
    table(
        "5.7: rejected in input as well as in forward and output",
        |own| {
            own.endpoints("a@n1:unready")
                .with(|own| own.on_node = vec!["balancer"])
        },
        &[
            ("pod node outside", "balancer", "rejected"),
            ("pod node outside", "balancer:81", "untouched"),
        ],
    );
}

#[test]
fn protocols() {
    for protocol in [Protocol::Udp, Protocol::Sctp] {
        differing(
            "5.10: a port is a number and a protocol",
            |own| {
                own.endpoints("a@n1 b@n2")
                    .with(|own| own.protocol = protocol)
            },
            &[
                ("pod node outside", "cluster", "rejected"),
                (
                    "pod node outside",
                    "external balancer nodeport",
                    "untouched",
                ),
            ],
            NO_RANGES,
            &[("pod node outside", "cluster", "untouched")],
        );
        table(
            "5.5: the same for every protocol",
            |own| {
                own.endpoints("a@n1 b@n2").with(|own| {
                    own.protocol = protocol;
                    own.service.ports[0].protocol = protocol;
                })
            },
            &[
                ("pod", "cluster", "a b"),
                ("outside", "cluster external balancer nodeport", "a* b*"),
                ("a", "cluster", "a* b"),
            ],
        );
    }
}
