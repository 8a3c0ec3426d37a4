//! Many nodes, one set of objects.

use super::*;
use e2e::cleanup::ScratchDir;
use rules::nft::print;

/// Two zones with a node and an endpoint each, and a Service whose hints keep traffic in its zone.
const CLUSTER: &str = "\
{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {topology.kubernetes.io/zone: a}},
 spec: {podCIDRs: [10.1.0.0/24]}, status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2, labels: {topology.kubernetes.io/zone: b}},
 spec: {podCIDRs: [10.2.0.0/24]}, status: {addresses: [{type: InternalIP, address: 192.0.2.2}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n3},
 status: {addresses: [{type: InternalIP, address: 192.0.2.3}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: NodePort,
 clusterIP: 10.96.0.10, externalIPs: [198.51.100.1], externalTrafficPolicy: Local,
 ports: [{port: 80, nodePort: 30080}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
 metadata: {name: web-1, labels: {kubernetes.io/service-name: web}},
 ports: [{name: \"\", port: 8080}], endpoints: [
 {addresses: [10.1.0.10], nodeName: n1, hints: {forZones: [{name: a}]}},
 {addresses: [10.2.0.10], nodeName: n2, hints: {forZones: [{name: b}]}}]}
";

fn loaded(node: &str, nodes: Nodes, flags: &[&str]) -> World {
    let directory = ScratchDir::create("world").expect("a directory");
    std::fs::write(directory.path().join("all.yaml"), CLUSTER).expect("a file");
    let manifests = format!("--manifests={}", directory.path().display());
    let name = format!("--hostname-override={node}");
    let words = [&["--proxy-mode=nftables", &manifests, &name], flags].concat();
    let settings = Settings::from_flags(&words).expect("valid flags");
    let loaded = load(&settings, nodes);
    let loaded = futures::executor::block_on(loaded).expect("objects");
    assert_eq!(loaded.problems, [""; 0]);
    loaded.world
}

fn text(standpoint: &Standpoint<'_>) -> String {
    let transaction = standpoint.ruleset(Family::V4).expect("rules");
    print::transaction(&transaction)
}

#[test]
fn each_node_is_seen_from_as_it_sees_itself() {
    let flags = [
        "--detect-local-mode=NodeCIDR",
        "--nodeport-addresses=primary",
    ];
    let all = loaded("n1", Nodes::All, &flags);
    let names: Vec<&str> = ["n1", "n2", "n3"].into();
    assert!(
        all.nodes()
            .iter()
            .map(|name| &**name)
            .eq(names.iter().copied())
    );
    let mut texts = HashSet::new();
    for name in names {
        let seen = text(&all.seen_from(name).expect("a node"));
        let own = loaded(name, Nodes::Own, &flags);
        assert_eq!(seen, text(&own.here()), "{name}");
        assert_eq!(own.nodes().len(), 1);
        assert!(own.seen_from("n0").is_none());
        texts.insert(seen);
    }
    assert_eq!(texts.len(), 3, "zones, ranges and endpoints differ");
}

#[test]
fn a_node_that_is_not_there_is_planned_for_here_alone() {
    let world = loaded("n9", Nodes::All, &[]);
    assert!(world.seen_from("n9").is_none());
    assert!(text(&world.here()).contains("10.96.0.10"));
    assert_eq!(world.nodes().len(), 3);
}

#[test]
fn node_ports_on_localhost_are_as_the_mode_has_them() {
    const GATE: &str = "--feature-gates=KubeProxyNFTablesLocalhostNodePorts=true";
    let localhost = |flags: &[&str]| {
        let words = [&["--hostname-override=n1"], flags].concat();
        let settings = Settings::from_flags(&words).expect("valid flags");
        let world = World::new(&settings);
        Family::ALL.map(|family| world.here().config(family).localhost)
    };
    let all = Localhost::Proxied {
        local_policy_serves_all: true,
    };
    let own = Localhost::Proxied {
        local_policy_serves_all: false,
    };
    let (nothing, refused) = (Localhost::Untouched, Localhost::Refused);
    for (flags, expected) in [
        // As upstream's kube-proxy, whatever programs mode iptables.
        (&["--proxy-mode=iptables"][..], [all, nothing]),
        (&[], [all, nothing]),
        (
            &[
                "--proxy-mode=iptables",
                "--iptables-localhost-nodeports=false",
            ],
            [nothing, nothing],
        ),
        (
            &["--proxy-mode=iptables", "--nodeport-addresses=192.0.2.0/24"],
            [nothing, nothing],
        ),
        (
            &["--proxy-mode=iptables", "--nodeport-addresses=127.0.0.2/32"],
            [nothing, nothing],
        ),
        (
            &["--proxy-mode=iptables", "--nodeport-addresses=localhost"],
            [all, nothing],
        ),
        // The gate is of mode nftables.
        (&["--proxy-mode=iptables", GATE], [all, nothing]),
        (&["--proxy-mode=nftables"], [nothing, nothing]),
        (
            &["--proxy-mode=nftables", "--nodeport-addresses=localhost"],
            [nothing, nothing],
        ),
        (&["--proxy-mode=nftables", GATE], [refused, refused]),
        (
            &["--proxy-mode=nftables", GATE, "--nodeport-addresses=all"],
            [refused, refused],
        ),
        (
            &[
                "--proxy-mode=nftables",
                GATE,
                "--nodeport-addresses=primary,localhost",
            ],
            [own, own],
        ),
        (
            &[
                "--proxy-mode=nftables",
                GATE,
                "--nodeport-addresses=127.0.0.1/32",
            ],
            [own, refused],
        ),
        (
            &[
                "--proxy-mode=nftables",
                GATE,
                "--nodeport-addresses=127.0.0.2/32",
            ],
            [refused, refused],
        ),
    ] {
        assert_eq!(localhost(flags), expected, "{flags:?}");
    }
}

#[test]
fn mode_iptables_drops_invalid_packets_unless_conntrack_is_liberal() {
    let drops = |flags: &[&str]| {
        let words = [&["--hostname-override=n1"], flags].concat();
        let settings = Settings::from_flags(&words).expect("valid flags");
        World::new(&settings).here().config(Family::V4).drop_invalid
    };
    assert!(drops(&[]));
    assert!(!drops(&["--conntrack-tcp-be-liberal"]));
    assert!(!drops(&["--proxy-mode=nftables"]));
}
