//! What chains of iptables do and a table of nftables does not: node ports on loopback addresses, and
//! chains that are come back from.

use crate::cluster::{Cluster, service};
use crate::names::address;
use crate::ways::shown;
use oracle::Mode;
use rules::iptables::trace::{Chains, Line, Place};
use rules::model::{Family, TrafficPolicy};
use rules::{Config, NodeportAddresses};
use std::fmt::Write;

/// Checks a table of mode iptables in one family.
fn table(rule: &str, cluster: &Cluster, rows: &[(&str, &str, &str)]) {
    let programmed = cluster.programmed(Mode::Iptables);
    for (sources, destinations, wanted) in rows {
        for source in sources.split(' ') {
            for destination in destinations.split(' ') {
                let (found, trace) = cluster.ends(&programmed, source, destination);
                assert_eq!(found, *wanted, "{rule}: {source} to {destination}\n{trace}");
            }
        }
    }
}

fn on_localhost(family: Family) -> Cluster {
    let config = |own: &mut Config| {
        own.localhost_nodeports = true;
        own.nodeport_addresses = NodeportAddresses::All;
    };
    let cluster = Cluster::new(family).endpoints("a@n1 b@n2");
    cluster.with(|own| config(&mut own.config))
}

#[test]
fn node_ports_on_loopback_addresses() {
    let own = on_localhost(Family::V4);
    table(
        "iptables.localhostNodePorts: the node reaches them",
        &own,
        &[
            ("node loopback", "nodeport@loopback nodeport", "a* b*"),
            ("loopback", "nodeport@loopback:22", "untouched"),
            ("outside", "nodeport", "a* b*"),
        ],
    );
    let local = own.with(|own| own.service.external_policy = TrafficPolicy::Local);
    table(
        "under policy Local, by the short circuit",
        &local,
        &[("loopback", "nodeport@loopback", "a* b*")],
    );
    table(
        "never in IPv6",
        &on_localhost(Family::V6),
        &[("loopback", "nodeport@loopback", "untouched")],
    );
}

#[test]
fn neighbours_reach_no_loopback_address() {
    table(
        "CVE-2020-8558: route_localnet would let them in, and what is translated has left it",
        &on_localhost(Family::V4),
        &[
            ("outside pod node", "nodeport@loopback:22", "dropped"),
            ("outside", "nodeport@loopback", "a* b*"),
        ],
    );
}

/// An external IP on the node, whose number is the node port of another Service.
fn same_number(family: Family) -> Cluster {
    Cluster::new(family).endpoints("a@n1").with(|own| {
        let family = own.config.family;
        let mut other = service("other", own.protocol);
        other.cluster_ips = vec![address(family, "cluster", 2)];
        other.load_balancer_ips.clear();
        other.external_ips = vec![address(family, "node", 1)];
        other.ports[0].port = 30080;
        other.ports[0].node_port = None;
        other.external_policy = TrafficPolicy::Local;
        own.others = vec![other];
    })
}

#[test]
fn an_address_that_leads_nowhere_may_be_a_node_port() {
    for family in Family::ALL {
        table(
            "who is come back from a Service's chain meets the node ports",
            &same_number(family),
            &[("outside pod", "nodeport", "a*")],
        );
    }
}

/// An endpoint whose address is the external IP of a Service that nobody serves.
fn marked_on_its_way(family: Family) -> Cluster {
    Cluster::new(family).endpoints("a@n2").with(|own| {
        let family = own.config.family;
        let mut other = service("other", own.protocol);
        other.cluster_ips = vec![address(family, "cluster", 2)];
        other.load_balancer_ips.clear();
        other.external_ips = vec![crate::names::address_of(family, "a")];
        other.ports[0].port = 8080;
        other.ports[0].node_port = None;
        own.others = vec![other];
    })
}

#[test]
fn what_is_marked_is_let_through_at_once() {
    for family in Family::ALL {
        table(
            "KUBE-FORWARD accepts before anything is rejected",
            &marked_on_its_way(family),
            &[("outside", "cluster", "a*"), ("pod", "cluster", "rejected")],
        );
    }
}

#[test]
fn a_rule_of_somebody_else_is_passed_over() {
    use rules::iptables::names::ChainName;
    use rules::iptables::rule::Table;
    use rules::iptables::trace::Line;
    let cluster = Cluster::new(Family::V4).endpoints("a@n1");
    let mut chains = cluster.chains();
    let place = (Table::Nat, ChainName::read("PREROUTING").expect("a name"));
    let mut lines = chains.get(&place).expect("a chain").to_vec();
    lines.insert(0, Line::Other("cmp eq reg 1 0x11 ".to_owned()));
    chains.insert(place, lines);
    let trace = cluster.trace_through(&chains, "pod", "cluster");
    assert_eq!(trace.paths[0].steps[0].position, 1, "{trace}");
    assert_eq!(trace.ends().len(), 1);
    assert!(trace.visited().contains(&place));
}

