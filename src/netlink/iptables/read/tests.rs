//! What is written is read as what it was.

use super::*;
use crate::netlink::iptables::encode::expressions;
use nft_wire::nf_tables::{Data, Expression, FIRST_REGISTER, Loaded};
use rules::iptables::names::ChainName;
use rules::iptables::print::saved_rule;
use rules::iptables::rule::{Address, Comment, Is, Match, Rule, State, Table, Target};
use rules::iptables::top::INVALID_DROPPED;
use rules::model::{EndpointAddr, Protocol};

fn chain(name: &str) -> ChainName {
    ChainName::read(name).expect("a name")
}

fn text(family: Family, rule: &Rule) -> String {
    saved_rule(chain("KUBE-X"), rule, family)
}

/// Every match and target, in both families.
fn rules(family: Family) -> Vec<Rule> {
    let (address, endpoint, ranges) = match family {
        Family::V4 => (
            "10.96.0.1",
            "10.244.0.7",
            ["10.244.0.0/16", "10.8.0.0/13", "127.0.0.0/8"],
        ),
        Family::V6 => (
            "fd00::1",
            "fd00:10::7",
            ["fd00:10::/64", "fd00:10::/61", "::1/128"],
        ),
    };
    let range = |text: &str| Address::Range(text.parse().expect("a range"));
    let to = Match::Destination(Is::So, Address::One(address.parse().expect("an address")));
    let words = || Match::Comment(Comment::new("shop/web:http cluster IP"));
    let interface = |is, name: &str, wildcard| Match::Interface {
        is,
        name: name.into(),
        wildcard,
    };
    let mut all: Vec<(Vec<Match>, Option<Target>)> = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        let matches = vec![
            words(),
            Match::Protocol(protocol),
            to.clone(),
            Match::Port(80),
        ];
        all.push((matches, Some(Target::Jump(chain("KUBE-SVC-X")))));
        let dnat = Target::Dnat(EndpointAddr {
            address: endpoint.parse().expect("an address"),
            port: 8080,
        });
        all.push((
            vec![
                words(),
                Match::Remember(chain("L")),
                Match::Protocol(protocol),
            ],
            Some(dnat),
        ));
    }
    for is in [Is::So, Is::Not] {
        for range in ranges.map(range) {
            all.push((vec![Match::Source(is, range)], Some(Target::Accept)));
            all.push((vec![Match::Destination(is, range)], Some(Target::Drop)));
        }
        all.push((vec![interface(is, "cni0", false)], Some(Target::Return)));
        all.push((vec![interface(is, "cali", true)], Some(Target::Reject)));
        all.push((vec![Match::Mark(is, 0x4000)], Some(Target::Masquerade)));
        for states in [
            &[State::Invalid][..],
            &[State::New],
            &[State::Related, State::Established],
            &[State::Related, State::Established, State::Dnat],
        ] {
            all.push((vec![Match::State(is, states)], None));
        }
    }
    for own in [
        Match::SourceIsLocal,
        Match::DestinationIsLocal,
        Match::OneOf(2),
        Match::OneOf(3),
        Match::OneOf(7),
        Match::OneOf(1000),
        Match::SeenAt(chain("KUBE-SEP-X"), 10_800),
        Match::Count(INVALID_DROPPED),
    ] {
        all.push((vec![own], Some(Target::MarkOr(0x4000))));
    }
    all.push((Vec::new(), Some(Target::MarkXor(0x4000))));
    let all = all.into_iter();
    all.map(|(matches, target)| Rule { matches, target })
        .collect()
}

#[test]
fn what_is_written_is_read_again() {
    for family in Family::ALL {
        for rule in rules(family) {
            let read = decode::rule(family, &expressions(family, &rule));
            let read = read.unwrap_or_else(|| panic!("{} is not read", text(family, &rule)));
            assert_eq!(text(family, &read), text(family, &rule));
        }
    }
}

#[test]
fn what_is_none_of_ours_is_nobodys() {
    let load = Expression::Meta {
        key: libc::NFT_META_OIFNAME.cast_unsigned(),
        register: Loaded::Into(FIRST_REGISTER),
    };
    let compare = Expression::Cmp {
        sreg: FIRST_REGISTER,
        op: libc::NFT_CMP_EQ.cast_unsigned(),
        data: b"eth0\0".to_vec(),
    };
    let set_mark = Expression::Meta {
        key: libc::NFT_META_MARK.cast_unsigned(),
        register: Loaded::From(FIRST_REGISTER),
    };
    let goto = Expression::Immediate {
        dreg: 0,
        data: Data::Verdict {
            code: libc::NFT_GOTO,
            chain: Some("KUBE-X".to_owned()),
        },
    };
    let accept = expressions(
        Family::V4,
        &Rule {
            matches: Vec::new(),
            target: Some(Target::Accept),
        },
    );
    let unknown = |name: &str, revision| Expression::Match {
        name: name.to_owned(),
        revision,
        info: vec![0; 256],
    };
    for expressions in [
        vec![load.clone(), compare.clone()],
        vec![load],
        vec![compare],
        vec![set_mark],
        vec![goto],
        [accept.clone(), accept].concat(),
        vec![unknown("limit", 0)],
        vec![unknown("mark", 7)],
        vec![unknown("tcp", 0)],
    ] {
        let line = line(
            Family::V4,
            &nf_tables::Rule {
                table: "filter".to_owned(),
                chain: "INPUT".to_owned(),
                handle: Some(1),
                expressions,
                ..nf_tables::Rule::default()
            },
        );
        assert!(matches!(line, Line::Other(_)), "{line:?}");
    }
}

/// What is read is anybody's: no length of it may be taken for granted.
#[test]
fn short_structures_are_none() {
    for family in Family::ALL {
        for rule in rules(family) {
            for expression in expressions(family, &rule) {
                let (name, revision, info, is_match) = match expression {
                    Expression::Match {
                        name,
                        revision,
                        info,
                    } => (name, revision, info, true),
                    Expression::Target {
                        name,
                        revision,
                        info,
                    } => (name, revision, info, false),
                    _ => continue,
                };
                for length in 0..info.len() {
                    let info = info[..length].to_vec();
                    let (name, revision) = (name.clone(), revision);
                    let cut = match is_match {
                        true => Expression::Match {
                            name,
                            revision,
                            info,
                        },
                        false => Expression::Target {
                            name,
                            revision,
                            info,
                        },
                    };
                    // It is read as far as it says all that counts, or not at all.
                    drop(decode::rule(family, &[cut]));
                }
            }
        }
    }
    assert!(ChainReader::open(Family::V4).is_ok());
    let place = (Table::Nat, chain("KUBE-NOBODY"));
    let mut reader = ChainReader::open(Family::V4).expect("a socket");
    assert!(reader.chain(place).is_ok_and(|found| found.is_none()));
}
