//! Chains of iptables over netlink: what they are to the node's own tools, and to the kernel beside what
//! those tools write.

mod planned;
pub mod rig;

use super::states::states;
use nft_wire::nf_tables::{self, Expression, nfta};
use nft_wire::{Socket, Writer};
use rig::{Listed, Rig, change, whole};
use rules::Cause;
use rules::iptables::names::ChainName;
use rules::iptables::rule::{Is, Match, Rule, State, Table, Target};
use rules::iptables::{Before, Kernel, Object, Ruleset};
use rules::model::Family;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

#[test]
fn what_is_written_is_what_iptables_tells() {
    for family in Family::ALL {
        let states = states(family);
        let mut rig = Rig::new(family);
        for (at, state) in states.iter().enumerate() {
            rig.apply(&whole(state)).expect("all");
            rig.is(state);
            let theirs = Rig::new(family);
            theirs.restore(state);
            assert_eq!(rig.all(), theirs.all(), "{family}, state {at}");
        }
        for (before, after) in states.iter().zip(&states[1..]) {
            rig.apply(&whole(before)).expect("all");
            rig.apply(&change(before, after)).expect("a change");
            rig.is(after);
            rig.apply(&change(after, before)).expect("a change");
            rig.is(before);
        }
    }
}

#[test]
fn the_kernel_has_the_same_extensions_as_from_iptables() {
    for family in Family::ALL {
        for state in states(family) {
            let mut ours = Rig::new(family);
            ours.apply(&whole(&state)).expect("all");
            let theirs = Rig::new(family);
            theirs.restore(&state);
            for table in ["filter", "nat"] {
                let (ours, theirs) = (ours.rules(table), theirs.rules(table));
                let names = |rules: &BTreeMap<String, _>| rules.keys().cloned().collect::<Vec<_>>();
                assert_eq!(names(&ours), names(&theirs), "{family} {table}");
                for (chain, rules) in &ours {
                    assert_eq!(rules.len(), theirs[chain].len(), "{chain}");
                    for (own, other) in rules.iter().zip(&theirs[chain]) {
                        same(own, other, chain);
                    }
                }
            }
        }
    }
}

