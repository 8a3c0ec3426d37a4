//! What `iptables-save` tells once the rules are in the kernel: addresses, interface and protocol
//! first, every default written out.

use super::restore::probability;
use super::{not, states};
use crate::iptables::content::Content;
use crate::iptables::names::{self, ChainName};
use crate::iptables::rule::{Match, Rule, Target};
use crate::model::Family;
use std::fmt::Write;

/// The rules of one table, a line each: `-A CHAIN …`, chains in the order of their names. Chains
/// themselves, and what is not ours, are not among them.
pub fn saved(content: &Content, family: Family) -> String {
    let mut out = String::new();
    for (chain, rules) in content.by_chain() {
        for rule in rules {
            let _ = writeln!(out, "{}", saved_rule(chain, rule, family));
        }
    }
    out
}

/// One rule as a line: `-A CHAIN …`.
pub fn saved_rule(chain: ChainName, rule: &Rule, family: Family) -> String {
    format!("-A {chain}{}", arguments(rule, family))
}

/// Each with a blank before it.
fn arguments(rule: &Rule, family: Family) -> String {
    let mut out = String::new();
    for part in [source, destination, interface, protocol] {
        for own in &rule.matches {
            part(own).into_iter().for_each(|text| push(&mut out, &text));
        }
    }
    for own in &rule.matches {
        let text = match own {
            // The port may stand apart from it, and is the same match.
            Match::Protocol(protocol) => {
                let port = rule.matches.iter().find_map(|own| match own {
                    Match::Port(port) => Some(format!(" --dport {port}")),
                    _ => None,
                });
                let word = names::keyword(*protocol);
                Some(format!("-m {word}{}", port.unwrap_or_default()))
            }
            own => extension(own, family),
        };
        text.into_iter().for_each(|text| push(&mut out, &text));
    }
    if let Some(target) = &rule.target {
        push(&mut out, &format!("-j {}", target_text(target, family)));
    }
    out
}

fn push(out: &mut String, text: &str) {
    out.push(' ');
    out.push_str(text);
}

fn source(own: &Match) -> Option<String> {
    match own {
        Match::Source(is, address) => Some(format!("{}-s {}", not(*is), address.range())),
        _ => None,
    }
}

fn destination(own: &Match) -> Option<String> {
    match own {
        Match::Destination(is, address) => Some(format!("{}-d {}", not(*is), address.range())),
        _ => None,
    }
}

fn interface(own: &Match) -> Option<String> {
    match own {
        Match::Interface { is, name, wildcard } => {
            let plus = if *wildcard { "+" } else { "" };
            Some(format!("{}-i {name}{plus}", not(*is)))
        }
        _ => None,
    }
}

fn protocol(own: &Match) -> Option<String> {
    match own {
        Match::Protocol(protocol) => Some(format!("-p {}", names::keyword(*protocol))),
        _ => None,
    }
}

fn extension(own: &Match, family: Family) -> Option<String> {
    Some(match own {
        Match::Comment(comment) => {
            let text = comment.as_str();
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            match !text.is_empty() && text.chars().all(plain) {
                true => format!("-m comment --comment {text}"),
                false => format!("-m comment --comment \"{text}\""),
            }
        }
        Match::SourceIsLocal => "-m addrtype --src-type LOCAL".to_owned(),
        Match::DestinationIsLocal => "-m addrtype --dst-type LOCAL".to_owned(),
        Match::Mark(is, mark) => format!("-m mark {}--mark {mark:#x}/{mark:#x}", not(*is)),
        Match::State(is, own) => format!("-m conntrack {}--ctstate {}", not(*is), states(own)),
        Match::OneOf(count) => {
            let chance = kept(*count);
            format!("-m statistic --mode random --probability {chance}")
        }
        Match::SeenAt(chain, seconds) => format!(
            "-m recent --rcheck --seconds {seconds} --reap --name {chain} --mask {} --rsource",
            whole_mask(family)
        ),
        Match::Remember(chain) => format!(
            "-m recent --set --name {chain} --mask {} --rsource",
            whole_mask(family)
        ),
        // Two blanks: iptables' own.
        Match::Count(name) => format!("-m nfacct --nfacct-name  {name}"),
        Match::Source(..)
        | Match::Destination(..)
        | Match::Interface { .. }
        | Match::Protocol(_)
        | Match::Port(_) => return None,
    })
}

fn target_text(target: &Target, family: Family) -> String {
    match target {
        Target::Jump(chain) => chain.to_string(),
        Target::Accept => "ACCEPT".to_owned(),
        Target::Drop => "DROP".to_owned(),
        Target::Return => "RETURN".to_owned(),
        Target::Reject => {
            let icmp = match family {
                Family::V4 => "icmp",
                Family::V6 => "icmp6",
            };
            format!("REJECT --reject-with {icmp}-port-unreachable")
        }
        Target::MarkOr(mark) => format!("MARK --set-xmark {mark:#x}/{mark:#x}"),
        Target::MarkXor(mark) => format!("MARK --set-xmark {mark:#x}/0x0"),
        Target::Masquerade => "MASQUERADE --random-fully".to_owned(),
        Target::Dnat(endpoint) => {
            format!("DNAT --to-destination {}", names::endpoint_name(endpoint))
        }
    }
}

fn whole_mask(family: Family) -> &'static str {
    match family {
        Family::V4 => "255.255.255.255",
        Family::V6 => "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    }
}

/// A probability as the kernel keeps it, in 2³¹ parts, of the text that it was given.
fn kept(count: usize) -> String {
    const WHOLE: f64 = 2_147_483_648.0;
    let given: f64 = probability(count).parse().unwrap_or(1.0);
    format!("{:.11}", (given * WHOLE).round() / WHOLE)
}
