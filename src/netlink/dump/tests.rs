//! Everything that is written is read again, without a kernel; what is not ours is words.

use super::*;
use crate::netlink::elements::write_one;
use crate::netlink::statements::{KEYS, expressions};
use nft_wire::nf_tables::{Data, Expression, VERDICT_REGISTER};
use proptest::prelude::*;
use rules::model::{EndpointAddr, Frontend, ObjectName, Protocol};
use rules::nft::ruleset::{
    AffinitySet, Counter, Header, KeyField, Pick, PortChain, PortKind, PortName, PortRole, Side,
    SourceSet, Statement, Value, Verdict,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn any_address(family: Family) -> BoxedStrategy<IpAddr> {
    match family {
        Family::V4 => any::<Ipv4Addr>().prop_map(IpAddr::V4).boxed(),
        // Not such as are written with dots, of which there is no endpoint.
        Family::V6 => any::<Ipv6Addr>()
            .prop_filter("mapped", |ip| ip.to_ipv4().is_none())
            .prop_map(IpAddr::V6)
            .boxed(),
    }
}

fn any_protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp])
}

fn any_backend(family: Family) -> impl Strategy<Value = EndpointAddr> {
    (any_address(family), any::<u16>()).prop_map(|(address, port)| EndpointAddr { address, port })
}

fn any_prefix(family: Family) -> impl Strategy<Value = IpNet> {
    (any_address(family), 0..=128u8).prop_map(|(address, length)| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        IpNet::new(address, length.min(most))
            .expect("a length")
            .trunc()
    })
}

fn any_sources(family: Family) -> impl Strategy<Value = SourceSet> {
    prop::collection::vec(any_prefix(family), 1..40).prop_map(|ranges| SourceSet::new(&ranges))
}

fn any_port() -> impl Strategy<Value = PortName> {
    ("[a-z_.]{1,9}", "[a-z -]{1,9}", any_protocol(), any::<u16>()).prop_map(
        |(namespace, name, protocol, port)| {
            PortName::new(&ObjectName::new(namespace, name), protocol, port)
        },
    )
}

fn any_affinity(family: Family) -> impl Strategy<Value = AffinitySet> {
    (any_port(), any_backend(family)).prop_map(|(port, backend)| AffinitySet { port, backend })
}

fn any_chain(family: Family) -> impl Strategy<Value = ChainId> {
    let flags = (1..9u32, any::<bool>(), any::<bool>());
    let port = (any_affinity(family), any::<bool>(), 0..5usize).prop_map(|(set, listed, role)| {
        let roles = [
            PortRole::Cluster,
            PortRole::Local,
            PortRole::Masquerade,
            PortRole::ExternalLocal,
            PortRole::Endpoint(set.backend),
        ];
        let kind = match listed && role < 4 {
            true => PortKind::List,
            false => PortKind::Affinity,
        };
        let (port, role) = (set.port, roles[role]);
        ChainId::Port(PortChain { port, kind, role })
    });
    prop_oneof![
        Just(ChainId::Fixed("services")),
        flags.prop_map(|(endpoints, masquerade, nodeport)| ChainId::Cluster {
            endpoints,
            masquerade,
            nodeport
        }),
        (0..4u32, 1..9u32, any::<bool>()).prop_map(|(local, all, nodeport)| {
            ChainId::ExternalLocal {
                local,
                all,
                nodeport,
            }
        }),
        any_sources(family).prop_map(ChainId::Sources),
        port,
    ]
}

fn any_verdict(family: Family) -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Drop),
        any_chain(family).prop_map(Verdict::Goto),
        any_chain(family).prop_map(Verdict::Jump),
    ]
}

fn any_set(wanted: impl Fn(SetId) -> bool) -> impl Strategy<Value = SetId> {
    let sets: Vec<SetId> = SetId::ALL.into_iter().filter(|set| wanted(*set)).collect();
    prop::sample::select(sets)
}

