//! What both kernels take, and any history of transactions.

use super::small::{REJECT, base, goto, pick, service, set, with_rule};
use super::table::{Both, chain};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rules::model::Family;
use rules::nft::ruleset::{Element, Key, Op, SetId, Statement, Verdict};
use std::net::IpAddr;

#[test]
fn both_take_the_same() {
    for family in Family::ALL {
        let mut both = Both::new(family);
        let added = service(family, 3, Verdict::Goto(pick(3)));
        let rows: Vec<(&str, Vec<Op>)> = vec![
            ("a table", base(family)),
            ("the same table again", base(family)),
            ("nothing", vec![]),
            (
                "empty steps",
                vec![Op::AddElements(SetId::Services, vec![])],
            ),
            (
                "a chain and who goes there",
                vec![
                    Op::AddChain(chain(pick(3))),
                    Op::AddElements(SetId::Services, vec![added.clone()]),
                ],
            ),
            (
                "a value that changes",
                vec![
                    Op::DeleteElements(SetId::Services, vec![added.clone()]),
                    Op::AddElements(SetId::Services, vec![service(family, 3, Verdict::Drop)]),
                ],
            ),
            (
                "a chain that nobody needs any more",
                vec![Op::DeleteChain(pick(3))],
            ),
            (
                "a chain that comes back",
                vec![Op::AddChain(with_rule(pick(3), goto(REJECT)))],
            ),
            (
                "other rules",
                vec![Op::RefillChain(with_rule(pick(3), Statement::Reject))],
            ),
            ("no rules", vec![Op::RefillChain(chain(pick(3)))]),
            ("a set that is there", vec![set(SetId::Services, None)]),
            ("a set more", vec![set(SetId::Hairpin, None)]),
            (
                "more elements than a message holds",
                vec![Op::AddElements(
                    SetId::ClusterIps,
                    (0..5000u32).map(|n| many(family, n)).collect(),
                )],
            ),
        ];
        for (what, ops) in rows {
            let [real, memory] = both.apply(ops);
            real.unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
            memory.unwrap_or_else(|refusal| panic!("{what}: memory: {refusal}"));
            both.compare(what);
        }
        // The second message's elements are found too.
        let wrong = vec![many(family, 5001), many(family, 4999)];
        let all = (6000..10_000u32)
            .map(|n| many(family, n))
            .chain(wrong)
            .collect();
        let [real, memory] = both.apply(vec![Op::AddElements(SetId::ClusterIps, all)]);
        let (real, memory) = (
            real.expect_err("it is there"),
            memory.expect_err("it is there"),
        );
        assert_eq!(real.attempted, memory.attempted);
    }
}

#[test]
fn a_set_with_a_size_is_full_at_that_size() {
    for family in Family::ALL {
        let mut both = Both::new(family);
        let id = SetId::NodeportIps;
        let add = |numbers: std::ops::Range<u32>| {
            let elements = numbers.map(|n| many(family, n)).collect();
            Op::AddElements(id, elements)
        };
        let remove = |n| Op::DeleteElements(id, vec![many(family, n)]);
        let rows = [
            (
                "a small one",
                vec![Op::ReplaceTable, set(id, Some(3)), add(0..2)],
            ),
            ("to the brim", vec![add(2..3)]),
            ("in place of others", vec![remove(0), remove(1), add(3..5)]),
            ("one more", vec![add(5..6)]),
            ("one for one and one more", vec![remove(2), add(5..7)]),
            ("one for one", vec![remove(2), add(5..6)]),
        ];
        for (what, ops) in rows {
            let [real, memory] = both.apply(ops);
            let reasons = |own: Result<(), rules::nft::Refusal>| {
                own.map_err(|refusal| (refusal.attempted, refusal.reason))
            };
            let (real, memory) = (reasons(real), reasons(memory));
            assert_eq!(real, memory, "{what}");
            assert_eq!(real.is_err(), what.ends_with("more"), "{what}: {real:?}");
            both.compare(what);
        }
        assert!(both.listed().contains("size 3\n"), "{}", both.listed());
    }
}

fn many(family: Family, number: u32) -> Element {
    let [_, _, high, low] = number.to_be_bytes();
    let address: IpAddr = match family {
        Family::V4 => [10, 97, high, low].into(),
        Family::V6 => [0xfd00, 0x97, 0, 0, 0, 0, u16::from(high), u16::from(low)].into(),
    };
    Element {
        key: Key::Address(address),
        value: None,
        comment: None,
    }
}

/// Any step over a few names, so that most of them meet one another.
fn any_op() -> impl Strategy<Value = Op> {
    let family = Family::V4;
    let id = || (1..4u32).prop_map(pick);
    let rule = move || {
        // Towards lower numbers, so that no circle comes about, which the
        // kernel refuses as well and no planner makes.
        (1..4u32, 1..4u32).prop_map(|(own, next)| {
            if next < own {
                with_rule(pick(own), goto(pick(next)))
            } else {
                chain(pick(own))
            }
        })
    };
    let verdict = prop_oneof![Just(Verdict::Drop), id().prop_map(Verdict::Goto)];
    let services = prop::collection::vec(
        (1..4u32, verdict).prop_map(move |(n, verdict)| service(family, n, verdict)),
        1..3,
    );
    let services = services.boxed();
    prop_oneof![
        rule().prop_map(Op::AddChain),
        rule().prop_map(Op::RefillChain),
        id().prop_map(Op::DeleteChain),
        services
            .clone()
            .prop_map(|own| Op::AddElements(SetId::Services, own)),
        services.prop_map(|own| Op::DeleteElements(SetId::Services, own)),
    ]
}

#[test]
fn any_history_of_transactions_goes_the_same_way() {
    let both = std::cell::RefCell::new(Both::new(Family::V4));
    let histories = prop::collection::vec(prop::collection::vec(any_op(), 1..4), 1..12);
    let config = ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let outcome = TestRunner::new(config).run(&histories, |history| {
        let mut both = both.borrow_mut();
        let [real, _memory] = both.apply(base(Family::V4));
        real.expect("a good table");
        for ops in history {
            let [real, memory] = both.apply(ops.clone());
            let shown = |own: &Result<(), rules::nft::Refusal>| match own {
                Ok(()) => "taken".to_owned(),
                Err(refusal) => refusal.attempted.clone(),
            };
            prop_assert_eq!(shown(&real), shown(&memory), "{:?}", ops);
        }
        both.compare("after the history");
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
