//! States of a node with chains of iptables, and what the node's tools tell of them.

use super::build::{Cluster, endpoints, service};
use e2e::Namespace;
use rules::iptables::Ruleset;
use rules::model::{Family, TrafficPolicy};
use rules::{Config, Counters, LocalDetector};

/// States of one node, each made of the last one, with all matches and targets that there are.
pub fn states(family: Family) -> Vec<Ruleset> {
    let pods = match family {
        Family::V4 => "10.244.0.0/16",
        Family::V6 => "fd00:10:244::/48",
    };
    let mut cluster = Cluster::with(Config {
        local_detector: LocalDetector::Source(pods.parse().expect("a range")),
        localhost_nodeports: true,
        drop_invalid: true,
        counters: Counters {
            invalid_dropped: true,
            localhost_nodeports: true,
        },
        ..Config::new(family, "n1")
    });
    let mut states = vec![cluster.chains()];
    let mut web = service("web");
    web.ports[0].node_port = Some(30080);
    web.session_affinity = Some(60);
    cluster.add(web.clone(), endpoints("web", &["n1", "n2", "n3", "n3"]));
    states.push(cluster.chains());
    web.external_policy = TrafficPolicy::Local;
    web.health_check_node_port = Some(31000);
    web.load_balancer_ips = vec![
        [198, 51, 100, 1].into(),
        "2001:db8:100::1".parse().expect("IP"),
    ];
    let ranges = ["203.0.113.0/24", "2001:db8:113::/64"];
    web.source_ranges = ranges.map(|range| range.parse().expect("a range")).into();
    cluster.add(web.clone(), endpoints("web", &["n2", "n2", "n3"]));
    states.push(cluster.chains());
    cluster.add(web, endpoints("web", &[]));
    states.push(cluster.chains());
    cluster.add(
        super::build::dns(),
        super::build::dns_endpoints(&["n1", "n2"]),
    );
    states.push(cluster.chains());
    states
}

/// The rules of our chains, in the order of the chains' names.
pub fn saved(namespace: &Namespace, family: Family, table: &str) -> String {
    let program = match family {
        Family::V4 => "iptables-save",
        Family::V6 => "ip6tables-save",
    };
    let text = namespace.exec(&[program, "-t", table]).expect("rules");
    let lines = text.lines().filter(|line| line.starts_with("-A KUBE-"));
    let mut lines: Vec<_> = lines.map(|line| format!("{line}\n")).collect();
    // Stable: rules stay in their order.
    lines.sort_by_key(|line| line.split(' ').nth(1).map(str::to_owned));
    lines.concat()
}