fn any_statement(family: Family) -> impl Strategy<Value = Statement> {
    let side = prop::sample::select(vec![Side::Source, Side::Destination]);
    let key = prop::sample::select::<&'static [Header]>(KEYS.to_vec());
    let count = 1..=u32::MAX;
    let mark = (0..32u32).prop_map(|bit| 1 << bit);
    let first = prop_oneof![
        Just(Statement::CtStateNew),
        Just(Statement::CtStateInvalid),
        Just(Statement::CtStatusDnat),
        side.clone().prop_map(Statement::FibLocal),
        (side, any_prefix(family), any::<bool>()).prop_map(|(side, prefix, negated)| {
            Statement::Address {
                side,
                prefix,
                negated,
            }
        }),
        ("[a-z0-9]{1,14}", any::<bool>(), any::<bool>()).prop_map(|(name, wildcard, negated)| {
            Statement::InputInterface {
                name: name.into(),
                wildcard,
                negated,
            }
        }),
        (key.clone(), any_set(|_| true), any::<bool>())
            .prop_map(|(key, set, negated)| { Statement::InSet { key, set, negated } }),
        any_sources(family).prop_map(Statement::NotFrom),
        any_affinity(family).prop_map(Statement::InAffinity),
        (any_affinity(family), any::<u32>())
            .prop_map(|(set, seconds)| Statement::UpdateAffinity { set, seconds }),
        count.clone().prop_map(Statement::OneIn),
        prop::sample::select(Counter::ALL.to_vec()).prop_map(Statement::Count),
        (key.clone(), any_set(SetId::is_counting))
            .prop_map(|(key, set)| Statement::CountIn { key, set }),
    ];
    let map = || any_set(|set| set.data().is_some());
    let pick = prop::sample::select(vec![Pick::Random, Pick::Source]);
    let second = prop_oneof![
        (key.clone(), map()).prop_map(|(key, map)| Statement::VerdictMap { key, map }),
        mark.clone().prop_map(Statement::MarkHas),
        mark.clone().prop_map(Statement::MarkOr),
        mark.prop_map(Statement::MarkXor),
        Just(Statement::Masquerade),
        Just(Statement::Reject),
        (key, count.clone(), map()).prop_map(|(key, modulus, map)| Statement::Dnat {
            key,
            modulus,
            map
        }),
        (any_protocol(), any_backend(family))
            .prop_map(|(protocol, backend)| Statement::DnatTo { protocol, backend }),
        (any_protocol(), pick, count, any::<u32>()).prop_map(|(protocol, pick, count, first)| {
            Statement::DnatListed {
                protocol,
                pick,
                count,
                first,
            }
        }),
        any_verdict(family).prop_map(Statement::Verdict),
    ];
    prop_oneof![first, second]
}

/// Which statement it is, so that none is forgotten: one more does not compile here.
fn number(statement: &Statement) -> usize {
    match statement {
        Statement::CtStateNew => 0,
        Statement::CtStatusDnat => 1,
        Statement::FibLocal(_) => 2,
        Statement::Address { .. } => 3,
        Statement::InputInterface { .. } => 4,
        Statement::InSet { .. } => 5,
        Statement::NotFrom(_) => 6,
        Statement::InAffinity(_) => 7,
        Statement::UpdateAffinity { .. } => 8,
        Statement::OneIn(_) => 9,
        Statement::VerdictMap { .. } => 10,
        Statement::MarkHas(_) => 11,
        Statement::MarkOr(_) => 12,
        Statement::MarkXor(_) => 13,
        Statement::Masquerade => 14,
        Statement::Reject => 15,
        Statement::Dnat { .. } => 16,
        Statement::DnatTo { .. } => 17,
        Statement::DnatListed { .. } => 18,
        Statement::Verdict(_) => 19,
        Statement::Count(_) => 20,
        Statement::CountIn { .. } => 21,
        Statement::CtStateInvalid => 22,
    }
}

const STATEMENTS: usize = 23;

/// Names with those sources that statements and values refer to.
fn names(family: Family, sources: impl IntoIterator<Item = SourceSet>) -> Names {
    let sources = sources.into_iter().map(|set| (set.to_string(), set));
    Names {
        family,
        sources: sources.collect(),
    }
}

fn sources_of_verdict(verdict: &Verdict) -> Option<SourceSet> {
    match verdict {
        Verdict::Goto(ChainId::Sources(set)) | Verdict::Jump(ChainId::Sources(set)) => {
            Some(set.clone())
        }
        _ => None,
    }
}

fn sources_of(statement: &Statement) -> Option<SourceSet> {
    match statement {
        Statement::NotFrom(set) => Some(set.clone()),
        Statement::Verdict(verdict) => sources_of_verdict(verdict),
        _ => None,
    }
}

