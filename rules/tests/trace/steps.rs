//! How a trace reads.

use crate::cluster::Cluster;
use rules::model::{Family, TrafficPolicy};
use serde_json::json;

#[test]
fn a_random_choice() {
    let cluster = Cluster::new(Family::V4).endpoints("a@n1 b@n2");
    insta::assert_snapshot!(cluster.trace("a", "cluster"), @r#"
    tcp 10.244.0.97 to 10.96.0.1:80, in by cni0
    prerouting nat-prerouting: jump services
    prerouting services: ip daddr . meta l4proto . th dport vmap @services -> goto cluster-2
    prerouting cluster-2: counter name "connections" dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints -> 10.244.0.97 . 8080
      postrouting nat-postrouting: jump masquerading
      postrouting masquerading: ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin masquerade fully-random
      => 10.244.0.97:8080, masqueraded
    prerouting cluster-2: counter name "connections" dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints -> 10.244.0.98 . 8080
      => 10.244.0.98:8080
    "#);
}

#[test]
fn policy_local() {
    let cluster = Cluster::new(Family::V6)
        .endpoints("a@n1 b@n2")
        .with(|own| own.service.external_policy = TrafficPolicy::Local);
    insta::assert_snapshot!(cluster.trace("outside", "nodeport"), @r#"
    tcp 2001:db8:3::9 to [2001:db8:2::1]:30080, in by eth0
    prerouting nat-prerouting: jump services
    prerouting services: ip6 daddr @nodeport-ips meta l4proto . th dport vmap @nodeports -> goto nodeport-local-1-of-2
    prerouting nodeport-local-1-of-2: goto nodeport-local-1
    prerouting nodeport-local-1: counter name "connections" dnat ip6 to meta l4proto . th dport . numgen random mod 1 map @nodeport-local-endpoints -> fd00:10:244::61 . 8080
    => [fd00:10:244::61]:8080
    "#);
}

#[test]
fn session_affinity() {
    let cluster = Cluster::new(Family::V4)
        .endpoints("a@n1 b@n2")
        .with(|own| own.service.session_affinity = Some(10_800));
    insta::assert_snapshot!(cluster.trace("pod", "cluster"), @r#"
    tcp 10.244.0.200 to 10.96.0.1:80, in by cni0
    prerouting nat-prerouting: jump services
    prerouting services: ip daddr . meta l4proto . th dport vmap @services -> goto affinity-default/web/tcp/80
    prerouting affinity-default/web/tcp/80: numgen random mod 2 0 goto affinity-default/web/tcp/80__10.244.0.97/8080
      prerouting affinity-default/web/tcp/80__10.244.0.97/8080: update @affinity-default/web/tcp/80__10.244.0.97/8080 { ip saddr timeout 3h }
      prerouting affinity-default/web/tcp/80__10.244.0.97/8080: counter name "connections" meta l4proto tcp dnat to 10.244.0.97:8080
      => 10.244.0.97:8080
      prerouting affinity-default/web/tcp/80: goto affinity-default/web/tcp/80__10.244.0.98/8080
      prerouting affinity-default/web/tcp/80__10.244.0.98/8080: update @affinity-default/web/tcp/80__10.244.0.98/8080 { ip saddr timeout 3h }
      prerouting affinity-default/web/tcp/80__10.244.0.98/8080: counter name "connections" meta l4proto tcp dnat to 10.244.0.98:8080
      => 10.244.0.98:8080
    "#);
}

#[test]
fn nobody_serves() {
    let cluster = Cluster::new(Family::V4);
    insta::assert_snapshot!(cluster.trace("node", "nodeport"), @r#"
    tcp 192.0.2.1 to 192.0.2.1:30080, from the node itself
    input filter-input: ct state new jump check-nodeport-endpoints
    input check-nodeport-endpoints: ip daddr @nodeport-ips meta l4proto . th dport vmap @nodeport-no-endpoints -> goto reject-no-endpoints
    input reject-no-endpoints: counter name "no-endpoint" reject
    => rejected
    "#);
}

#[test]
fn steps_are_data() {
    let cluster = Cluster::new(Family::V4)
        .endpoints("a@n1 b@n2 c@n2")
        .with(|own| own.service.session_affinity = Some(10_800));
    let trace = cluster.trace("pod", "cluster");
    let third = 1.0 / 3.0;
    for path in &trace.paths {
        assert!((path.probability - third).abs() < 1e-9, "{path:?}");
    }
    let cluster = Cluster::new(Family::V4).endpoints("b@n2");
    let trace = cluster.trace("outside", "nodeport");
    let step = |[hook, chain, rule]: [&str; 3], position: u8, found: [Option<&str>; 2], outcome| {
        json!({
            "hook": hook, "chain": chain, "position": position, "rule": rule,
            "set": found[0], "element": found[1], "outcome": outcome,
        })
    };
    let nothing = [None, None];
    let steps = [
        step(
            ["prerouting", "nat-prerouting", "jump services"],
            0,
            nothing,
            "jump services",
        ),
        step(
            [
                "prerouting",
                "services",
                "ip daddr @nodeport-ips meta l4proto . th dport vmap @nodeports",
            ],
            2,
            [
                Some("nodeports"),
                Some(
                    "tcp . 30080 comment \"default/web:http\" : goto nodeport-masquerade-cluster-1",
                ),
            ],
            "goto nodeport-masquerade-cluster-1",
        ),
        step(
            [
                "prerouting",
                "nodeport-masquerade-cluster-1",
                "meta mark set meta mark | 0x00004000 counter name \"connections\" dnat ip to \
                 meta l4proto . th dport . numgen \
                 random mod 1 map @nodeport-endpoints",
            ],
            0,
            [
                Some("nodeport-endpoints"),
                Some("tcp . 30080 . 0 : 10.244.0.98 . 8080"),
            ],
            "dnat to 10.244.0.98:8080",
        ),
        step(
            ["postrouting", "nat-postrouting", "jump masquerading"],
            0,
            nothing,
            "jump masquerading",
        ),
        step(
            [
                "postrouting",
                "masquerading",
                "meta mark & 0x00004000 != 0x00000000 meta mark set meta mark ^ 0x00004000 \
                 masquerade fully-random",
            ],
            0,
            nothing,
            "masquerade",
        ),
    ];
    let expected = json!({
        "packet": {
            "interface": "eth0", "protocol": "tcp",
            "source": "203.0.113.9", "destination": "192.0.2.1", "port": 30080,
        },
        "paths": [{
            "probability": 1.0,
            "steps": steps,
            "remembered": [],
            "end": {
                "outcome": "endpoint", "address": "10.244.0.98", "port": 8080, "masquerade": true,
            },
        }],
    });
    assert_eq!(serde_json::to_value(&trace).expect("JSON"), expected);
}
