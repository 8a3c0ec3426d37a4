//! A refused transaction leaves nothing, and what refers to what is known without a search.

use super::*;
use crate::model::{EndpointAddr, Frontend, ObjectName, Protocol};
use crate::nft::ruleset::{Client, Op, PortName, Rule, Statement};
use proptest::collection::vec;
use proptest::prelude::*;

const CHAINS: [&str; 3] = ["one", "two", "three"];

fn chain(name: u8, to: Option<u8>) -> Chain {
    let id = |name: u8| ChainId::Fixed(CHAINS[usize::from(name)]);
    let statements = to.map(|to| Statement::Verdict(Verdict::Goto(id(to))));
    Chain {
        id: id(name),
        hook: None,
        comment: "",
        rules: vec![Rule {
            statements: statements.into_iter().collect(),
        }],
    }
}

fn element(last: u8, to: Option<u8>) -> Element {
    let frontend = Frontend {
        address: Some([10, 96, 0, last].into()),
        protocol: Protocol::Tcp,
        port: 80,
    };
    Element {
        key: Key::Frontend(frontend),
        value: Some(Value::Verdict(match to {
            Some(to) => Verdict::Goto(chain(to, None).id),
            None => Verdict::Drop,
        })),
        comment: None,
    }
}

fn affinity_set(last: u8) -> AffinitySet {
    let service = ObjectName::new("ns", "web");
    AffinitySet {
        port: PortName::new(&service, Protocol::Tcp, 80),
        backend: EndpointAddr {
            address: [10, 244, 0, last].into(),
            port: 80,
        },
    }
}

fn sources(last: u8) -> SourceSet {
    SourceSet::new(&[ipnet::IpNet::new_assert([10, 0, 0, last].into(), 32)])
}

fn op() -> impl Strategy<Value = Op> {
    let name = || 0u8..3;
    let to = || prop::option::of(0u8..3);
    let client = |last: u8| Client {
        address: [203, 0, 113, last].into(),
        timeout: 1000,
        remaining: 500,
    };
    prop_oneof![
        1 => Just(Op::ReplaceTable),
        3 => Just(Op::AddSet { set: SetId::Services, size: Some(3) }),
        3 => (name(), to()).prop_map(|(name, to)| Op::AddChain(chain(name, to))),
        2 => (name(), to()).prop_map(|(name, to)| Op::RefillChain(chain(name, to))),
        2 => name().prop_map(|name| Op::DeleteChain(chain(name, None).id)),
        3 => vec((0u8..4, to()), 1..3).prop_map(|all| {
            let all = all.into_iter().map(|(last, to)| element(last, to));
            Op::AddElements(SetId::Services, all.collect())
        }),
        2 => (0u8..4).prop_map(|last| {
            Op::DeleteElements(SetId::Services, vec![element(last, None)])
        }),
        1 => (0u8..2).prop_map(|last| Op::AddAffinitySet(affinity_set(last))),
        1 => (0u8..2).prop_map(|last| Op::DeleteAffinitySet(affinity_set(last))),
        1 => (0u8..2, vec(0u8..3, 1..3)).prop_map(move |(last, clients)| {
            Op::AddClients(affinity_set(last), clients.into_iter().map(client).collect())
        }),
        1 => (0u8..2).prop_map(|last| Op::AddSourceSet(sources(last))),
        1 => (0u8..2).prop_map(|last| Op::DeleteSourceSet(sources(last))),
    ]
}

proptest! {
    #[test]
    fn a_transaction_lands_whole_or_not_at_all(
        transactions in vec(vec(op(), 1..6), 1..12),
    ) {
        let family = Family::V4;
        let mut table = Table::new();
        for ops in transactions {
            let before = table.clone();
            match table.apply(&Transaction { family, ops: ops.clone() }) {
                Ok(()) => {
                    // The same, step by step.
                    let mut other = before;
                    for op in ops {
                        let alone = Transaction { family, ops: vec![op] };
                        prop_assert_eq!(other.apply(&alone), Ok(()));
                    }
                    prop_assert_eq!(&table, &other);
                    prop_assert_eq!(&table.uses, &other.uses);
                }
                Err(_) => {
                    prop_assert_eq!(&table, &before);
                    prop_assert_eq!(&table.uses, &before.uses);
                }
            }
            // What is counted step by step is what a count of all yields.
            let counted = Table::from_parts(table.parts().clone());
            prop_assert_eq!(&table.uses, &counted.uses);
        }
    }
}

#[test]
fn nothing_goes_that_something_refers_to() {
    let mut table = Table::new();
    let mut apply = |op| {
        let family = Family::V4;
        table.apply(&Transaction {
            family,
            ops: vec![op],
        })
    };
    let set = SetId::Services;
    let busy = "Device or resource busy (EBUSY)";
    let one = chain(0, None).id;
    let reason = |result: Result<(), Refusal>| result.expect_err("in use").reason;
    for op in [
        Op::ReplaceTable,
        Op::AddSet { set, size: None },
        Op::AddChain(chain(0, None)),
        Op::AddElements(set, vec![element(1, Some(0))]),
        Op::AddChain(chain(1, Some(0))),
    ] {
        assert_eq!(apply(op), Ok(()));
    }
    assert_eq!(reason(apply(Op::DeleteChain(one.clone()))), busy);
    assert_eq!(
        apply(Op::DeleteElements(set, vec![element(1, None)])),
        Ok(())
    );
    assert_eq!(reason(apply(Op::DeleteChain(one.clone()))), busy);
    assert_eq!(apply(Op::RefillChain(chain(1, None))), Ok(()));
    assert_eq!(apply(Op::DeleteChain(one)), Ok(()));
}