/// Through bytes, as the kernel would get them.
fn sent(family: Family, statements: &[Statement]) -> Vec<Expression> {
    let rule = nf_tables::Rule {
        expressions: expressions(family, statements),
        ..nf_tables::Rule::default()
    };
    let mut out = Writer::new();
    rule.write(&mut out);
    let bytes = out.finish().expect("a short rule");
    nf_tables::Rule::read(&bytes).expect("a rule").expressions
}

#[test]
fn every_statement_is_read_as_it_was_written() {
    for family in Family::ALL {
        let seen = std::cell::RefCell::new([false; STATEMENTS]);
        let mut runner = prop::test_runner::TestRunner::default();
        let rules = prop::collection::vec(any_statement(family), 1..5);
        let outcome = runner.run(&rules, |rule| {
            for statement in &rule {
                seen.borrow_mut()[number(statement)] = true;
            }
            let names = names(family, rule.iter().filter_map(sources_of));
            let found = statement::statements(&names, &sent(family, &rule));
            prop_assert_eq!(found, Ok(rule));
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(seen.into_inner(), [true; STATEMENTS], "{family}");
    }
}

#[test]
fn what_is_not_ours_is_told_in_words() {
    let family = Family::V4;
    let new = expressions(family, &[Statement::CtStateNew]);
    let accept = Expression::Immediate {
        dreg: VERDICT_REGISTER,
        data: Data::Verdict {
            code: libc::NF_ACCEPT,
            chain: None,
        },
    };
    let rule: Vec<Expression> = new.into_iter().chain([accept]).collect();
    let found = statement::statements(&names(family, []), &rule);
    let words = "ct state new [ immediate reg 0 accept ]";
    assert_eq!(found, Err(statement::ForeignRule(words.to_owned())));
    // One bit of a known one, and it is another one.
    let mut other = expressions(family, &[Statement::CtStateNew]);
    let Some(Expression::Bitwise { mask, .. }) = other.get_mut(1) else {
        panic!("{other:?}");
    };
    mask[0] ^= 1;
    assert!(statement::statements(&names(family, []), &other).is_err());
}

fn any_key(family: Family, set: SetId) -> BoxedStrategy<Key> {
    let address = match set.key().contains(&KeyField::Address) {
        true => any_address(family).prop_map(Some).boxed(),
        false => Just(None).boxed(),
    };
    let all = (address, any_protocol(), any::<u16>(), any::<u32>());
    all.prop_map(move |(address, protocol, port, index)| {
        let frontend = Frontend {
            address,
            protocol,
            port,
        };
        match (set.key(), address) {
            ([_], Some(address)) => Key::Address(address),
            ([_], None) => Key::Listed(index),
            (_, Some(address)) if set == SetId::Hairpin => {
                Key::Hairpin(EndpointAddr { address, port }, protocol)
            }
            ([.., KeyField::Index], _) => Key::Indexed(frontend, index),
            _ => Key::Frontend(frontend),
        }
    })
    .boxed()
}

fn any_element(family: Family, set: SetId) -> BoxedStrategy<Element> {
    use rules::nft::ruleset::DataType;
    let value = match set.data() {
        None => Just(None).boxed(),
        Some(DataType::Verdict) => any_verdict(family)
            .prop_map(|verdict| Some(Value::Verdict(verdict)))
            .boxed(),
        Some(DataType::Endpoint) => any_backend(family)
            .prop_map(|backend| Some(Value::Endpoint(backend)))
            .boxed(),
    };
    let comment = prop::option::of("[a-z/:]{1,100}");
    (any_key(family, set), value, comment)
        .prop_map(|(key, value, comment)| Element {
            key,
            value,
            comment: comment.map(Into::into),
        })
        .boxed()
}

#[test]
fn elements_of_every_set_are_read_as_they_were_written() {
    for family in Family::ALL {
        for set in SetId::ALL {
            let config = ProptestConfig::with_cases(64);
            let mut runner = prop::test_runner::TestRunner::new(config);
            let outcome = runner.run(&any_element(family, set), |expected| {
                let sources = match &expected.value {
                    Some(Value::Verdict(verdict)) => sources_of_verdict(verdict),
                    _ => None,
                };
                let mut out = Writer::new();
                write_one(&mut out, &expected);
                let bytes = out.finish().expect("a short element");
                let found = nf_tables::Element::read(&bytes).expect("an element");
                let found = element::element(&names(family, sources), set, &found);
                prop_assert_eq!(found, Some(expected));
                Ok(())
            });
            outcome.unwrap_or_else(|error| panic!("{set}: {error}"));
        }
    }
}
