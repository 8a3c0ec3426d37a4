//! What decides about a packet, in words, and where it may go.

use crate::cluster::Cluster;
use rules::model::{Family, TrafficPolicy};
use rules::trace::Way;
use std::fmt::Write;

pub fn shown(ways: &[Way]) -> String {
    let mut out = String::new();
    for way in ways {
        for decision in &way.decisions {
            let chains = [&decision.base, &decision.chain];
            let chains: Vec<&str> = chains.into_iter().flatten().map(String::as_str).collect();
            let _ = writeln!(
                out,
                "{} | {} | {}",
                decision.hook,
                chains.join(" → "),
                decision.words
            );
        }
        let masquerade = if way.masquerade { ", masqueraded" } else { "" };
        let remembered = match (way.was_remembered, way.remembers) {
            (true, _) => ", as before",
            (false, true) => ", from now on",
            (false, false) => "",
        };
        let _ = writeln!(
            out,
            "= {:.2} {}{masquerade}{remembered} ({})",
            way.probability,
            way.fate,
            way.service.as_deref().unwrap_or("no Service")
        );
        for share in &way.endpoints {
            let _ = writeln!(out, "  {:.2} {}", share.probability, share.endpoint.address);
        }
    }
    out
}

fn cluster(endpoints: &'static str) -> Cluster {
    Cluster::new(Family::V4).endpoints(endpoints)
}

fn local(own: &mut Cluster) {
    own.service.external_policy = TrafficPolicy::Local;
}

#[test]
fn a_cluster_ip_from_a_pod() {
    let cluster = cluster("a@n1 b@n2 c@n2");
    insta::assert_snapshot!(shown(&cluster.ways("pod", "cluster")));
}

#[test]
fn a_cluster_ip_from_outside_is_masqueraded() {
    let cluster = cluster("a@n1 b@n2");
    insta::assert_snapshot!(shown(&cluster.ways("outside", "cluster")));
}

#[test]
fn a_node_port_under_local_with_endpoints() {
    let cluster = cluster("a@n1 b@n1 c@n2").with(local);
    insta::assert_snapshot!(shown(&cluster.ways("outside", "nodeport")));
}

#[test]
fn a_node_port_under_local_without_endpoints_here() {
    let cluster = cluster("a@n2 b@n2").with(local);
    insta::assert_snapshot!(shown(&cluster.ways("outside", "nodeport")));
}

#[test]
fn a_node_port_from_the_node_itself() {
    let cluster = cluster("a@n1 b@n2").with(local);
    insta::assert_snapshot!(shown(&cluster.ways("node", "nodeport")));
}

#[test]
fn nobody_serves() {
    let cluster = Cluster::new(Family::V4);
    insta::assert_snapshot!(shown(&cluster.ways("pod", "cluster")));
}

#[test]
fn a_source_that_is_not_let_in() {
    let cluster = cluster("a@n1").with(|own| {
        own.service.source_ranges = ["198.51.100.0/24".parse().expect("a range")].into();
    });
    insta::assert_snapshot!(shown(&cluster.ways("outside", "balancer")));
}

#[test]
fn a_client_that_is_not_known_yet() {
    let cluster = cluster("a@n1 b@n2 c@n2").with(|own| own.service.session_affinity = Some(600));
    insta::assert_snapshot!(shown(&cluster.ways("pod", "cluster")));
}

#[test]
fn a_client_that_is_remembered() {
    let cluster = cluster("a@n1 b@n2 c@n2")
        .with(|own| own.service.session_affinity = Some(600))
        .remember("pod", "b");
    insta::assert_snapshot!(shown(&cluster.ways("pod", "cluster")));
}

#[test]
fn an_endpoint_that_may_meet_itself() {
    let cluster = cluster("a@n1 b@n2 c@n2");
    insta::assert_snapshot!(shown(&cluster.ways("a", "cluster")));
}

#[test]
fn what_is_not_translated() {
    let cluster = cluster("a@n1");
    let mut all = String::new();
    for (source, destination) in [
        ("outside", "nodeport:22"),
        ("pod", "nodeport@other-node:22"),
        ("pod", "cluster:81"),
        ("pod", "unallocated"),
    ] {
        let _ = writeln!(all, "# {source} to {destination}");
        all += &shown(&cluster.ways(source, destination));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn shares_of_a_way_add_up() {
    for family in Family::ALL {
        let cluster = Cluster::new(family).endpoints("a@n1 b@n2 c@n2");
        for (source, destination) in [
            ("a", "cluster"),
            ("pod", "external"),
            ("outside", "balancer"),
        ] {
            let ways = cluster.ways(source, destination);
            let all = ways.iter().flat_map(|way| &way.endpoints);
            let sum: f64 = all.map(|share| share.probability).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{source} to {destination}: {sum}");
        }
    }
}
