//! The same for iptables: what a Service adds to the input of iptables-restore.

use crate::build::{self, Cluster, endpoints, service};
use rules::iptables::names::ChainName;
use rules::iptables::rule::{Rule, Target};
use rules::iptables::{Change, Content, Ruleset, TableChange, print};
use rules::model::{Family, Service, TrafficPolicy};
use rules::{Config, Counters, LocalDetector, NodeportAddresses};
use std::collections::{BTreeMap, HashSet};

/// Upstream's defaults on a node that has the counters.
fn config(family: Family) -> Config {
    let pods = match family {
        Family::V4 => "10.244.0.0/16",
        Family::V6 => "fd00:10:244::/48",
    };
    Config {
        local_detector: LocalDetector::Source(pods.parse().expect("a range")),
        node_ip: Some([192, 0, 2, 1].into()).filter(|_| family == Family::V4),
        localhost_nodeports: true,
        drop_invalid: true,
        counters: Counters {
            invalid_dropped: true,
            localhost_nodeports: true,
        },
        ..Config::new(family, "n1")
    }
}

/// What a Service with an endpoint on each of `nodes` adds.
fn added(config: Config, web: Service, nodes: &[&str]) -> String {
    let mut cluster = Cluster::with(config);
    let empty = cluster.chains();
    let slices = endpoints(&web.name.name, nodes);
    cluster.add(web, slices);
    difference(&empty, &cluster.chains())
}

/// The lines of one that the other one has not, `+`, and the other way round, `-`.
fn difference(before: &Ruleset, after: &Ruleset) -> String {
    let (before, after) = (print::restore(before), print::restore(after));
    let lines = |text: &str| -> Vec<String> {
        // Both tables have chains of the same names.
        let mut table = "";
        let named = text.lines().map(|line| {
            table = line.strip_prefix('*').unwrap_or(table);
            format!("{table:6}  {line}")
        });
        named.collect()
    };
    let (before, after) = (lines(&before), lines(&after));
    let (had, has): (HashSet<_>, HashSet<_>) = (before.iter().collect(), after.iter().collect());
    let gone = before.iter().filter(|line| !has.contains(line));
    let new = after.iter().filter(|line| !had.contains(line));
    let gone = gone.map(|line| format!("- {line}\n"));
    let new = new.map(|line| format!("+ {line}\n"));
    gone.chain(new).collect()
}

#[test]
fn nothing_but_a_node() {
    let rules = Cluster::with(config(Family::V4)).chains();
    let setup = print::setup(&rules);
    insta::assert_snapshot!(format!("{}--- once\n{setup}", print::restore(&rules)));
}

#[test]
fn nothing_but_a_node_in_ipv6() {
    let rules = Cluster::with(config(Family::V6)).chains();
    let setup = print::setup(&rules);
    insta::assert_snapshot!(format!("{}--- once\n{setup}", print::restore(&rules)));
}

#[test]
fn settings_of_the_node() {
    let plain = Cluster::with(config(Family::V4)).chains();
    let within = |ranges: &[&str], localhost| {
        let ranges = ranges.iter().map(|range| range.parse().expect("a range"));
        Config {
            nodeport_addresses: NodeportAddresses::Within(ranges.collect()),
            localhost_nodeports: localhost,
            ..config(Family::V4)
        }
    };
    let rows = [
        (
            "no node ports on loopback addresses",
            Config {
                localhost_nodeports: false,
                ..config(Family::V4)
            },
        ),
        (
            "node ports on one address",
            within(&["192.0.2.0/24"], false),
        ),
        (
            "node ports on loopback addresses",
            within(&["127.0.0.0/8"], true),
        ),
        ("the same, but not allowed", within(&["127.0.0.0/8"], false)),
        (
            "conntrack is liberal",
            Config {
                drop_invalid: false,
                ..config(Family::V4)
            },
        ),
        (
            "no counters",
            Config {
                counters: Counters::default(),
                ..config(Family::V4)
            },
        ),
        (
            "another mark",
            Config {
                masquerade_mark: 1 << 3,
                ..config(Family::V4)
            },
        ),
    ];
    let shown = rows.map(|(words, config)| {
        let changed = difference(&plain, &Cluster::with(config).chains());
        format!("--- {words}\n{changed}")
    });
    insta::assert_snapshot!(shown.concat());
}

