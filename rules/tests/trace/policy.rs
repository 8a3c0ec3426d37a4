//! docs/reference.md#traffic-policies.

use crate::cluster::Cluster;
use crate::{ALL_SOURCES, OUTSIDE, table};
use rules::LocalDetector;
use rules::model::TrafficPolicy::{Cluster as Any, Local};

fn external_local(own: Cluster) -> Cluster {
    own.with(|own| own.service.external_policy = Local)
}

fn internal_local(own: Cluster) -> Cluster {
    own.with(|own| own.service.internal_policy = Local)
}

#[test]
fn external_policy_cluster() {
    table(
        "5.6: external chain, policy Cluster: marked, all endpoints",
        |own| {
            own.endpoints("a@n1 b@n2")
                .with(|own| own.service.external_policy = Any)
        },
        &[(ALL_SOURCES, OUTSIDE, "a* b*"), ("a b", OUTSIDE, "a* b*")],
    );
}

#[test]
fn external_policy_local() {
    table(
        "5.6: external chain, policy Local: pods and node reach all, others only local ones",
        |own| external_local(own).endpoints("a@n1 b@n2 c@n1"),
        &[
            ("pod", OUTSIDE, "a b c"),
            ("a", OUTSIDE, "a* b c"),
            ("node loopback", OUTSIDE, "a* b* c*"),
            ("other-node far-pod outside", OUTSIDE, "a c"),
            ("pod", "cluster", "a b c"),
            ("outside", "cluster", "a* b* c*"),
        ],
    );
    table(
        "5.6: without a detector there is no short circuit for pods",
        |own| {
            external_local(own)
                .endpoints("a@n1 b@n2")
                .with(|own| own.config.local_detector = LocalDetector::None)
        },
        &[
            ("pod outside", OUTSIDE, "a"),
            ("a", OUTSIDE, "a*"),
            ("node", OUTSIDE, "a* b*"),
        ],
    );
    table(
        "5.6: pods known by their interface take the short circuit, the node does not",
        |own| {
            external_local(own).endpoints("a@n1 b@n2").with(|own| {
                own.config.local_detector = LocalDetector::Interface {
                    name: "cni".into(),
                    wildcard: true,
                };
            })
        },
        &[
            ("pod", OUTSIDE, "a b"),
            ("node", OUTSIDE, "a* b*"),
            ("far-pod outside", OUTSIDE, "a"),
        ],
    );
}

#[test]
fn external_policy_local_without_local_endpoints() {
    table(
        "5.6: falls off the external chain, dropped by the filter hooks",
        |own| external_local(own).endpoints("a@n2 b@n3"),
        &[
            ("other-node far-pod outside", OUTSIDE, "dropped"),
            ("pod", OUTSIDE, "a b"),
            ("node", OUTSIDE, "a* b*"),
            ("pod", "cluster", "a b"),
            ("outside", "cluster", "a* b*"),
        ],
    );
}

#[test]
fn internal_policy_local() {
    table(
        "5.6: cluster IP, policy Local: the endpoints of this node",
        |own| internal_local(own).endpoints("a@n1 b@n2"),
        &[
            ("pod", "cluster", "a"),
            ("a node outside", "cluster", "a*"),
            ("pod node outside", OUTSIDE, "a* b*"),
        ],
    );
    table(
        "5.6: cluster IP, policy Local, none here: dropped",
        |own| internal_local(own).endpoints("a@n2 b@n2"),
        &[
            (ALL_SOURCES, "cluster", "dropped"),
            ("pod node outside", OUTSIDE, "a* b*"),
        ],
    );
    table(
        "6: a port that cannot be reached from outside has a local list only",
        |own| {
            internal_local(own).endpoints("a@n1 b@n2").with(|own| {
                own.service.external_ips.clear();
                own.service.load_balancer_ips.clear();
                own.service.ports[0].node_port = None;
            })
        },
        &[
            ("pod", "cluster", "a"),
            ("a", "cluster", "a*"),
            ("outside", OUTSIDE, "untouched"),
        ],
    );
}

#[test]
fn both_policies_local() {
    let local = |own| external_local(internal_local(own));
    table(
        "5.6: each policy for its own frontends",
        |own| local(own).endpoints("a@n1 b@n2"),
        &[
            ("pod", "cluster", "a"),
            ("outside", "cluster", "a*"),
            ("pod", OUTSIDE, "a b"),
            ("node", OUTSIDE, "a* b*"),
            ("outside", OUTSIDE, "a"),
        ],
    );
    table(
        "5.6: each policy for its own frontends, none here",
        |own| local(own).endpoints("a@n2"),
        &[
            (ALL_SOURCES, "cluster", "dropped"),
            ("pod", OUTSIDE, "a"),
            ("node", OUTSIDE, "a*"),
            ("outside", OUTSIDE, "dropped"),
        ],
    );
}