/// Newer tools write a port and a mark by nftables' own expressions; all else is the same.
fn same(ours: &[Expression], theirs: &[Expression], chain: &str) {
    let differs = |own: &Expression| match own {
        Expression::Match { name, .. } => ["tcp", "udp", "mark"].contains(&name.as_str()),
        Expression::Target { .. } | Expression::Counter(_) | Expression::Immediate { .. } => false,
        _ => true,
    };
    let common = |rule: &[Expression]| {
        let rule = rule.iter().filter(|own| !differs(own));
        rule.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(common(ours), common(theirs), "{chain}");
    for own in ours.iter().filter(|own| !theirs.contains(own)) {
        assert!(differs(own), "{chain}: {own}");
    }
}

#[test]
fn pieces_come_to_the_same() {
    for family in Family::ALL {
        let states = states(family);
        for piece in [1, 7] {
            let mut rig = Rig::new(family);
            rig.kernel.in_pieces_of(piece);
            for state in states.iter().chain(&states) {
                rig.apply(&whole(state)).expect("all");
                rig.is(state);
            }
            for (before, after) in states.iter().zip(&states[1..]).rev() {
                rig.apply(&whole(before)).expect("all");
                rig.apply(&change(before, after)).expect("a change");
                rig.is(after);
            }
        }
    }
}

#[test]
fn what_is_there_already_is_not_written_again() {
    for family in Family::ALL {
        let mut rig = Rig::new(family);
        for state in states(family) {
            rig.apply(&whole(&state)).expect("all");
            let before = rig.generation();
            rig.apply(&whole(&state)).expect("all");
            assert_eq!(rig.generation(), before, "{family}: nothing was to be done");
            // Of one rule more, one less and one in another's place only that chain is written.
            let mut chains = state.nat.chains.iter().filter(|own| own.is_of_service());
            let Some(chain) = chains.next() else {
                continue;
            };
            let edits = [
                format!("-t nat -A {chain} -p tcp -j RETURN"),
                format!("-t nat -D {chain} 1"),
                format!("-t nat -R {chain} 1 -p tcp -j RETURN"),
            ];
            for edit in edits {
                rig.tool(&edit).expect("an edit");
                rig.apply(&whole(&state)).expect("all");
                rig.is(&state);
                let bytes = rig.kernel.sent_bytes();
                assert!((1..8192).contains(&bytes), "{edit}: {bytes}");
            }
        }
    }
}

#[test]
fn chains_of_iptables_are_taken_over_by_what_differs() {
    for family in Family::ALL {
        let states = states(family);
        for (theirs, ours) in states.iter().zip(states.iter().rev()) {
            let mut rig = Rig::new(family);
            rig.restore(theirs);
            let before = rig.all();
            rig.apply(&whole(theirs)).expect("all");
            assert_eq!(rig.all(), before, "no jump is doubled");
            rig.apply(&whole(ours)).expect("all");
            rig.is(ours);
        }
    }
}

#[test]
fn a_change_of_what_is_not_there_says_so_and_changes_nothing() {
    let states = states(Family::V4);
    let (empty, web) = (&states[0], &states[1]);
    let mut rig = Rig::new(Family::V4);
    let refusal = rig.apply(&change(empty, web)).expect_err("no table");
    assert_eq!(refusal.cause, Cause::TableDiffers);
    assert!(!rig.kernel.would_take(&change(empty, web)));
    assert!(rig.kernel.would_take(&whole(web)));
    assert_eq!(rig.all(), "", "it was only asked");
    rig.apply(&whole(empty)).expect("all");
    assert!(rig.kernel.would_take(&change(empty, web)));
    rig.is(empty);
    // One is there already.
    let fresh = web.nat.chains.iter().find(|own| own.is_of_service());
    let fresh = fresh.expect("a chain");
    rig.tool(&format!("-t nat -N {fresh}")).expect("a chain");
    let before = rig.all();
    let refusal = rig.apply(&change(empty, web)).expect_err("it is there");
    assert_eq!(refusal.cause, Cause::TableDiffers);
    let object = Object {
        table: Table::Nat,
        chain: *fresh,
    };
    assert_eq!(refusal.refused.first(), Some(&object));
    assert_eq!(refusal.attempted, format!("fill chain nat {fresh}"));
    assert!(!rig.kernel.would_take(&change(empty, web)));
    assert_eq!(rig.all(), before);
    rig.apply(&whole(web)).expect("all");
    rig.is(web);
}

#[test]
fn what_the_kernel_does_not_take_is_named_and_the_rest_stands() {
    let states = states(Family::V4);
    let mut rig = Rig::new(Family::V4);
    rig.apply(&whole(&states[0])).expect("all");
    let before = rig.all();
    let chain = ChainName::read("KUBE-SVC-AAAAAAAAAAAAAAAA").expect("a name");
    // Where packets are masqueraded there has to be a translation.
    let masquerade = Rule {
        matches: vec![Match::State(Is::So, &[State::New])],
        target: Some(Target::Masquerade),
    };
    let filter = Object {
        table: Table::Filter,
        chain,
    };
    let mut steps = Listed::default();
    steps.fill(
        Table::Filter,
        &BTreeMap::from([(chain, vec![masquerade])]),
        |_| Before::Absent,
    );
    let transaction = steps.transaction(Family::V4, false);
    assert!(!rig.kernel.would_take(&transaction));
    let refusal = rig.apply(&transaction).expect_err("not in that table");
    assert_eq!(
        (refusal.cause, &refusal.refused[..]),
        (Cause::Invalid, &[filter][..])
    );
    assert_eq!(rig.all(), before);
}

#[test]
fn a_chain_that_others_lead_to_stays_empty_until_they_do_not() {
    for family in Family::ALL {
        let states = states(family);
        let (empty, web) = (&states[0], &states[1]);
        let mut rig = Rig::new(family);
        rig.apply(&whole(web)).expect("all");
        let chain = web
            .nat
            .chains
            .iter()
            .find(|own| own.as_str().starts_with("KUBE-SVC-"));
        let chain = *chain.expect("a chain");
        rig.tool(&format!("-t nat -A PREROUTING -p tcp -j {chain}"))
            .expect("a rule");
        let mut with_it: Ruleset = empty.clone();
        with_it.nat.chains.push(chain);
        rig.apply(&change(web, empty)).expect("a change");
        rig.is(&with_it);
        // It comes back as if it had been gone.
        rig.apply(&change(empty, web)).expect("a change");
        rig.is(web);
        rig.apply(&change(web, empty)).expect("a change");
        rig.apply(&whole(empty)).expect("all");
        rig.is(&with_it);
        assert!(rig.all().contains(&format!("\n:{chain} -\n")), "it stays");
        assert!(
            rig.all()
                .contains(&format!("-A PREROUTING -p tcp -j {chain}\n"))
        );
        rig.tool(&format!("-t nat -D PREROUTING -p tcp -j {chain}"))
            .expect("no rule");
        rig.apply(&whole(empty)).expect("all");
        rig.is(empty);
        assert!(!rig.all().contains(&format!("\n:{chain} ")), "it is gone");
    }
}

#[test]
fn names_are_as_long_as_chains_of_iptables_may_have() {
    let mut rig = Rig::new(Family::V4);
    let name = "KUBE-SVC-AAAAAAAAAAAAAAAAAAA";
    assert_eq!(name.len(), ChainName::MAX);
    let chain = ChainName::read(name).expect("a name");
    let mut state = states(Family::V4).swap_remove(0);
    state.nat.chains.push(chain);
    rig.apply(&whole(&state)).expect("all");
    let listed = rig.tool(&format!("-t nat -S {name}")).expect("a chain");
    assert_eq!(listed.trim(), format!("-N {name}"));
}

#[test]
fn the_kernel_tells_what_it_has() {
    for family in Family::ALL {
        let mut rig = Rig::new(family);
        let support = rig.kernel.support(family).expect("an answer");
        assert_eq!(support.missing, [""; 0], "{family}");
        assert!(support.counters.invalid_dropped && support.counters.localhost_nodeports);
    }
}

/// Somebody else changes the ruleset all the time, so that every generation is a new one.
#[test]
fn who_commits_all_the_time_holds_nobody_up_and_doubles_nothing() {
    for family in Family::ALL {
        let states = states(family);
        let (mut rig, mut alone) = (Rig::new(family), Rig::new(family));
        let busy = rig.namespace.run(nf_tables::open).expect("the namespace");
        let mut busy = busy.expect("a socket");
        let done = AtomicBool::new(false);
        let commits = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    commit(&mut busy);
                    commits.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            for state in &states {
                let before = commits.load(Ordering::Relaxed);
                rig.apply(&whole(state)).expect("all");
                // It was at work all the while.
                while commits.load(Ordering::Relaxed) == before {
                    std::thread::yield_now();
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        alone
            .apply(&whole(states.last().expect("a state")))
            .expect("all");
        assert_eq!(rig.all(), alone.all(), "{family}");
    }
}

/// A commit of somebody else, whose table the tools of iptables do not look at.
fn commit(socket: &mut Socket) {
    let first = socket.sequence();
    let mut out = Writer::new();
    nf_tables::begin(&mut out, first, None);
    for (at, kind) in [(1, libc::NFT_MSG_NEWTABLE), (2, libc::NFT_MSG_DELTABLE)] {
        nf_tables::message(&mut out, 1, kind, libc::NLM_F_CREATE, first + at, |out| {
            out.text(nfta::TABLE_NAME, "others");
        });
    }
    nf_tables::end(&mut out, first + 3);
    socket.number_on(first + 4);
    socket.send(out.bytes()).expect("a commit");
}
