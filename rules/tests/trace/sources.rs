//! docs/reference.md#source-ranges.

use crate::cluster::Cluster;
use crate::names::address;
use crate::{ALL_SOURCES, differing, table};
use rules::model::TrafficPolicy;

/// Ranges of both families by name, and `v4-` or `v6-` for one of them.
fn ranges(own: Cluster, names: &[&str]) -> Cluster {
    let texts = names.iter().flat_map(|name| match *name {
        "outside" => vec!["203.0.113.0/24", "2001:db8:3::/64"],
        "nodes" => vec!["192.0.2.0/24", "2001:db8:2::/64"],
        "all" => vec!["0.0.0.0/0", "::/0"],
        "other-family" if own.config.family == rules::model::Family::V4 => vec!["2001:db8:9::/64"],
        "other-family" => vec!["198.18.0.0/15"],
        "all-other" if own.config.family == rules::model::Family::V4 => vec!["::/0"],
        "all-other" => vec!["0.0.0.0/0"],
        other => panic!("{other}?"),
    });
    let texts: Vec<&str> = texts.collect();
    own.endpoints("a@n1 b@n2").with(|own| {
        let ranges = texts.iter().map(|text| text.parse().expect("a range"));
        own.service.source_ranges = ranges.collect();
    })
}

fn with_node_ip(own: Cluster) -> Cluster {
    own.with(|own| own.config.node_ip = Some(address(own.config.family, "node", 1)))
}

#[test]
fn load_balancer_ips_alone_are_guarded() {
    table(
        "5.6: firewall chain on LB IPs only",
        |own| ranges(own, &["outside"]),
        &[
            ("outside", "balancer", "a* b*"),
            ("pod node other-node far-pod a", "balancer", "dropped"),
            (ALL_SOURCES, "external nodeport", "a* b*"),
            ("pod", "cluster", "a b"),
            ("other-node", "cluster", "a* b*"),
            ("other-node", "balancer:81", "untouched"),
        ],
    );
    table(
        "5.6: several ranges",
        |own| ranges(own, &["outside", "nodes"]),
        &[
            ("outside node other-node", "balancer", "a* b*"),
            ("pod far-pod", "balancer", "dropped"),
        ],
    );
}

#[test]
fn before_everything_else() {
    differing(
        "5.2: the firewall comes before the translation, so before reject and drop",
        |own| ranges(own, &["outside"]).endpoints("a@n1:unready"),
        &[
            ("outside", "balancer", "rejected"),
            ("pod", "balancer", "dropped"),
        ],
        "in mode iptables source ranges guard endpoints, so they are not there without any",
        &[("pod", "balancer", "rejected")],
    );
    table(
        "5.6: with policy Local who is let in keeps its address",
        |own| {
            ranges(own, &["outside"]).with(|own| own.service.external_policy = TrafficPolicy::Local)
        },
        &[
            ("outside", "balancer", "a"),
            ("pod node", "balancer", "dropped"),
        ],
    );
}

#[test]
fn the_node_may_connect_from_the_balancer_ip() {
    table(
        "5.6: a range that contains the node's IP adds the LB IPs",
        |own| with_node_ip(ranges(own, &["nodes"])).with(|own| own.on_node = vec!["balancer"]),
        &[
            ("node balancer", "balancer", "a* b*"),
            ("pod", "balancer", "dropped"),
        ],
    );
    table(
        "5.6: and no other range does",
        |own| with_node_ip(ranges(own, &["outside"])).with(|own| own.on_node = vec!["balancer"]),
        &[("node balancer", "balancer", "dropped")],
    );
}

#[test]
fn each_family_by_itself() {
    table(
        "5.6: a prefix of length zero is as good as no ranges",
        |own| ranges(own, &["outside", "all"]),
        &[(ALL_SOURCES, "balancer", "a* b*")],
    );
    table(
        "5.6: filtered by family, so that one of the other family opens nothing here",
        |own| ranges(own, &["outside", "all-other"]),
        &[
            ("outside", "balancer", "a* b*"),
            ("pod", "balancer", "dropped"),
        ],
    );
    table(
        "5.6: filtered by family, and none is left",
        |own| ranges(own, &["other-family"]),
        &[(ALL_SOURCES, "balancer", "a* b*")],
    );
}
