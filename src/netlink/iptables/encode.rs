//! A rule as the kernel's expressions, in the form that all versions of iptables read right: ports
//! and marks are matches of iptables rather than expressions of nftables, which versions before
//! 1.8.9 lose (kubernetes/kubernetes#112477). Addresses come first wherever the rule has them, as
//! they decide soonest; no tool shows the difference.

use super::xt;
use crate::netlink::statements::octets;
use ipnet::IpNet;
use nft_wire::nf_tables::{
    Compat, Counted, Data, Expression, FIRST_REGISTER, Loaded, VERDICT_REGISTER,
};
use rules::iptables::rule::{Address, Is, Match, Rule, Target};
use rules::model::{Family, Protocol};

/// What a rule of the family is made of.
pub(super) fn expressions(family: Family, rule: &Rule) -> Vec<Expression> {
    // An address, an interface and a protocol take two each.
    let mut out = Vec::with_capacity(2 * rule.matches.len() + 2);
    for part in [source, destination, interface, protocol] {
        rule.matches.iter().for_each(|own| part(own, &mut out));
    }
    let port = rule.matches.iter().find_map(|own| match own {
        Match::Port(port) => Some(*port),
        _ => None,
    });
    let matches = rule.matches.iter();
    out.extend(matches.filter_map(|own| extension(own, port)));
    out.push(Expression::Counter(Counted::default()));
    out.extend(rule.target.as_ref().map(|own| target(family, own)));
    out
}

/// What matches and targets are told: some are for one protocol only.
pub(super) fn compat(rule: &Rule) -> Compat {
    let protocol = protocol_of(rule).map_or(0, |own| u32::from(own.number()));
    Compat { protocol, flags: 0 }
}

fn protocol_of(rule: &Rule) -> Option<Protocol> {
    rule.matches.iter().find_map(|own| match own {
        Match::Protocol(protocol) => Some(*protocol),
        _ => None,
    })
}

fn source(own: &Match, out: &mut Vec<Expression>) {
    if let Match::Source(is, address) = own {
        address_within(*is, *address, (12, 8), out);
    }
}

fn destination(own: &Match, out: &mut Vec<Expression>) {
    if let Match::Destination(is, address) = own {
        address_within(*is, *address, (16, 24), out);
    }
}

/// Of whole bytes only those are compared that the prefix has. The places are those in the headers
/// of IPv4 and IPv6.
fn address_within(is: Is, address: Address, places: (u32, u32), out: &mut Vec<Expression>) {
    let range = address.range();
    let (place, length) = match range {
        IpNet::V4(_) => (places.0, 4),
        IpNet::V6(_) => (places.1, 16),
    };
    let bits = range.prefix_len();
    if bits == 0 {
        if is == Is::Not {
            out.extend(never());
        }
        return;
    }
    let mut address = octets(range.network());
    let whole = bits.is_multiple_of(8);
    let length = if whole { u32::from(bits / 8) } else { length };
    address.truncate(length as usize);
    out.push(Expression::Payload {
        dreg: FIRST_REGISTER,
        base: libc::NFT_PAYLOAD_NETWORK_HEADER.cast_unsigned(),
        offset: place,
        len: length,
    });
    if !whole {
        let mask = octets(range.netmask());
        out.push(Expression::Bitwise {
            sreg: FIRST_REGISTER,
            dreg: FIRST_REGISTER,
            xor: vec![0; mask.len()],
            mask,
        });
    }
    out.push(compare(is, address));
}

fn interface(own: &Match, out: &mut Vec<Expression>) {
    let Match::Interface { is, name, wildcard } = own else {
        return;
    };
    if name.is_empty() {
        // `+` is any interface.
        if *is == Is::Not {
            out.extend(never());
        }
        return;
    }
    let mut name = name.as_bytes().to_vec();
    if !wildcard {
        name.push(0);
    }
    out.extend([interface_name(), compare(*is, name)]);
}

fn interface_name() -> Expression {
    meta(libc::NFT_META_IIFNAME)
}

/// What no packet is, in iptables' own words: it comes by an interface that there cannot be.
fn never() -> [Expression; 2] {
    [interface_name(), compare(Is::So, b"INVAL/D\0".to_vec())]
}

fn protocol(own: &Match, out: &mut Vec<Expression>) {
    if let Match::Protocol(protocol) = own {
        let number = vec![protocol.number()];
        out.extend([meta(libc::NFT_META_L4PROTO), compare(Is::So, number)]);
    }
}

/// What is a match of iptables: all that is no header's field.
fn extension(own: &Match, port: Option<u16>) -> Option<Expression> {
    Some(match own {
        Match::Comment(comment) => xt::comment(comment),
        Match::Protocol(protocol) => xt::protocol(*protocol, port),
        Match::SourceIsLocal => xt::local(true),
        Match::DestinationIsLocal => xt::local(false),
        Match::Mark(is, mark) => xt::mark(*is, *mark),
        Match::State(is, states) => xt::conntrack(*is, states),
        Match::OneOf(count) => xt::one_of(*count),
        Match::SeenAt(chain, seconds) => xt::seen(*chain, *seconds),
        Match::Remember(chain) => xt::remember(*chain),
        Match::Count(name) => xt::count(name),
        Match::Source(..) | Match::Destination(..) => return None,
        Match::Interface { .. } | Match::Port(_) => return None,
    })
}

fn target(family: Family, own: &Target) -> Expression {
    match own {
        Target::Jump(chain) => verdict(libc::NFT_JUMP, Some(chain.to_string())),
        Target::Accept => verdict(libc::NF_ACCEPT, None),
        Target::Drop => verdict(libc::NF_DROP, None),
        Target::Return => verdict(libc::NFT_RETURN, None),
        Target::Reject => xt::reject(family),
        Target::MarkOr(mark) => xt::set_mark(*mark, *mark),
        Target::MarkXor(mark) => xt::set_mark(*mark, 0),
        Target::Masquerade => xt::masquerade(family),
        Target::Dnat(endpoint) => xt::dnat(endpoint),
    }
}

fn verdict(code: i32, chain: Option<String>) -> Expression {
    Expression::Immediate {
        dreg: VERDICT_REGISTER,
        data: Data::Verdict { code, chain },
    }
}

fn meta(key: libc::c_int) -> Expression {
    Expression::Meta {
        key: key.cast_unsigned(),
        register: Loaded::Into(FIRST_REGISTER),
    }
}

fn compare(is: Is, data: Vec<u8>) -> Expression {
    let op = match is {
        Is::So => libc::NFT_CMP_EQ,
        Is::Not => libc::NFT_CMP_NEQ,
    };
    Expression::Cmp {
        sreg: FIRST_REGISTER,
        op: op.cast_unsigned(),
        data,
    }
}
