//! What a rule did to a packet, in words.

use super::{Outcome, Packet, Step};
use crate::nft::print;
use crate::nft::ruleset::{Element, Pick, SetId, Side, Statement, Value};
use crate::trace::{inside, interface, sentence};
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
    let rule = step.rule.statements.iter();
    conditions.extend(rule.filter_map(|statement| condition(statement, step, packet)));
    let mut actions: Vec<String> = step.rule.statements.iter().filter_map(action).collect();
    match (detail, &step.outcome) {
        (Detail::OneOf(count), _) => {
            let count = list_length(step).unwrap_or(count);
            actions.push(format!("one of {count} {}", how(step)));
        }
        (_, Outcome::Translate(to)) if let Some(count) = list_length(step) => {
            actions.push(format!(
                "one of {count} {}: {}",
                how(step),
                SocketAddr::new(to.address, to.port)
            ));
        }
        (Detail::Chosen, Outcome::Translate(_)) => actions.push("that endpoint".to_owned()),
        _ => actions.extend(outcome(&step.outcome)),
    }
    let missed = step.dead_end.as_ref().map(|own| missed(own, packet));
    sentence(&conditions, &actions, missed.as_deref())
}

/// Of how many endpoints in a list one is chosen; `None` if there is no choice.
fn list_length(step: &Step) -> Option<usize> {
    let mut statements = step.rule.statements.iter();
    let count = statements.find_map(|statement| match statement {
        Statement::Dnat { modulus: count, .. } | Statement::DnatListed { count, .. } => {
            Some(*count)
        }
        _ => None,
    });
    let count = usize::try_from(count?).ok()?;
    (count > 1).then_some(count)
}

/// How an endpoint is chosen.
fn how(step: &Step) -> &'static str {
    let by_source = |statement: &Statement| {
        let pick = match statement {
            Statement::DnatListed { pick, .. } => *pick,
            _ => Pick::Random,
        };
        pick == Pick::Source
    };
    match step.rule.statements.iter().any(by_source) {
        true => "by a hash of the source address",
        false => "at random",
    }
}

/// Why the rules of a chain that came before did not match, as far as it says anything.
fn missed(statements: &[Statement], packet: &Packet) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut forgetful = 0;
    for statement in statements {
        match statement {
            Statement::FibLocal(side) => {
                words.push(format!("{} is not this node's", end(*side, packet)));
            }
            Statement::Address {
                side: Side::Source,
                prefix,
                negated,
            } => words.push(inside(packet, &print::prefix(prefix), *negated)),
            Statement::InputInterface {
                name,
                wildcard,
                negated,
            } => words.push(interface(name, *wildcard, *negated)),
            Statement::InAffinity(_) => forgetful += 1,
            _ => {}
        }
    }
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

/// What a statement that matched says of the packet; `None` of those that say nothing, or do
/// something.
fn condition(statement: &Statement, step: &Step, packet: &Packet) -> Option<String> {
    Some(match statement {
        Statement::CtStatusDnat => "the destination was translated".to_owned(),
        Statement::FibLocal(side) => format!("{} is this node's", end(*side, packet)),
        Statement::Address {
            side: Side::Source,
            prefix,
            negated,
        } => inside(packet, &print::prefix(prefix), !*negated),
        // Loopback addresses, which never are a node port's.
        Statement::Address { negated: true, .. } => return None,
        Statement::Address { prefix, .. } => {
            format!("destination is in {}", print::prefix(prefix))
        }
        Statement::InputInterface {
            name,
            wildcard,
            negated,
        } => interface(name, *wildcard, !*negated),
        Statement::InSet { set, negated, .. } => {
            let not = if *negated { "not " } else { "" };
            match set {
                SetId::ClusterIps => format!("destination is {not}a cluster IP"),
                SetId::NodeportIps => {
                    format!("destination is {not}an address that answers node ports")
                }
                SetId::Hairpin => "the endpoint connects to itself".to_owned(),
                other => format!("{not}in {other}"),
            }
        }
        Statement::NotFrom(set) => {
            let count = set.ranges().len();
            format!("source {} is in none of {count} ranges", packet.source)
        }
        Statement::InAffinity(set) => {
            let to = SocketAddr::new(set.backend.address, set.backend.port);
            format!("{to} remembers {}", packet.source)
        }
        Statement::MarkHas(bit) => format!("mark {bit:#x} is set"),
        Statement::VerdictMap { map, .. } => match element_of(step, *map) {
            Some(element) => looked_up(*map, element),
            None => format!("map {map}"),
        },
        Statement::Dnat { map, .. } => format!("map {map}"),
        Statement::DnatListed { .. } => format!("map {}", SetId::PortEndpoints),
        _ => return None,
    })
}

fn element_of(step: &Step, map: SetId) -> Option<&Element> {
    let matched = step.matched.as_ref().filter(|matched| matched.set == map);
    matched.map(|matched| &matched.element)
}

fn looked_up(map: SetId, element: &Element) -> String {
    let verdict = match &element.value {
        // What follows says it.
        None | Some(Value::Verdict(_)) => String::new(),
        Some(value) => format!(" = {}", print::value(value)),
    };
    format!("map {map} {}{verdict}", print::key(&element.key))
}

/// What a statement does beside where it sends the packet.
fn action(statement: &Statement) -> Option<String> {
    match statement {
        Statement::MarkOr(bit) => Some(format!("mark {bit:#x} for masquerade")),
        Statement::UpdateAffinity { seconds, .. } => {
            Some(format!("the endpoint remembers the client for {seconds} s"))
        }
        _ => None,
    }
}

fn outcome(outcome: &Outcome) -> Option<String> {
    Some(match outcome {
        Outcome::Continue => return None,
        Outcome::Goto(chain) | Outcome::Jump(chain) => chain.to_string(),
        Outcome::Translate(to) => SocketAddr::new(to.address, to.port).to_string(),
        Outcome::Masquerade => "source becomes this node's address".to_owned(),
        Outcome::Reject => "reject with port unreachable".to_owned(),
        Outcome::Drop => "drop".to_owned(),
    })
}

fn end(side: Side, packet: &Packet) -> String {
    match side {
        Side::Source => format!("source {}", packet.source),
        Side::Destination => "destination".to_owned(),
    }
}
