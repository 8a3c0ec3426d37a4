//! What the chains in memory take and refuse, as the kernel does.

use super::*;
use crate::Cause;
use crate::iptables::rule::{Rule, Table, jump};
use crate::iptables::transaction::{Before, Steps};
use crate::iptables::{Step, setup, top};
use std::sync::Arc;

/// Steps by the names of chains in `nat`.
#[derive(Clone, Debug)]
enum Own {
    Fill(&'static str, Before, Vec<Rule>),
    Together,
    Delete(&'static str),
}

#[derive(Debug)]
struct Listed(Vec<Own>);

impl Steps for Listed {
    fn for_each_step(&self, each: &mut dyn FnMut(Step<'_>)) {
        let table = Table::Nat;
        for own in &self.0 {
            each(match own {
                Own::Fill(chain, before, rules) => Step::Fill {
                    table,
                    chain: name(chain),
                    before: *before,
                    rules,
                },
                Own::Together => Step::Together,
                Own::Delete(chain) => Step::Delete {
                    table,
                    chain: name(chain),
                },
            });
        }
    }

    fn rule_count(&self) -> usize {
        0
    }
}

fn name(chain: &str) -> ChainName {
    ChainName::read(chain).expect("a name")
}

fn nat(chain: &str) -> Object {
    Object {
        table: Table::Nat,
        chain: name(chain),
    }
}

fn to(chain: &str) -> Vec<Rule> {
    vec![jump(name(chain), [])]
}

fn transaction(whole: bool, steps: Vec<Own>) -> Transaction {
    Transaction {
        family: Family::V4,
        whole,
        restores_jumps: whole,
        steps: Arc::new(Listed(steps)),
    }
}

/// A chain that leads to another one.
fn memory() -> Memory {
    let mut memory = Memory::new();
    let steps = vec![
        Own::Fill("KUBE-SEP-A", Before::Unknown, vec![]),
        Own::Fill("KUBE-SVC-A", Before::Unknown, to("KUBE-SEP-A")),
        Own::Together,
        Own::Fill("KUBE-SERVICES", Before::Unknown, to("KUBE-SVC-A")),
    ];
    memory.apply(&transaction(true, steps)).expect("a table");
    memory
}

#[test]
fn a_change_is_taken_whole_or_not_at_all() {
    use Before::{Absent, Present, Unknown};
    let fill = |chain, before| Own::Fill(chain, before, vec![]);
    let good = fill("KUBE-SEP-B", Absent);
    let rows = [
        (vec![good.clone(), Own::Together], None),
        (vec![fill("KUBE-SEP-A", Absent)], Some("EEXIST")),
        (vec![fill("KUBE-SEP-X", Present)], Some("ENOENT")),
        (vec![fill("KUBE-SEP-A", Unknown)], Some("EEXIST")),
        (
            vec![Own::Fill("KUBE-SVC-X", Absent, to("KUBE-SEP-C"))],
            Some("no chain KUBE-SEP-C"),
        ),
        (
            vec![Own::Together, Own::Delete("KUBE-SEP-A")],
            Some("EBUSY"),
        ),
        (
            vec![Own::Together, Own::Delete("KUBE-SEP-X")],
            Some("ENOENT"),
        ),
        (
            vec![
                fill("KUBE-SVC-A", Present),
                Own::Together,
                Own::Delete("KUBE-SEP-A"),
            ],
            None,
        ),
    ];
    for (steps, refused) in rows {
        let mut memory = memory();
        let before = memory.chains(Family::V4);
        let words = format!("{steps:?}");
        let all = [good.clone()].into_iter().filter(|_| refused.is_some());
        let all = transaction(false, all.chain(steps).collect());
        assert_eq!(memory.would_take(&all), refused.is_none(), "{words}");
        assert_eq!(memory.chains(Family::V4), before, "it was only asked");
        match (memory.apply(&all), refused) {
            (Ok(()), None) => assert_ne!(memory.chains(Family::V4), before, "{words}"),
            (Err(refusal), Some(why)) => {
                assert_eq!(refusal.cause, Cause::TableDiffers, "{words}");
                assert!(refusal.reason.contains(why), "{words}: {refusal}");
                assert_eq!(memory.chains(Family::V4), before, "{words}");
            }
            (outcome, _) => panic!("{words}: {outcome:?}"),
        }
    }
}

#[test]
fn a_whole_one_is_taken_piece_by_piece_and_leaves_no_strays() {
    let mut memory = memory();
    let fill = |chain, rules| Own::Fill(chain, Before::Unknown, rules);
    let steps = vec![
        fill("KUBE-SEP-B", vec![]),
        Own::Together,
        fill("KUBE-SERVICES", to("KUBE-SEP-B")),
        fill("KUBE-NODEPORTS", to("KUBE-SEP-C")),
    ];
    let refusal = memory.apply(&transaction(true, steps.clone()));
    assert_eq!(
        refusal.expect_err("no such chain").refused,
        [nat("KUBE-NODEPORTS")]
    );
    let chains = memory.chains(Family::V4);
    assert!(chains.contains_key(&nat("KUBE-SEP-B")), "a piece of it");
    assert_eq!(chains[&nat("KUBE-SERVICES")], to("KUBE-SVC-A"), "as before");

    // Another's rule keeps a chain, which is empty from here on.
    let own = nat("OURS");
    memory.edit(Family::V4, |chains| {
        chains.insert(own, to("KUBE-SVC-A"));
    });
    memory
        .apply(&transaction(true, steps[..3].to_vec()))
        .expect("all");
    let chains = memory.chains(Family::V4);
    assert!(!chains.contains_key(&nat("KUBE-SEP-A")));
    assert_eq!(chains[&nat("KUBE-SVC-A")], []);
    assert_eq!(chains[&own], to("KUBE-SVC-A"));
    for jump in setup::jumps() {
        let (table, chain) = (jump.table, jump.from);
        assert!(chains[&Object { table, chain }].contains(&jump.rule));
    }

    // It may come back, and it goes with the next one after the rule.
    let back = Own::Fill("KUBE-SVC-A", Before::Absent, vec![]);
    let back = transaction(false, vec![back, Own::Together]);
    memory.apply(&back).expect("nobody but us had it");
    memory.edit(Family::V4, |chains| drop(chains.remove(&own)));
    memory
        .apply(&transaction(true, steps[..3].to_vec()))
        .expect("all");
    assert!(!memory.chains(Family::V4).contains_key(&nat("KUBE-SVC-A")));
}

#[test]
fn what_is_the_kubelets_outlives_a_clean_up() {
    let mut memory = memory();
    let other = nat("OURS");
    memory.edit(Family::V4, |chains| drop(chains.insert(other, vec![])));
    assert!(memory.clean_up(Family::V4).expect("chains"));
    let left = memory.chains(Family::V4);
    let firewall = Object {
        table: Table::Filter,
        chain: top::FIREWALL,
    };
    assert!(left.contains_key(&other) && left.contains_key(&firewall));
    let ours = left
        .keys()
        .filter(|own| own.chain.as_str().starts_with("KUBE-"));
    assert_eq!(ours.collect::<Vec<_>>(), [&firewall]);
    let jumps = left.values().flatten().filter_map(Rule::leads_to);
    assert!(jumps.clone().count() > 0 && jumps.into_iter().all(|to| to == top::FIREWALL));
    assert!(!memory.clean_up(Family::V4).expect("nothing"));
}