#[test]
fn a_cluster_ip() {
    let nodes = ["n1", "n2", "n2"];
    insta::assert_snapshot!(added(config(Family::V4), service("web"), &nodes));
}

#[test]
fn a_cluster_ip_of_ipv6() {
    insta::assert_snapshot!(added(config(Family::V6), service("web"), &["n1", "n2"]));
}

#[test]
fn endpoints_in_the_order_of_their_text() {
    // From 10.244.0.10 on: as text, 100 comes before 11.
    let text = added(config(Family::V4), service("web"), &["n2"; 92]);
    let chosen: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(" -> "))
        .filter_map(|line| line.split(" -> ").nth(1))
        .take(4)
        .collect();
    insta::assert_snapshot!(chosen.join("\n"));
}

#[test]
fn a_node_port() {
    let mut web = service("web");
    web.ports[0].node_port = Some(30080);
    let here = added(config(Family::V4), web.clone(), &["n2", "n3"]);
    let v6 = added(config(Family::V6), web.clone(), &["n2"]);
    let uncounted = Config {
        counters: Counters::default(),
        ..config(Family::V4)
    };
    let uncounted = added(uncounted, web, &["n2"]);
    insta::assert_snapshot!(format!("{here}--- IPv6\n{v6}--- no counters\n{uncounted}"));
}

#[test]
fn external_and_load_balancer_ips() {
    let mut web = service("web");
    web.external_ips = vec![[203, 0, 113, 5].into()];
    web.load_balancer_ips = vec![[198, 51, 100, 1].into(), [198, 51, 100, 2].into()];
    insta::assert_snapshot!(added(config(Family::V4), web, &["n2", "n3"]));
}

#[test]
fn external_policy_local() {
    let mut web = service("web");
    web.external_policy = TrafficPolicy::Local;
    web.external_ips = vec![[203, 0, 113, 5].into()];
    web.load_balancer_ips = vec![[198, 51, 100, 1].into()];
    web.ports[0].node_port = Some(30080);
    web.health_check_node_port = Some(31000);
    let here = added(config(Family::V4), web.clone(), &["n1", "n2", "n2"]);
    let elsewhere = added(config(Family::V4), web.clone(), &["n2"]);
    let nowhere = added(config(Family::V4), web, &[]);
    insta::assert_snapshot!(format!(
        "{here}--- no endpoint here\n{elsewhere}--- no endpoint at all\n{nowhere}"
    ));
}

#[test]
fn internal_policy_local() {
    let mut web = service("web");
    web.internal_policy = TrafficPolicy::Local;
    let here = added(config(Family::V4), web.clone(), &["n1", "n2", "n3"]);
    let elsewhere = added(config(Family::V4), web.clone(), &["n2"]);
    web.external_ips = vec![[203, 0, 113, 5].into()];
    let reached = added(config(Family::V4), web, &["n1", "n2"]);
    insta::assert_snapshot!(format!(
        "{here}--- no endpoint here\n{elsewhere}--- with an external IP\n{reached}"
    ));
}

#[test]
fn both_policies_local() {
    let mut web = service("web");
    web.internal_policy = TrafficPolicy::Local;
    web.external_policy = TrafficPolicy::Local;
    web.ports[0].node_port = Some(30080);
    insta::assert_snapshot!(added(config(Family::V4), web, &["n1", "n2"]));
}

#[test]
fn udp_and_sctp_beside_tcp() {
    let mut cluster = Cluster::with(config(Family::V4));
    let empty = cluster.chains();
    let mut dns = build::dns();
    dns.ports[2].node_port = Some(30053);
    cluster.add(dns, build::dns_endpoints(&["n2"]));
    insta::assert_snapshot!(difference(&empty, &cluster.chains()));
}

