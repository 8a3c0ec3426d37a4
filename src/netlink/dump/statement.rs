//! Expressions back into statements. What a statement may be is guessed from the first few
//! expressions; that it is one is known when it makes the very same expressions again.

use super::known::Names;
use crate::netlink::statements::{self, expressions};
use ipnet::IpNet;
use nft_wire::ip;
use nft_wire::nf_tables::{Data, Expression, FIRST_REGISTER, Loaded, VERDICT_REGISTER};
use rules::model::{EndpointAddr, Family, Protocol};
use rules::nft::names;
use rules::nft::print;
use rules::nft::ruleset::{Counter, Header, Pick, Side, Statement, Verdict};

/// A rule that has something that is none of ours: what it does, in the words of `nft` where they
/// are known, or else in those of `nft --debug=netlink`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ForeignRule(pub(super) String);

/// The statements that a rule's expressions stand for.
pub(super) fn statements(
    names: &Names,
    list: &[Expression],
) -> Result<Vec<Statement>, ForeignRule> {
    let mut rest = list;
    let mut found = Vec::new();
    let mut words = Vec::new();
    let mut is_ours = true;
    while let Some(first) = rest.first() {
        if let Some((statement, length)) = first_statement(names, rest) {
            words.push(print::statement(&statement, names.family));
            found.push(statement);
            rest = rest.get(length..).unwrap_or_default();
        } else {
            is_ours = false;
            words.push(first.to_string());
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    is_ours
        .then_some(found)
        .ok_or_else(|| ForeignRule(words.join(" ")))
}

/// The statement that a list begins with, and how many expressions it takes.
fn first_statement(names: &Names, list: &[Expression]) -> Option<(Statement, usize)> {
    candidates(names, list).find_map(|statement| {
        let expected = expressions(names.family, std::slice::from_ref(&statement));
        let length = expected.len();
        list.starts_with(&expected).then_some((statement, length))
    })
}

/// What the list may begin with, the longest first.
fn candidates<'a>(
    names: &'a Names,
    list: &'a [Expression],
) -> impl Iterator<Item = Statement> + 'a {
    let by_keys = move || {
        statements::KEYS
            .into_iter()
            .filter_map(|key| keyed(key, list))
    };
    let after_protocol = move || after_protocol(names.family, list);
    by_keys()
        .chain(after_protocol())
        .chain(by_address(names, list))
        .chain(simple(names, list))
}

/// A key's fields, and then a map, a set or one that counts, or a random index and a map.
fn keyed(key: &'static [Header], list: &[Expression]) -> Option<Statement> {
    match list.get(key.len()..)? {
        [
            Expression::Numgen { modulus, .. },
            Expression::Lookup { set, .. },
            ..,
        ] => Some(Statement::Dnat {
            key,
            modulus: *modulus,
            map: names::set(set)?,
        }),
        [
            Expression::Lookup {
                set,
                dreg: Some(VERDICT_REGISTER),
                ..
            },
            ..,
        ] => Some(Statement::VerdictMap {
            key,
            map: names::set(set)?,
        }),
        [Expression::Dynset { set, .. }, ..] => Some(Statement::CountIn {
            key,
            set: names::set(set)?,
        }),
        [Expression::Lookup { set, inverted, .. }, ..] => Some(Statement::InSet {
            key,
            set: names::set(set)?,
            negated: *inverted,
        }),
        _ => None,
    }
}

/// `meta l4proto tcp`, and then a translation.
fn after_protocol(family: Family, list: &[Expression]) -> Option<Statement> {
    let [_, Expression::Cmp { data, .. }, rest @ ..] = list else {
        return None;
    };
    let [number] = **data else {
        return None;
    };
    let protocol = protocol(number)?;
    let (pick, count, first) = match rest {
        [
            Expression::Immediate {
                data: Data::Value(address),
                ..
            },
            Expression::Immediate {
                data: Data::Value(port),
                ..
            },
            ..,
        ] => {
            let backend = EndpointAddr {
                address: ip(address).filter(|ip| Family::of(*ip) == family)?,
                port: u16::from_be_bytes(port.as_slice().try_into().ok()?),
            };
            return Some(Statement::DnatTo { protocol, backend });
        }
        [
            Expression::Numgen {
                modulus, offset, ..
            },
            ..,
        ] => (Pick::Random, modulus, offset),
        [
            _,
            Expression::Hash {
                modulus, offset, ..
            },
            ..,
        ] => (Pick::Source, modulus, offset),
        _ => return None,
    };
    Some(Statement::DnatListed {
        protocol,
        pick,
        count: *count,
        first: *first,
    })
}

