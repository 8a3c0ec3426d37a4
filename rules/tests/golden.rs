//! One golden ruleset per Service feature: what a Service adds to the table,
//! as `nft` statements. Review changes with `cargo insta review`.

mod build;

use build::{Cluster, endpoints, service};
use rules::model::{Family, TrafficPolicy};
use rules::{Config, LocalDetector, NodeportAddresses};

#[test]
fn the_empty_table() {
    let cluster = Cluster::new(Family::V4);
    insta::assert_snapshot!(cluster.table());
}

#[test]
fn the_empty_table_of_ipv6_with_service_ranges() {
    let mut cluster = Cluster::new(Family::V6);
    cluster.service_cidr("fd00:10:96::/112");
    insta::assert_snapshot!(cluster.table());
}

#[test]
fn every_local_address_answers_node_ports_and_all_is_masqueraded() {
    let cluster = Cluster::with(Config {
        nodeport_addresses: NodeportAddresses::All,
        masquerade_all: true,
        local_detector: LocalDetector::None,
        ..Config::new(Family::V4, "n1")
    });
    insta::assert_snapshot!(cluster.table());
}

#[test]
fn a_cluster_ip() {
    let mut cluster = Cluster::new(Family::V4);
    let added = cluster.add(service("web"), endpoints("web", &["n1", "n2", "n2"]));
    insta::assert_snapshot!(added);
}

#[test]
fn a_cluster_ip_of_ipv6() {
    let mut cluster = Cluster::new(Family::V6);
    let added = cluster.add(service("web"), endpoints("web", &["n1", "n2"]));
    insta::assert_snapshot!(added);
}

#[test]
fn a_node_port() {
    let mut cluster = Cluster::new(Family::V4);
    let mut web = service("web");
    web.ports[0].node_port = Some(30080);
    let added = cluster.add(web, endpoints("web", &["n2", "n3"]));
    insta::assert_snapshot!(added);
}

#[test]
fn external_and_load_balancer_ips() {
    let mut cluster = Cluster::new(Family::V4);
    let mut web = service("web");
    web.external_ips = vec![[203, 0, 113, 5].into()];
    web.load_balancer_ips = vec![[198, 51, 100, 1].into()];
    let added = cluster.add(web, endpoints("web", &["n2", "n3"]));
    insta::assert_snapshot!(added);
}

#[test]
fn external_policy_local() {
    let mut cluster = Cluster::new(Family::V4);
    let mut web = service("web");
    web.external_policy = TrafficPolicy::Local;
    web.load_balancer_ips = vec![[198, 51, 100, 1].into()];
    web.ports[0].node_port = Some(30080);
    let added = cluster.add(web, endpoints("web", &["n1", "n2", "n2"]));
    insta::assert_snapshot!(added);
}

#[test]
fn external_policy_local_without_local_endpoints() {
    let mut cluster = Cluster::new(Family::V4);
    let mut web = service("web");
    web.external_policy = TrafficPolicy::Local;
    web.load_balancer_ips = vec![[198, 51, 100, 1].into()];
    let added = cluster.add(web, endpoints("web", &["n2", "n3"]));
    insta::assert_snapshot!(added);
}

#[test]
fn internal_policy_local() {
    let mut cluster = Cluster::new(Family::V4);
    let mut web = service("web");
    web.internal_policy = TrafficPolicy::Local;
    let added = cluster.add(web, endpoints("web", &["n1", "n2", "n3"]));
    insta::assert_snapshot!(added);
}

#[test]
fn internal_policy_local_without_local_endpoints() {
    let mut cluster = Cluster::new(Family::V4);
    let mut web = service("web");
    web.internal_policy = TrafficPolicy::Local;
    let added = cluster.add(web, endpoints("web", &["n2"]));
    insta::assert_snapshot!(added);
}

#[test]
fn no_endpoints() {
    let mut cluster = Cluster::new(Family::V4);
    let mut web = service("web");
    web.load_balancer_ips = vec![[198, 51, 100, 1].into()];
    web.ports[0].node_port = Some(30080);
    let added = cluster.add(web, endpoints("web", &[]));
    insta::assert_snapshot!(added);
}

#[test]
fn udp_and_sctp_beside_tcp() {
    let mut cluster = Cluster::new(Family::V4);
    let added = cluster.add(build::dns(), build::dns_endpoints(&["n2"]));
    insta::assert_snapshot!(added);
}

#[test]
fn one_endpoint_more_and_one_less() {
    let mut cluster = Cluster::new(Family::V4);
    cluster.add(service("web"), endpoints("web", &["n2", "n2"]));
    let more = cluster.add(service("web"), endpoints("web", &["n2", "n2", "n3"]));
    let less = cluster.add(service("web"), endpoints("web", &["n2"]));
    insta::assert_snapshot!(format!("{more}\n--- then\n{less}"));
}
