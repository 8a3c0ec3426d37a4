//! Rules of iptables: what the printers say is what the kernel takes and tells.

use super::states::{saved, states};
use e2e::{Namespace, nfacct};
use rules::iptables::{Change, Ruleset, print};
use rules::model::Family;

#[test]
fn what_is_printed_is_what_iptables_takes_and_tells() {
    for family in Family::ALL {
        let namespace = Namespace::create("chains").expect("a namespace, which needs root");
        let restore = match family {
            Family::V4 => "iptables-restore",
            Family::V6 => "ip6tables-restore",
        };
        let load = |text: &str| namespace.pipe(&[restore, "--noflush"], text);
        let states = states(family);
        for counter in states[0].counters().union(&states[1].counters()) {
            nfacct::add(&namespace, counter).expect("a counter");
        }
        let is = |state: &Ruleset| {
            for (table, content) in [("filter", &state.filter), ("nat", &state.nat)] {
                let expected = print::saved(content, family);
                assert_eq!(
                    saved(&namespace, family, table),
                    expected,
                    "{family} {table}"
                );
            }
        };
        let first = &states[0];
        load(&print::restore(first)).expect("chains");
        load(&print::setup(first)).expect("jumps");
        is(first);
        load(&print::setup(first)).expect_err("they are there, and not doubled");
        for (before, after) in states.iter().zip(&states[1..]) {
            load(&print::change(&Change::between(before, after))).expect("a change");
            is(after);
        }
        let last = states.last().expect("a state");
        load(&print::change(&Change::between(last, first))).expect("a change");
        is(first);
        // A whole sync over another state leaves no chain of Services that leads anywhere.
        load(&print::restore(last)).expect("all");
        is(last);
    }
}
