//! Chains of iptables as the kernel holds them, made by iptables' own program: they are read as what
//! they were.

use super::states::states;
use e2e::{Namespace, nfacct};
use kube_proxy::netlink::iptables::ChainReader;
use rules::iptables::print;
use rules::iptables::rule::Table;
use rules::iptables::setup::jumps;
use rules::iptables::trace::{Chains, Line, Place};
use rules::model::Family;

/// All that stands in a chain, in the words of `iptables-save`.
fn told(family: Family, (_, chain): Place, lines: &[Line]) -> Vec<String> {
    let words = |line: &Line| match line {
        Line::Rule(rule) => print::saved_rule(chain, rule, family),
        Line::Other(words) => format!("not ours: {words}"),
    };
    lines.iter().map(words).collect()
}

#[test]
fn what_iptables_made_is_read_as_what_it_was() {
    for family in Family::ALL {
        let namespace = Namespace::create("read").expect("a namespace, which needs root");
        let restore = match family {
            Family::V4 => "iptables-restore",
            Family::V6 => "ip6tables-restore",
        };
        let load = |text: &str| {
            namespace
                .pipe(&[restore, "--noflush"], text)
                .expect("rules")
        };
        let states = states(family);
        for counter in states[1].counters() {
            nfacct::add(&namespace, counter).expect("a counter");
        }
        load(&(print::restore(&states[0]) + &print::setup(&states[0])));
        for state in &states {
            load(&print::restore(state));
            let planned = Chains::planned(state);
            let places: Vec<Place> = planned.iter().map(|(place, _)| *place).collect();
            let read = namespace.run(|| {
                let mut reader = ChainReader::open(family).expect("a socket");
                let chains = places
                    .iter()
                    .map(|place| reader.chain(*place).expect("a chain"));
                chains.collect::<Vec<_>>()
            });
            let read = read.expect("the namespace");
            for (place, found) in places.iter().zip(read) {
                let found = found.unwrap_or_else(|| panic!("{family}: no {place:?}"));
                let lines: Vec<Line> = found.into_iter().map(|own| own.line).collect();
                let wanted = planned.get(place).expect("a chain");
                assert_eq!(told(family, *place, &lines), told(family, *place, wanted));
            }
        }
    }
}

#[test]
fn rules_of_others_are_told_in_their_place() {
    let namespace = Namespace::create("others").expect("a namespace, which needs root");
    let load = |text: &str| {
        namespace
            .pipe(&["iptables-restore", "--noflush"], text)
            .expect("rules")
    };
    let states = states(Family::V4);
    for counter in states[1].counters() {
        nfacct::add(&namespace, counter).expect("a counter");
    }
    load(&(print::restore(&states[1]) + &print::setup(&states[1])));
    let commands = "*filter\n-I INPUT -m limit --limit 5/sec -j ACCEPT\n-I INPUT 3 -s 192.0.2.7 -p \
                    icmp -j DROP\n-A FORWARD -o eth1 -j LOG\nCOMMIT\n";
    load(commands);
    let first = jumps().first().expect("a jump").from;
    let lines = namespace.run(|| {
        let mut reader = ChainReader::open(Family::V4).expect("a socket");
        let lines = reader.chain((Table::Filter, first)).expect("a chain");
        lines.expect("it is there")
    });
    let lines = lines.expect("the namespace");
    let is_other = |line: &Line| matches!(line, Line::Other(_));
    let others: Vec<bool> = lines.iter().map(|own| is_other(&own.line)).collect();
    assert_eq!(others, [true, false, true, false, false, false]);
    assert!(lines.iter().all(|own| own.handle > 0));
    let Line::Other(words) = &lines[0].line else {
        panic!("{lines:?}");
    };
    assert!(words.contains("limit"), "{words}");
}
