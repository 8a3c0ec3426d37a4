//! docs/reference.md#endpoint-selection.

use crate::cluster::Cluster;
use crate::{ALL_SOURCES, OUTSIDE, differing, table};
use rules::model::TrafficPolicy::{self, Local};

const EVERYWHERE: &str = "cluster external balancer nodeport";

fn policies(own: Cluster, internal: TrafficPolicy, external: TrafficPolicy) -> Cluster {
    own.with(|own| {
        own.service.internal_policy = internal;
        own.service.external_policy = external;
    })
}

/// Of external and load-balancer IPs that nobody serves.
const FROM_THE_NODE: &str =
    "mode iptables looks at them where packets come in and go through, not where the node sends";

#[test]
fn no_endpoints() {
    for unusable in ["a@n1:unready b@n2:gone", "a@n1:gone", "a@n2:unready"] {
        for internal in [TrafficPolicy::Cluster, Local] {
            for external in [TrafficPolicy::Cluster, Local] {
                differing(
                    "5.6: no endpoints anywhere: rejected, whatever the policy",
                    |own| policies(own.endpoints(unusable), internal, external),
                    &[(ALL_SOURCES, EVERYWHERE, "rejected")],
                    FROM_THE_NODE,
                    &[("node loopback", "external balancer", "untouched")],
                );
            }
        }
    }
    differing(
        "5.6: no slice names an endpoint",
        |own| own,
        &[(ALL_SOURCES, EVERYWHERE, "rejected")],
        FROM_THE_NODE,
        &[("node loopback", "external balancer", "untouched")],
    );
}

#[test]
fn conditions() {
    let rows: [(&str, &str); 7] = [
        ("a@n1 b@n2:unready c@n2:leaving d@n2:gone", "a"),
        ("a@n1:unready b@n2:leaving c@n1:leaving d@n2:gone", "b c"),
        ("a@n1:both b@n2", "a b"),
        ("a@n1:both b@n2:leaving", "a"),
        ("a@n1:both", "a"),
        ("a@n1:leaving b@n2:unready", "a"),
        ("a@n1:unready b@n2:gone c@n2", "c"),
    ];
    for (endpoints, wanted) in rows {
        table(
            "6: ready ones, or else those that serve while they terminate",
            |own| own.endpoints(endpoints),
            &[("pod", "cluster", wanted)],
        );
    }
}

#[test]
fn each_list_falls_back_by_itself() {
    table(
        "6: the local list may fall back while the cluster list need not",
        |own| policies(own.endpoints("a@n1:leaving b@n2"), Local, Local),
        &[
            ("pod", "cluster", "a"),
            ("a", "cluster", "a*"),
            ("outside", OUTSIDE, "a"),
            ("pod", OUTSIDE, "b"),
            ("node", OUTSIDE, "b*"),
        ],
    );
    table(
        "6: a local ready one keeps the local leaving one out",
        |own| {
            policies(
                own.endpoints("a@n1:leaving b@n1 c@n2:leaving"),
                Local,
                Local,
            )
        },
        &[
            ("pod", "cluster", "b"),
            ("outside", OUTSIDE, "b"),
            ("pod", OUTSIDE, "b"),
        ],
    );
    table(
        "6: all are leaving",
        |own| policies(own.endpoints("a@n1:leaving b@n2:leaving"), Local, Local),
        &[
            ("pod", "cluster", "a"),
            ("outside", OUTSIDE, "a"),
            ("pod", OUTSIDE, "a b"),
        ],
    );
}

#[test]
fn hints() {
    /// Endpoints, who is chosen on node n1 of zone z1, who on n1 of no zone.
    const ROWS: [(&str, &str, &str); 11] = [
        // Zone hints: every ready endpoint has one, and one is for us.
        ("a@n1+z1 b@n2+z2 c@n3+z1+z2", "a c", "a b c"),
        ("a@n1+z1 b@n2 c@n3+z1", "a b c", "a b c"),
        ("a@n1+z2 b@n2+z2", "a b", "a b"),
        ("a@n2+z1 b@n2:unready c@n2:leaving", "a", "a"),
        // Node hints come first, and need no zone.
        ("a@n1+n1 b@n2+n2", "a", "a"),
        ("a@n2+n1 b@n1+n2 c@n2+n1+n2", "a c", "a c"),
        ("a@n1+n1+z2 b@n2+n2+z1", "a", "a"),
        // If they are not for us, zones are tried.
        ("a@n2+n2+z1 b@n2+n2+z2", "a", "a b"),
        ("a@n1+n1+z1 b@n2+z2", "a", "a b"),
        ("a@n1+n1 b@n2+z1", "a b", "a b"),
        // The fallback knows no hints.
        ("a@n1:leaving+z1 b@n2:leaving+z2", "a b", "a b"),
    ];
    for (endpoints, in_zone, in_none) in ROWS {
        for (zone, wanted) in [(Some("z1"), in_zone), (None, in_none), (Some(""), in_none)] {
            table(
                "6: topology by hints of the ready endpoints",
                |own| own.endpoints(endpoints).with(|own| own.zone = zone),
                &[("pod", "cluster", wanted)],
            );
        }
    }
}

#[test]
fn policy_local_knows_no_hints() {
    table(
        "6: the local list is never filtered by topology",
        |own| {
            policies(own.endpoints("a@n1+z2 b@n2+z1"), Local, Local)
                .with(|own| own.zone = Some("z1"))
        },
        &[
            ("pod", "cluster", "a"),
            ("a", "cluster", "a*"),
            ("outside", OUTSIDE, "a"),
            ("pod", OUTSIDE, "b"),
            ("node", OUTSIDE, "b*"),
        ],
    );
}
