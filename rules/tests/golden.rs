//! One golden ruleset per Service feature: what a Service adds to the table,
//! as `nft` statements. Review changes with `cargo insta review`.

mod build;
#[path = "golden/iptables.rs"]
mod iptables;

use build::{Cluster, endpoints, service};
use rules::model::{Family, TrafficPolicy};
use rules::{Config, LocalDetector, Localhost, NodeportAddresses};

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
fn a_port_with_many_addresses() {
    let mut cluster = Cluster::new(Family::V4);
    let mut web = build::service("web");
    web.external_ips = (1..=4).map(|n| [198, 51, 100, n].into()).collect();
    let added = cluster.add(web.clone(), build::endpoints("web", &["n1", "n2"]));
    let one_more = cluster.add(web.clone(), build::endpoints("web", &["n1", "n2", "n2"]));
    web.external_ips.truncate(1);
    let fewer = cluster.add(web, Vec::new());
    insta::assert_snapshot!(format!("{added}\n--- then\n{one_more}\n--- then\n{fewer}"));
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

#[test]
fn session_affinity() {
    let mut cluster = Cluster::new(Family::V4);
    let mut web = service("web");
    web.session_affinity = Some(10_800);
    web.load_balancer_ips = vec![[198, 51, 100, 1].into()];
    web.ports[0].node_port = Some(30080);
    let added = cluster.add(web.clone(), endpoints("web", &["n1", "n2"]));
    let one_less = cluster.add(web, endpoints("web", &["n1"]));
    insta::assert_snapshot!(format!("{added}\n--- then\n{one_less}"));
}

#[test]
fn session_affinity_and_external_policy_local() {
    let mut cluster = Cluster::new(Family::V6);
    let mut web = service("web");
    web.session_affinity = Some(90);
    web.external_policy = TrafficPolicy::Local;
    web.ports[0].node_port = Some(30080);
    let added = cluster.add(web.clone(), endpoints("web", &["n1", "n2"]));
    web.session_affinity = None;
    let without = cluster.add(web.clone(), endpoints("web", &["n1", "n2"]));
    web.session_affinity = Some(90);
    let again = cluster.add(web, endpoints("web", &["n1", "n2"]));
    insta::assert_snapshot!(format!("{added}\n--- then\n{without}\n--- then\n{again}"));
}

#[test]
fn load_balancer_source_ranges() {
    let mut cluster = Cluster::with(Config {
        node_ip: Some([192, 0, 2, 1].into()),
        ..Config::new(Family::V4, "n1")
    });
    let mut web = service("web");
    web.load_balancer_ips = vec![[198, 51, 100, 1].into()];
    let range = |text: &str| text.parse().expect("a range");
    web.source_ranges = ["203.0.113.0/24", "203.0.113.128/25", "2001:db8::/32"]
        .map(range)
        .into();
    let added = cluster.add(web.clone(), endpoints("web", &["n2"]));
    web.source_ranges = [range("192.0.2.0/24")].into();
    let with_node = cluster.add(web.clone(), endpoints("web", &["n2"]));
    web.source_ranges = [range("192.0.2.0/24"), range("0.0.0.0/0")].into();
    let open = cluster.add(web, endpoints("web", &["n2"]));
    insta::assert_snapshot!(format!("{added}\n--- then\n{with_node}\n--- then\n{open}"));
}

#[test]
fn pods_are_known_by_their_interface() {
    let cluster = |wildcard| {
        let mut cluster = Cluster::with(Config {
            local_detector: LocalDetector::Interface {
                name: "cali".into(),
                wildcard,
            },
            ..Config::new(Family::V4, "n1")
        });
        let mut web = service("web");
        web.external_policy = TrafficPolicy::Local;
        web.external_ips = vec![[198, 51, 100, 1].into()];
        cluster.add(web, endpoints("web", &["n1", "n2"]))
    };
    let lines = [cluster(false), cluster(true)].concat();
    let lines: Vec<&str> = lines
        .lines()
        .filter(|line| line.contains("iifname"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// No nft_compat, or tables of legacy iptables: what mode iptables promises all the same.
#[test]
fn mode_iptables_where_nftables_serves() {
    let mut cluster = Cluster::with(Config {
        local_detector: LocalDetector::None,
        drop_invalid: true,
        localhost: Localhost::Proxied {
            local_policy_serves_all: true,
        },
        ..Config::new(Family::V4, "n1")
    });
    let mut dns = build::dns();
    for (port, node_port) in dns.ports.iter_mut().zip([30053, 30054, 30055]) {
        port.node_port = Some(node_port);
    }
    let added = cluster.add(dns, build::dns_endpoints(&["n1"]));
    insta::assert_snapshot!(format!("{}--- then\n{added}", cluster.base()));
}

#[test]
fn node_ports_are_refused_on_localhost() {
    let mut cluster = Cluster::with(Config {
        localhost: Localhost::Refused,
        ..Config::new(Family::V6, "n1")
    });
    let mut web = service("web");
    web.ports[0].node_port = Some(30080);
    let added = cluster.add(web, endpoints("web", &["n1"]));
    insta::assert_snapshot!(format!("{}--- then\n{added}", cluster.base()));
}
