//! What a rule did to a packet, in words.

use super::{Outcome, Step};
use crate::iptables::names::{self, ChainName};
use crate::iptables::rule::{Is, Match, State, Target};
use crate::iptables::top::NODEPORTS;
use crate::trace::{Packet, inside, interface, sentence};
use std::net::SocketAddr;

/// How much of a step is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// All of it.
    Exact,
    /// Not which one of so many endpoints it chose at random.
    OneOf(usize),
    /// Not for which endpoint it is, as that was chosen at random.
    Chosen,
}

/// A step as `conditions → what follows`.
pub(super) fn step(step: &Step, packet: &Packet, detail: Detail) -> String {
    let mut conditions = missed(&step.missed, packet);
    conditions.extend(matched(step, packet, detail));
    let remembers = step.rule.matches.iter().find_map(|own| match own {
        Match::Remember(_) => Some("the endpoint remembers the client".to_owned()),
        _ => None,
    });
    let mut actions: Vec<String> = remembers.into_iter().collect();
    match (detail, step.outcome) {
        (Detail::OneOf(count), _) => actions.push(format!("one of {count} at random")),
        (Detail::Chosen, Outcome::Translate(_)) => actions.push("that endpoint".to_owned()),
        _ => actions.extend(action(step, packet)),
    }
    let missed = step.dead_end.as_ref().map(|own| missed(own, packet));
    sentence(&conditions, &actions, missed.as_deref())
}

/// Why the rules of a chain that came before did not match, as far as it says anything.
fn missed(matches: &[Match], packet: &Packet) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut forgetful = 0;
    for own in matches {
        match own {
            Match::SourceIsLocal => {
                words.push(format!("source {} is not this node's", packet.source));
            }
            // A range: single addresses are of endpoints that may meet themselves.
            Match::Source(is, range)
                if range.range().prefix_len() < range.range().max_prefix_len() =>
            {
                let text = range.range().to_string();
                words.push(inside(packet, &text, *is == Is::Not));
            }
            Match::Interface { is, name, wildcard } => {
                words.push(interface(name, *wildcard, *is == Is::Not));
            }
            Match::Mark(Is::Not, mark) => words.push(format!("mark {mark:#x} is set")),
            Match::SeenAt(..) => forgetful += 1,
            _ => {}
        }
    }
    words.dedup();
    match forgetful {
        0 => {}
        1 => words.push(format!("the endpoint does not remember {}", packet.source)),
        _ => words.push(format!(
            "none of {forgetful} endpoints remembers {}",
            packet.source
        )),
    }
    words
}

/// What a rule that matched says of the packet.
fn matched(step: &Step, packet: &Packet, detail: Detail) -> Vec<String> {
    let matches = &step.rule.matches;
    let mut words: Vec<String> = frontend(step).into_iter().collect();
    let has_port = !words.is_empty();
    for own in matches {
        let text = match own {
            Match::SourceIsLocal => format!("source {} is this node's", packet.source),
            Match::DestinationIsLocal => "destination is this node's".to_owned(),
            Match::Source(Is::So, range)
                if range.range().prefix_len() == range.range().max_prefix_len() =>
            {
                match detail {
                    Detail::Exact => "the endpoint connects to itself".to_owned(),
                    _ => continue,
                }
            }
            // With a port it has been told.
            Match::Destination(is, range) if !has_port => {
                let not = if *is == Is::So { "" } else { "not " };
                format!("destination is {not}in {}", range.range())
            }
            Match::Source(is, range) => inside(packet, &range.range().to_string(), *is == Is::So),
            Match::Interface { is, name, wildcard } => interface(name, *wildcard, *is == Is::So),
            Match::Mark(Is::So, mark) => format!("mark {mark:#x} is set"),
            Match::Mark(Is::Not, mark) => format!("mark {mark:#x} is not set"),
            Match::State(Is::So, [State::New]) => continue,
            Match::State(Is::Not, _) => "no translation led there".to_owned(),
            Match::SeenAt(chain, _) => {
                format!("{} remembers {}", endpoint(step, *chain), packet.source)
            }
            _ => continue,
        };
        words.push(text);
    }
    words
}

/// Of which endpoint a chain is, by the rule's comment.
fn endpoint(step: &Step, chain: ChainName) -> String {
    let mut matches = step.rule.matches.iter();
    let comment = matches.find_map(|own| match own {
        Match::Comment(comment) => comment.as_str().split_once(" -> "),
        _ => None,
    });
    comment.map_or_else(|| chain.to_string(), |(_, endpoint)| endpoint.to_owned())
}

/// What the packet was sent to, and whose that is.
fn frontend(step: &Step) -> Option<String> {
    let matches = &step.rule.matches;
    let port = matches.iter().find_map(|own| match own {
        Match::Port(port) => Some(*port),
        _ => None,
    })?;
    let protocol = matches.iter().find_map(|own| match own {
        Match::Protocol(protocol) => Some(names::keyword(*protocol)),
        _ => None,
    })?;
    let address = matches.iter().find_map(|own| match own {
        Match::Destination(Is::So, address) => Some(address.range()),
        _ => None,
    });
    let to = match address {
        Some(range) if range.prefix_len() == range.max_prefix_len() => {
            format!("destination is {}", SocketAddr::new(range.addr(), port))
        }
        Some(range) => format!("destination is in {range}, port {port}"),
        None if step.chain == NODEPORTS => format!("node port {port}"),
        None => format!("port {port}"),
    };
    let whose = service(step).map(|own| format!(" of {own}"));
    Some(format!("{to}/{protocol}{}", whose.unwrap_or_default()))
}

/// The Service port that the rule of a chain for all of them says that it is of: its comment's first
/// word.
pub(super) fn service(step: &Step) -> Option<&str> {
    if step.chain.is_of_service() {
        return None;
    }
    let mut matches = step.rule.matches.iter();
    let comment = matches.find_map(|own| match own {
        Match::Comment(comment) => Some(comment.as_str()),
        _ => None,
    })?;
    let word = comment.split(' ').next()?;
    word.contains('/').then_some(word)
}

/// What becomes of the packet.
fn action(step: &Step, packet: &Packet) -> Option<String> {
    Some(match (step.outcome, &step.rule.target) {
        (Outcome::Continue, Some(Target::MarkOr(mark))) => {
            format!("mark {mark:#x} for masquerade")
        }
        (Outcome::Continue, Some(Target::MarkXor(mark))) => {
            format!("mark {mark:#x} is taken off again")
        }
        (Outcome::Continue, _) => return None,
        (Outcome::Jump(chain), _) => chain.to_string(),
        (Outcome::Return, _) => format!("source stays {}", packet.source),
        (Outcome::Accept, _) => "accept".to_owned(),
        (Outcome::Translate(to), _) => SocketAddr::new(to.address, to.port).to_string(),
        (Outcome::Masquerade, _) => "source becomes this node's address".to_owned(),
        (Outcome::Reject, _) => "reject with port unreachable".to_owned(),
        (Outcome::Drop, _) => "drop".to_owned(),
    })
}