/// Chains that were read one after the other may lead anywhere.
#[test]
fn circles_end() {
    use rules::iptables::names::ChainName;
    use rules::iptables::rule::{Rule, Table, Target};
    use rules::iptables::trace::{Chains, Line};
    let name = |text| ChainName::read(text).expect("a name");
    let to_itself = |chain| {
        let rule = Rule {
            matches: Vec::new(),
            target: Some(Target::Jump(chain)),
        };
        vec![Line::Rule(rule.clone()), Line::Rule(rule)]
    };
    let mut chains = Chains::new(Family::V4);
    let (base, circle) = (name("PREROUTING"), name("KUBE-SERVICES"));
    chains.insert((Table::Nat, base), to_itself(circle));
    chains.insert((Table::Nat, circle), to_itself(circle));
    let cluster = Cluster::new(Family::V4).endpoints("a@n1");
    let trace = cluster.trace_through(&chains, "pod", "cluster");
    assert_eq!(trace.paths.len(), 1);
}

#[test]
fn how_a_trace_reads() {
    let cluster = Cluster::new(Family::V4).endpoints("a@n1 b@n2");
    let chains = cluster.chains();
    insta::assert_snapshot!(cluster.trace_through(&chains, "a", "cluster"));
}

#[test]
fn what_decides() {
    let plain = || Cluster::new(Family::V4).endpoints("a@n1 b@n2 c@n2");
    let local = |endpoints| {
        let local = |own: &mut Cluster| own.service.external_policy = TrafficPolicy::Local;
        Cluster::new(Family::V4).endpoints(endpoints).with(local)
    };
    let sticky = || plain().with(|own| own.service.session_affinity = Some(600));
    let ranged = || {
        plain().with(|own| {
            own.service.source_ranges = ["198.51.100.0/24".parse().expect("a range")].into();
        })
    };
    let rows = [
        (plain(), "pod", "cluster"),
        (plain(), "outside", "cluster"),
        (plain(), "a", "cluster"),
        (local("a@n1 b@n1 c@n2"), "outside", "nodeport"),
        (local("a@n2 b@n2"), "outside", "nodeport"),
        (local("a@n1 b@n2"), "node", "nodeport"),
        (Cluster::new(Family::V4), "pod", "cluster"),
        (ranged(), "outside", "balancer"),
        (sticky(), "pod", "cluster"),
        (sticky().remember("pod", "b"), "pod", "cluster"),
        (plain(), "outside", "nodeport:22"),
        (plain(), "pod", "cluster:81"),
        (on_localhost(Family::V4), "loopback", "nodeport@loopback"),
        (on_localhost(Family::V4), "outside", "nodeport@loopback:22"),
    ];
    let mut all = String::new();
    for (cluster, source, destination) in rows {
        let _ = writeln!(all, "# {source} to {destination}");
        all += &shown(&cluster.ways_through_chains(source, destination));
    }
    insta::assert_snapshot!(all);
}

/// Chains as they are, but for those of endpoints.
fn without_endpoints(chains: &Chains, of_endpoint: impl Fn(&mut Chains, Place)) -> Chains {
    let mut some = Chains::new(Family::V4);
    for (place, lines) in chains.iter() {
        if place.1.as_str().starts_with("KUBE-SEP-") {
            of_endpoint(&mut some, *place);
        } else {
            some.insert(*place, lines.to_vec());
        }
    }
    some
}

#[test]
fn the_ways_are_no_more_than_endpoints_while_their_chains_are_read() {
    let cluster = Cluster::new(Family::V4).endpoints(
        "a@n1 b@n2 c@n2 d@n2 e@n2 f@n2 g@n2 h@n2 i@n2 j@n2 k@n2 l@n2 m@n2 n@n2 o@n2 p@n2 q@n2 r@n2",
    );
    let chains = cluster.chains();
    let count = chains
        .iter()
        .filter(|(place, _)| place.1.as_str().starts_with("KUBE-SEP-"))
        .count();
    let unread = without_endpoints(&chains, |_, _| {});
    let trace = cluster.trace_through(&unread, "node", "cluster");
    assert_eq!(trace.paths.len(), count);
    let asked = trace.visited().into_iter();
    let asked = asked.filter(|place| unread.get(place).is_none() && chains.get(place).is_some());
    assert_eq!(asked.count(), count);
    // The kernel goes on to the next one from an empty chain: what is followed of that has an end.
    let emptied = without_endpoints(&chains, |some, place| {
        some.insert(place, Vec::<Line>::new());
    });
    let trace = cluster.trace_through(&emptied, "node", "cluster");
    assert!(trace.paths.len() <= 1 << 14, "{}", trace.paths.len());
}
