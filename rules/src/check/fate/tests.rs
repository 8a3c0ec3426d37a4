//! Ways through chains.

use super::*;
use std::convert::Infallible;

fn jump(to: &str) -> Step {
    Step::Jump(to.to_owned())
}

fn goto(to: &str) -> Step {
    Step::Goto(to.to_owned())
}

const DROP: Step = Step::Drop(DropKind::Drop);
const REJECT: Step = Step::Drop(DropKind::Reject);

/// Chains by name, each with its rules: whether it holds for all packets, and what it does.
type Chains<'a> = &'a [(&'a str, &'a [(bool, Step)])];

fn of(policy_drop: bool, chains: Chains<'_>) -> Fate {
    let mut read = |name: &str| -> Result<Rules, Infallible> {
        let found = chains.iter().find(|(chain, _)| *chain == name);
        let rules = found.map(|(_, rules)| *rules).unwrap_or_default();
        let deciding = (1..).zip(rules).map(|(handle, (always, step))| RuleDigest {
            handle,
            always: *always,
            step: step.clone(),
            comment: None,
        });
        Ok(Rules {
            deciding: deciding.collect(),
            count: rules.len(),
            unread: false,
        })
    };
    fate("base", policy_drop, &mut read).unwrap_or_default()
}

/// What gets through, and whether the rest is dropped.
fn outcome(policy_drop: bool, chains: Chains<'_>) -> (bool, bool) {
    let fate = of(policy_drop, chains);
    (fate.lets_pass, fate.drops_rest)
}

#[test]
fn what_gets_through() {
    let all = (true, false);
    let some = (true, true);
    let none = (false, true);
    let rows: &[(&str, bool, Chains<'_>, (bool, bool))] = &[
        ("an empty chain", false, &[], all),
        ("policy drop", true, &[], none),
        (
            "an accept before the policy",
            true,
            &[("base", &[(false, Step::Accept)])],
            some,
        ),
        (
            "all are accepted before the policy",
            true,
            &[("base", &[(true, Step::Accept)])],
            all,
        ),
        (
            "a condition before a drop",
            false,
            &[("base", &[(false, DROP)])],
            all,
        ),
        ("all are dropped", false, &[("base", &[(true, DROP)])], none),
        (
            "what is behind a drop of all does not count",
            false,
            &[("base", &[(true, REJECT), (false, Step::Accept)])],
            none,
        ),
        (
            "an accept in a chain that is jumped to",
            true,
            &[
                ("base", &[(true, jump("a"))]),
                ("a", &[(false, Step::Accept)]),
            ],
            some,
        ),
        (
            "a chain that drops all",
            false,
            &[
                ("base", &[(true, jump("a")), (true, Step::Accept)]),
                ("a", &[(true, DROP)]),
            ],
            none,
        ),
        (
            "a chain that drops all, for some",
            false,
            &[("base", &[(false, jump("a"))]), ("a", &[(true, DROP)])],
            all,
        ),
        (
            "back before the drop",
            false,
            &[
                ("base", &[(true, jump("a"))]),
                ("a", &[(false, Step::Return), (true, DROP)]),
            ],
            all,
        ),
        (
            "back to the policy",
            true,
            &[("base", &[(false, Step::Return)])],
            none,
        ),
        (
            "back from a goto is back from here",
            false,
            &[
                ("base", &[(true, goto("a")), (true, DROP)]),
                ("a", &[(false, Step::Accept)]),
            ],
            all,
        ),
        (
            "a goto that drops",
            false,
            &[
                ("base", &[(false, Step::Accept), (true, goto("a"))]),
                ("a", &[(true, DROP)]),
            ],
            some,
        ),
        (
            "a map of verdicts is no more than may be",
            true,
            &[("base", &[(true, Step::Choice(vec![DROP, Step::Accept]))])],
            some,
        ),
    ];
    for (name, policy_drop, chains, expected) in rows {
        assert_eq!(outcome(*policy_drop, chains), *expected, "{name}");
    }
}

#[test]
fn rules_that_drop_are_told_with_their_place() {
    let fate = of(
        false,
        &[
            (
                "base",
                &[(false, Step::Accept), (false, jump("a")), (true, jump("b"))],
            ),
            ("a", &[(true, DROP)]),
            ("b", &[(false, REJECT)]),
        ],
    );
    let told: Vec<(&str, u64, DropKind, bool)> = (fate.drops.iter())
        .map(|drop| (&*drop.chain, drop.handle, drop.does, drop.always))
        .collect();
    assert_eq!(
        told,
        [
            ("a", 1, DropKind::Drop, false),
            ("b", 1, DropKind::Reject, false)
        ]
    );
    assert_eq!(fate.rules, 5);
}

#[test]
fn many_drops_are_counted() {
    let rules = vec![(false, DROP); 20];
    let fate = of(false, &[("base", &rules)]);
    assert_eq!((fate.drops.len(), fate.more_drops), (8, 12));
}

#[test]
fn chains_that_nobody_could_follow_are_not_followed() {
    // The kernel takes no circle; whoever reads does not have to know.
    let fate = of(
        true,
        &[
            ("base", &[(true, jump("a"))]),
            ("a", &[(false, jump("base"))]),
        ],
    );
    assert!(fate.unread && !fate.drops_all());
}
