//! docs/reference.md#services-and-slices, which Services get rules; docs/ruleset.md, who
//! keeps a contested frontend.

use crate::cluster::{Cluster, service};
use crate::names::address;
use crate::{ALL_SOURCES, differing, table};
use rules::model::{Family, Protocol};

fn other_family(own: &Cluster) -> Family {
    match own.config.family {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    }
}

#[test]
fn dual_stack_with_either_family_first() {
    for order in [Family::ALL, [Family::V6, Family::V4]] {
        table(
            "5.10: each family has the cluster IP of its own",
            |own| {
                own.endpoints("a@n1 b@n2").with(|own| {
                    let ips = order.map(|family| address(family, "cluster", 1));
                    own.service.cluster_ips = ips.into();
                })
            },
            &[
                ("pod", "cluster", "a b"),
                ("outside", "cluster external balancer nodeport", "a* b*"),
            ],
        );
    }
}

#[test]
fn single_stack() {
    differing(
        "5.10: no cluster IP of the family, no rules in it",
        |own| {
            own.endpoints("a@n1 b@n2").with(|own| {
                own.service.cluster_ips = vec![address(other_family(own), "cluster", 1)];
            })
        },
        &[
            (ALL_SOURCES, "external balancer nodeport", "untouched"),
            (ALL_SOURCES, "cluster", "dropped"),
        ],
        "mode iptables knows no Service ranges",
        &[(ALL_SOURCES, "cluster", "untouched")],
    );
    table(
        "5.10: addresses of the other family change nothing",
        |own| {
            own.endpoints("a@n1 b@n2").with(|own| {
                own.service.cluster_ips = vec![address(own.config.family, "cluster", 1)];
                own.service.external_ips = vec![address(other_family(own), "external", 1)];
            })
        },
        &[
            ("pod", "cluster", "a b"),
            ("outside", "external", "untouched"),
        ],
    );
}

#[test]
fn no_frontends_but_a_cluster_ip() {
    table(
        "5.6: nothing outside",
        |own| {
            own.endpoints("a@n1 b@n2").with(|own| {
                own.service.external_ips.clear();
                own.service.load_balancer_ips.clear();
                own.service.ports[0].node_port = None;
            })
        },
        &[
            ("pod", "cluster", "a b"),
            (ALL_SOURCES, "external balancer nodeport", "untouched"),
        ],
    );
}

/// Adds a Service without endpoints that asks for the same external IPs.
fn contested(own: Cluster, age: i64, family: Option<Family>) -> Cluster {
    own.endpoints("a@n1 b@n2").with(|own| {
        let families = family.map_or(Family::ALL.to_vec(), |family| vec![family]);
        let ips = families.iter().map(|family| address(*family, "cluster", 2));
        let mut other = service("other", Protocol::Tcp);
        other.cluster_ips = ips.collect();
        other.ports[0].node_port = None;
        other.created = own.service.created - age;
        own.others = vec![other];
    })
}

#[test]
fn the_oldest_keeps_a_contested_frontend() {
    table(
        "docs/ruleset.md: the newcomer gets nothing",
        |own| contested(own, -1, None),
        &[
            ("outside", "external balancer", "a* b*"),
            ("pod", "cluster", "a b"),
        ],
    );
    table(
        "docs/ruleset.md: the older one has it, though nobody serves it",
        |own| contested(own, 1, None),
        &[
            ("outside", "external balancer", "rejected"),
            ("pod", "cluster", "a b"),
            ("outside", "nodeport", "a* b*"),
        ],
    );
    table(
        "docs/ruleset.md: of the same age, the first by name (other before web)",
        |own| contested(own, 0, None),
        &[("outside", "external balancer", "rejected")],
    );
    table(
        "5.10: an older one without rules in this family is none to stand back for",
        |own| {
            let family = other_family(&own);
            contested(own, 1, Some(family))
        },
        &[("outside", "external balancer", "a* b*")],
    );
}

#[test]
fn nobody_takes_a_cluster_ip_by_listing_it() {
    // The other Service has no endpoint, and is the older one.
    let squatter = |own: Cluster, list: fn(&mut rules::model::Service, std::net::IpAddr)| {
        let mut own = contested(own, 1, None);
        let family = own.config.family;
        let other = &mut own.others[0];
        other.external_ips.clear();
        other.load_balancer_ips.clear();
        list(other, address(family, "cluster", 1));
        own
    };
    table(
        "docs/ruleset.md: a cluster IP comes before an older external IP",
        |own| squatter(own, |other, ip| other.external_ips = vec![ip]),
        &[("pod", "cluster", "a b"), ("outside", "cluster", "a* b*")],
    );
    table(
        "docs/ruleset.md: a cluster IP comes before an older load-balancer IP",
        |own| squatter(own, |other, ip| other.load_balancer_ips = vec![ip]),
        &[("pod", "cluster", "a b"), ("outside", "cluster", "a* b*")],
    );
    table(
        "docs/ruleset.md: a load-balancer IP comes before an older external IP",
        |own| {
            let mut own = contested(own, 1, None);
            let family = own.config.family;
            let other = &mut own.others[0];
            other.load_balancer_ips.clear();
            other.external_ips = vec![address(family, "balancer", 1)];
            own
        },
        &[("outside", "balancer external", "a* b*")],
    );
}
