//! What is written is read again, for every kind; what is not known stays as it is.

use super::*;
use crate::framing::attributes;
use proptest::prelude::*;

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 1..=most)
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9/_.-]{0,40}"
}

/// Registers as they are read: those of 32 bits.
fn register() -> impl Strategy<Value = u32> {
    FIRST_REGISTER..FIRST_REGISTER + 16
}

fn data() -> impl Strategy<Value = Data> {
    prop_oneof![
        bytes(64).prop_map(Data::Value),
        (any::<i32>(), prop::option::of(name()))
            .prop_map(|(code, chain)| Data::Verdict { code, chain }),
    ]
}

pub(crate) fn any_expression() -> impl Strategy<Value = Expression> {
    let number = any::<u32>;
    let first = prop_oneof![
        (prop_oneof![Just(VERDICT_REGISTER), register()], data())
            .prop_map(|(dreg, data)| Expression::Immediate { dreg, data }),
        (register(), number(), number(), number()).prop_map(|(dreg, base, offset, len)| {
            Expression::Payload {
                dreg,
                base,
                offset,
                len,
            }
        }),
        (number(), register(), any::<bool>()).prop_map(|(key, register, into)| {
            let register = match into {
                true => Loaded::Into(register),
                false => Loaded::From(register),
            };
            Expression::Meta { key, register }
        }),
        (register(), number()).prop_map(|(dreg, key)| Expression::Ct { dreg, key }),
        (register(), number(), number()).prop_map(|(dreg, result, flags)| Expression::Fib {
            dreg,
            result,
            flags
        }),
        (register(), register(), bytes(16)).prop_map(|(sreg, dreg, mask)| {
            let xor = mask.iter().map(|byte| !byte).collect();
            Expression::Bitwise {
                sreg,
                dreg,
                mask,
                xor,
            }
        }),
        (register(), number(), bytes(16)).prop_map(|(sreg, op, data)| Expression::Cmp {
            sreg,
            op,
            data
        }),
    ];
    let second = prop_oneof![
        (
            name(),
            register(),
            prop::option::of(register()),
            any::<bool>()
        )
            .prop_map(|(set, sreg, dreg, inverted)| Expression::Lookup {
                set,
                sreg,
                dreg,
                inverted
            }),
        (name(), number(), register(), any::<u64>()).prop_map(|(set, op, sreg_key, timeout)| {
            Expression::Dynset {
                set,
                op,
                sreg_key,
                timeout,
            }
        }),
        number().prop_map(|flags| Expression::Masq { flags }),
        (number(), any::<u8>()).prop_map(|(kind, code)| Expression::Reject { kind, code }),
        (register(), number(), number(), number()).prop_map(|(dreg, modulus, kind, offset)| {
            Expression::Numgen {
                dreg,
                modulus,
                kind,
                offset,
            }
        }),
        (register(), register(), [number(); 5]).prop_map(|(sreg, dreg, numbers)| {
            let [len, modulus, seed, offset, kind] = numbers;
            Expression::Hash {
                sreg,
                dreg,
                len,
                modulus,
                seed,
                offset,
                kind,
            }
        }),
        (number(), number(), register(), register()).prop_map(
            |(kind, family, reg_addr, reg_proto)| Expression::Nat {
                kind,
                family,
                reg_addr,
                reg_proto
            }
        ),
        bytes(12).prop_map(|value| {
            let mut out = Writer::new();
            out.attribute(1, &value);
            Expression::Other {
                name: "quota".to_owned(),
                attributes: out.finish().expect("short"),
            }
        }),
    ];
    let third = prop_oneof![
        (any::<u64>(), any::<u64>())
            .prop_map(|(packets, bytes)| Expression::Counter(Counted { packets, bytes })),
        (name(), number(), bytes(300)).prop_map(|(name, revision, info)| Expression::Match {
            name,
            revision,
            info
        }),
        (name(), number(), bytes(48)).prop_map(|(name, revision, info)| Expression::Target {
            name,
            revision,
            info
        }),
    ];
    prop_oneof![first, second, third]
}

fn read_back(expression: &Expression) -> Option<Expression> {
    let mut out = Writer::new();
    expression.write(&mut out);
    let bytes = out.finish().expect("short");
    let (_, one) = attributes(&bytes).next()?;
    Expression::read(one)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(expression in any_expression()) {
        prop_assert_eq!(read_back(&expression), Some(expression.clone()));
        let beginning = format!("[ {} ", expression.name());
        prop_assert!(expression.to_string().starts_with(&beginning));
    }
}

/// Any attribute more, or none of those that it needs, and it is another expression.
#[test]
fn what_is_not_understood_whole_is_another_expression() {
    let known = Expression::Ct {
        dreg: FIRST_REGISTER,
        key: 3,
    };
    let mut more = Writer::new();
    known.write_data(&mut more);
    // NFTA_CT_DIRECTION.
    more.attribute(3, &[1]);
    let mut fewer = Writer::new();
    fewer.number(nfta::CT_KEY, 3);
    for attributes in [more, fewer] {
        let expression = Expression::Other {
            name: "ct".to_owned(),
            attributes: attributes.finish().expect("short"),
        };
        assert_eq!(read_back(&expression), Some(expression));
    }
}

#[test]
fn the_kernels_own_additions_say_nothing_new() {
    let mut out = Writer::new();
    out.number(nfta::NAT_TYPE, 1);
    out.number(nfta::NAT_FAMILY, 2);
    // It tells wide registers, and the ends of ranges.
    for (kind, register) in [(3, 1), (4, 1), (5, 9), (6, 9)] {
        out.number(kind, register);
    }
    // And that they are ranges of addresses and of ports.
    out.number(nfta::NAT_FLAGS, 3);
    let told = Expression::Other {
        name: "nat".to_owned(),
        attributes: out.finish().expect("short"),
    };
    let expected = Expression::Nat {
        kind: 1,
        family: 2,
        reg_addr: 8,
        reg_proto: 9,
    };
    assert_eq!(read_back(&told), Some(expected));
}