/// An address, and then a comparison or a set of a Service's own.
fn by_address(names: &Names, list: &[Expression]) -> Option<Statement> {
    let (first, rest) = list.split_first()?;
    let side = [Side::Source, Side::Destination]
        .into_iter()
        .find(|side| *first == statements::address(names.family, *side, FIRST_REGISTER))?;
    match rest {
        [Expression::Lookup { set, inverted, .. }, ..] => match inverted {
            true => names.sources.get(set).cloned().map(Statement::NotFrom),
            false => names::affinity_set(set, names.family).map(Statement::InAffinity),
        },
        [Expression::Dynset { set, timeout, .. }, ..] => Some(Statement::UpdateAffinity {
            set: names::affinity_set(set, names.family)?,
            seconds: u32::try_from(timeout / 1000).ok()?,
        }),
        [
            Expression::Bitwise { mask, .. },
            Expression::Cmp { op, data, .. },
            ..,
        ] => {
            let prefix = IpNet::with_netmask(ip(data)?, ip(mask)?).ok()?;
            let negated = is_negated(*op);
            Some(Statement::Address {
                side,
                prefix,
                negated,
            })
        }
        [Expression::Cmp { op, data, .. }, ..] => Some(Statement::Address {
            side,
            prefix: ip(data)?.into(),
            negated: is_negated(*op),
        }),
        _ => None,
    }
}

/// Statements that their first expressions tell.
fn simple(names: &Names, list: &[Expression]) -> Option<Statement> {
    let number = |bytes: &[u8]| Some(u32::from_ne_bytes(bytes.try_into().ok()?));
    Some(match list {
        [
            Expression::Ct { key, .. },
            Expression::Bitwise { mask, .. },
            ..,
        ] => match (key.cast_signed(), number(mask)?) {
            (libc::NFT_CT_STATE, 1) => Statement::CtStateInvalid,
            (libc::NFT_CT_STATE, _) => Statement::CtStateNew,
            _ => Statement::CtStatusDnat,
        },
        [Expression::Fib { flags, .. }, ..] => Statement::FibLocal(match flags {
            1 => Side::Source,
            _ => Side::Destination,
        }),
        [
            Expression::Meta { .. },
            Expression::Cmp { op, data, .. },
            ..,
        ] => {
            let end = data.iter().position(|byte| *byte == 0);
            let name = data.get(..end.unwrap_or(data.len()))?;
            Statement::InputInterface {
                name: std::str::from_utf8(name).ok()?.into(),
                wildcard: end.is_none(),
                negated: is_negated(*op),
            }
        }
        [
            Expression::Meta { .. },
            Expression::Bitwise { mask, xor, .. },
            next,
            ..,
        ] => {
            let (mask, xor) = (number(mask)?, number(xor)?);
            match next {
                Expression::Meta {
                    register: Loaded::From(_),
                    ..
                } if mask == u32::MAX => Statement::MarkXor(xor),
                Expression::Meta { .. } => Statement::MarkOr(xor),
                _ => Statement::MarkHas(mask),
            }
        }
        [
            Expression::Numgen { modulus, .. },
            Expression::Cmp { .. },
            ..,
        ] => Statement::OneIn(*modulus),
        [Expression::Objref { name, .. }, ..] => Statement::Count(Counter::named(name)?),
        [Expression::Masq { .. }, ..] => Statement::Masquerade,
        [Expression::Reject { .. }, ..] => Statement::Reject,
        [Expression::Immediate { data, .. }, ..] => Statement::Verdict(verdict(names, data)?),
        _ => return None,
    })
}

/// A verdict that we give; any other, as `accept` or one to a chain of somebody else, is none.
pub(super) fn verdict(names: &Names, data: &Data) -> Option<Verdict> {
    let Data::Verdict { code, chain } = data else {
        return None;
    };
    let chain = match chain {
        Some(chain) => Some(names.chain(chain)?),
        None => None,
    };
    match (*code, chain) {
        (libc::NF_DROP, None) => Some(Verdict::Drop),
        (libc::NFT_GOTO, Some(chain)) => Some(Verdict::Goto(chain)),
        (libc::NFT_JUMP, Some(chain)) => Some(Verdict::Jump(chain)),
        _ => None,
    }
}

fn is_negated(op: u32) -> bool {
    op.cast_signed() == libc::NFT_CMP_NEQ
}

pub(super) fn protocol(number: u8) -> Option<Protocol> {
    let all = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    all.into_iter().find(|known| known.number() == number)
}