#[test]
fn session_affinity() {
    let mut web = service("web");
    web.session_affinity = Some(10_800);
    let cluster = added(config(Family::V4), web.clone(), &["n1", "n2"]);
    web.external_policy = TrafficPolicy::Local;
    web.ports[0].node_port = Some(30080);
    let local = added(config(Family::V6), web, &["n1", "n2"]);
    insta::assert_snapshot!(format!("{cluster}--- IPv6, external policy Local\n{local}"));
}

#[test]
fn load_balancer_source_ranges() {
    let mut web = service("web");
    web.load_balancer_ips = vec![[198, 51, 100, 1].into()];
    let mut with = |ranges: &[&str], nodes: &[&str]| {
        let ranges = ranges.iter().map(|range| range.parse().expect("a range"));
        web.source_ranges = ranges.collect();
        added(config(Family::V4), web.clone(), nodes)
    };
    let some = with(&["203.0.113.9/24", "2001:db8::/32"], &["n2"]);
    let node = with(&["192.0.2.0/24", "10.0.0.0/8"], &["n2"]);
    let open = with(&["203.0.113.0/24", "0.0.0.0/0"], &["n2"]);
    let other_family = with(&["2001:db8::/32"], &["n2"]);
    let nobody = with(&["203.0.113.0/24"], &[]);
    assert_eq!(open, other_family, "neither guards IPv4");
    insta::assert_snapshot!(format!(
        "{some}--- the node's own among them\n{node}--- everybody\n{open}--- no endpoints\n{nobody}"
    ));
}

#[test]
fn detectors_of_pods_and_masquerade() {
    let interface = |name: &str, wildcard| LocalDetector::Interface {
        name: name.into(),
        wildcard,
    };
    let rows = [
        ("bridge", interface("cni0", false), false),
        ("prefix", interface("cali", true), false),
        (
            "as long as a name may be",
            interface("abcdefghijklmno", true),
            false,
        ),
        ("unknown", LocalDetector::None, false),
        ("all is masqueraded", interface("cali", true), true),
        ("unknown, all is masqueraded", LocalDetector::None, true),
    ];
    let shown = rows.map(|(words, local_detector, masquerade_all)| {
        let mut web = service("web");
        web.external_policy = TrafficPolicy::Local;
        web.external_ips = vec![[203, 0, 113, 5].into()];
        let config = Config {
            local_detector,
            masquerade_all,
            ..config(Family::V4)
        };
        let text = added(config, web, &["n1"]);
        let about = text
            .lines()
            .filter(|line| line.contains("-j KUBE-MARK-MASQ") || line.contains("pod traffic"));
        let about = about.collect::<Vec<_>>().join("\n");
        format!("--- {words}\n{about}\n")
    });
    insta::assert_snapshot!(shown.concat());
}

#[test]
fn a_large_cluster_has_fewer_comments() {
    let mut web = service("web");
    web.session_affinity = Some(60);
    let few = added(config(Family::V4), web.clone(), &["n2"; 200]);
    assert!(few.contains("default/web:http -> "), "{few}");
    // Not those that are ready: all that slices list.
    let mut slices = endpoints("web", &["n2"; 240]);
    for (number, port) in (0..5).zip(8081..) {
        let mut other = slices[0].clone();
        other.name.name = format!("web-more-{number}").into();
        other.ports[0].port = port;
        for endpoint in &mut other.endpoints {
            endpoint.ready = number == 0;
            endpoint.serving = number == 0;
        }
        slices.push(other);
    }
    slices[0].endpoints.truncate(2);
    slices[2].endpoints.truncate(2);
    let mut cluster = Cluster::with(config(Family::V4));
    let empty = cluster.chains();
    cluster.add(web, slices);
    insta::assert_snapshot!(difference(&empty, &cluster.chains()));
}

