//! What chains mean.

use crate::iptables::names::ChainName;
use crate::iptables::rule::{Is, Match, Rule, Table, Target};
use crate::iptables::top::{EXTERNAL_SERVICES, MARK_MASQ, NODEPORTS, SERVICES};
use crate::iptables::trace::{Chains, Place};
use crate::model::Frontend;

/// The chain that serves a frontend, and in words what becomes of connections to it.
pub fn serving(chains: &Chains, frontend: &Frontend) -> (Option<String>, String) {
    let leads = match frontend.address {
        Some(_) => (Table::Nat, SERVICES),
        None => (Table::Nat, NODEPORTS),
    };
    let target = |place: Place| {
        let mut rules = chains.rules(&place);
        rules.find(|rule| is_about(rule, frontend))?.target.clone()
    };
    let ended =
        target((Table::Filter, EXTERNAL_SERVICES)).or_else(|| target((Table::Filter, SERVICES)));
    match (target(leads), ended) {
        (Some(Target::Jump(chain)), _) => (Some(chain.to_string()), meaning(chains, chain)),
        (_, Some(Target::Reject)) => {
            let text = "refuses it, as there is no endpoint: ICMP port unreachable";
            (None, text.to_owned())
        }
        (_, Some(Target::Drop)) => {
            let text = "drops it: the policy is Local, and no endpoint is on this node";
            (None, text.to_owned())
        }
        _ => (None, "nothing: no rule has it".to_owned()),
    }
}

/// Whether a rule is about a frontend: its address, protocol and port.
fn is_about(rule: &Rule, frontend: &Frontend) -> bool {
    let mut address = None;
    let (mut protocol, mut port) = (false, false);
    for own in &rule.matches {
        match own {
            Match::Destination(Is::So, range) => {
                let range = range.range();
                // Those of loopback addresses are beside the ones for all.
                address =
                    Some((range.prefix_len() == range.max_prefix_len()).then(|| range.addr()));
            }
            Match::Protocol(own) => protocol = *own == frontend.protocol,
            Match::Port(own) => port = *own == frontend.port,
            _ => {}
        }
    }
    let same = match (address, frontend.address) {
        (Some(own), Some(wanted)) => own == Some(wanted),
        (None, None) => true,
        _ => false,
    };
    same && protocol && port
}

/// What a chain of a Service does with a new connection.
fn meaning(chains: &Chains, chain: ChainName) -> String {
    let place = (Table::Nat, chain);
    if chain.is_of_firewall() {
        let ranges = chains.rules(&place).filter_map(source).collect::<Vec<_>>();
        let from = match ranges.as_slice() {
            [one] => one.clone(),
            all => format!("one of {} ranges", all.len()),
        };
        let then = chains.rules(&place).find_map(jumps_on);
        let then = then.map_or_else(String::new, |to| {
            format!(", and then {}", meaning(chains, to))
        });
        return format!("drops what does not come from {from}{then}");
    }
    if !chain.is_of_external() {
        return format!("sends it to {}", one_of(chains, chain));
    }
    let rules: Vec<&Rule> = chains.rules(&place).collect();
    let last = rules.last().filter(|rule| rule.matches.is_empty());
    let last = last.and_then(|rule| jumps_on(rule));
    let of_node = |rule: &&&Rule| rule.matches.contains(&Match::SourceIsLocal);
    match rules.iter().filter(of_node).find_map(|rule| jumps_on(rule)) {
        None => match last {
            Some(to) => format!(
                "gives the connection the node's address and sends it to {}",
                one_of(chains, to)
            ),
            None => "does nothing".to_owned(),
        },
        Some(all) => {
            let outside = match last {
                None => "drops it, as none is on this node".to_owned(),
                Some(to) => format!(
                    "sends it to {}, with the client's address",
                    one_of(chains, to)
                ),
            };
            let all = one_of(chains, all);
            format!("of pods and this node, sends it to {all}; of clients outside, {outside}")
        }
    }
}

fn source(rule: &Rule) -> Option<String> {
    rule.matches.iter().find_map(|own| match own {
        Match::Source(Is::So, range) => Some(range.range().to_string()),
        _ => None,
    })
}

/// Where a rule leads on, but to be marked.
fn jumps_on(rule: &Rule) -> Option<ChainName> {
    match rule.target {
        Some(Target::Jump(chain)) if chain != MARK_MASQ => Some(chain),
        _ => None,
    }
}

/// Of the endpoints that a chain chooses from.
fn one_of(chains: &Chains, chain: ChainName) -> String {
    let where_ = if chain.is_of_local() {
        " on this node"
    } else {
        ""
    };
    let is_remembering = |rule: &&Rule| {
        let mut matches = rule.matches.iter();
        matches.any(|own| matches!(own, Match::SeenAt(..)))
    };
    let place = (Table::Nat, chain);
    let rules = chains.rules(&place);
    let rules: Vec<&Rule> = rules.filter(|rule| jumps_on(rule).is_some()).collect();
    let remembering = rules.iter().filter(|rule| is_remembering(rule)).count();
    let one = match rules.len() - remembering {
        1 => format!("the only endpoint{where_}"),
        count => format!("one of {count} endpoints{where_} at random"),
    };
    match remembering {
        0 => one,
        _ => format!("the endpoint that the client had last, or else {one}"),
    }
}