#[test]
fn what_iptables_save_tells() {
    let mut web = service("web");
    web.session_affinity = Some(10_800);
    web.external_policy = TrafficPolicy::Local;
    web.load_balancer_ips = vec![[198, 51, 100, 1].into()];
    web.source_ranges = [("203.0.113.0/24").parse().expect("a range")].into();
    web.ports[0].node_port = Some(30080);
    let mut cluster = Cluster::with(config(Family::V4));
    cluster.add(web.clone(), endpoints("web", &["n1", "n2", "n2"]));
    let rules = cluster.chains();
    let [filter, nat] = [&rules.filter, &rules.nat].map(|own| print::saved(own, Family::V4));
    let mut cluster = Cluster::with(config(Family::V6));
    cluster.add(web, endpoints("web", &["n2"]));
    let six = cluster.chains();
    let six = print::saved(&six.filter, Family::V6);
    insta::assert_snapshot!(format!("{filter}--- nat\n{nat}--- IPv6\n{six}"));
}

/// States of one Service, each made of the last one.
fn states(family: Family) -> Vec<Ruleset> {
    let mut cluster = Cluster::with(config(family));
    let mut states = vec![cluster.chains()];
    let mut web = service("web");
    let mut next = |web: &Service, nodes: &[&str]| {
        cluster.add(web.clone(), endpoints("web", nodes));
        states.push(cluster.chains());
    };
    next(&web, &["n1", "n2"]);
    next(&web, &["n1", "n2", "n3"]);
    web.external_policy = TrafficPolicy::Local;
    web.ports[0].node_port = Some(30080);
    next(&web, &["n1", "n2", "n3"]);
    web.session_affinity = Some(60);
    next(&web, &["n2"]);
    web.load_balancer_ips = vec![[198, 51, 100, 1].into()];
    web.source_ranges = ["203.0.113.0/24".parse().expect("a range")].into();
    next(&web, &["n1"]);
    next(&web, &[]);
    web.internal_policy = TrafficPolicy::Local;
    next(&web, &["n2"]);
    states
}

#[test]
fn a_change_leads_from_each_state_to_each_other() {
    for family in Family::ALL {
        let states = states(family);
        for before in &states {
            for after in &states {
                let change = Change::between(before, after);
                assert_eq!(change.is_empty(), before == after);
                for (before, change, after) in [
                    (&before.filter, &change.filter, &after.filter),
                    (&before.nat, &change.nat, &after.nat),
                ] {
                    let mut chains = chains(before);
                    take(&mut chains, change);
                    assert_eq!(chains, self::chains(after));
                }
            }
        }
    }
}

type Chains = BTreeMap<ChainName, Vec<Rule>>;

fn chains(content: &Content) -> Chains {
    let all = content.by_chain().into_iter();
    all.map(|(name, rules)| (name, rules.into_iter().cloned().collect()))
        .collect()
}

/// As the kernel takes it: step by step, and nothing leads to a chain that is not there.
fn take(chains: &mut Chains, change: &TableChange) {
    for name in &change.fresh {
        assert_eq!(chains.insert(*name, Vec::new()), None, "{name} is there");
    }
    for (name, rules) in &change.refilled {
        let chain = chains.get_mut(name).expect("a chain to fill");
        assert_ne!(chain, rules, "{name} was like that");
        chain.clone_from(rules);
    }
    for name in &change.gone {
        chains.get_mut(name).expect("a chain to empty").clear();
    }
    for name in &change.gone {
        chains.remove(name);
    }
    for (from, rules) in chains.iter() {
        for rule in rules {
            if let Some(Target::Jump(to)) = &rule.target {
                assert!(chains.contains_key(to), "{from} leads to {to}");
            }
        }
    }
}

#[test]
fn one_endpoint_more() {
    let states = states(Family::V4);
    let more = Change::between(&states[1], &states[2]);
    let fewer = Change::between(&states[2], &states[1]);
    insta::assert_snapshot!(format!(
        "{}--- and back\n{}",
        print::change(&more),
        print::change(&fewer)
    ));
}
