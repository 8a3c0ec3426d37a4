//! What chains hold of one Service, what they do with connections to it, and how two states of them
//! differ in that: the planned one and the one that the kernel holds.

mod differences;
mod words;

pub use differences::differences;
pub use words::serving;

use super::names::ChainName;
use super::rule::{Match, Rule, Table, Target};
use super::setup::jumps;
use super::top::{
    EXTERNAL_SERVICES, FIREWALL, FORWARD, MARK_MASQ, NODEPORTS, POSTROUTING, PROXY_FIREWALL,
    SERVICES,
};
use super::trace::{Chains, Place};
use super::{names, print};
use crate::model::{Family, ObjectName};
use crate::plan::ServicePlan;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Chains that Services share, with rules of each.
const SHARED: [Place; 6] = [
    (Table::Filter, SERVICES),
    (Table::Filter, EXTERNAL_SERVICES),
    (Table::Filter, NODEPORTS),
    (Table::Filter, PROXY_FIREWALL),
    (Table::Nat, SERVICES),
    (Table::Nat, NODEPORTS),
];

/// Chains whose rules are the same whatever Services there are.
const FIXED: [Place; 4] = [
    (Table::Filter, FORWARD),
    (Table::Filter, FIREWALL),
    (Table::Nat, POSTROUTING),
    (Table::Nat, MARK_MASQ),
];

/// The ports of a Service, by which rules say whose they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(BTreeSet<String>);

impl Ports {
    /// Those of a Service.
    pub fn of(service: &ObjectName, plan: &ServicePlan) -> Self {
        let names = plan.ports.iter();
        let names = names.map(|port| names::port_name(service, &port.name));
        Self(names.collect())
    }

    /// Whether a rule of a shared chain is of one of them.
    fn own(&self, rule: &Rule) -> bool {
        owner(rule).is_some_and(|name| self.0.contains(name))
    }
}

/// The port that a rule of a shared chain says that it is of: the first word of its comment.
fn owner(rule: &Rule) -> Option<&str> {
    let mut matches = rule.matches.iter();
    let comment = matches.find_map(|own| match own {
        Match::Comment(comment) => Some(comment.as_str()),
        _ => None,
    })?;
    let word = comment.split(' ').next()?;
    word.contains('/').then_some(word)
}

/// The Services that have rules for one of these addresses.
pub fn owners(chains: &Chains, addresses: &[IpAddr]) -> BTreeSet<ObjectName> {
    let rules = SHARED.iter().flat_map(|place| chains.rules(place));
    let about = rules.filter(|rule| {
        rule.matches.iter().any(|own| match own {
            Match::Destination(_, range) => addresses.contains(&range.range().addr()),
            _ => false,
        })
    });
    let services = about.filter_map(|rule| {
        let (namespace, rest) = owner(rule)?.split_once('/')?;
        let name = rest.split(':').next()?;
        Some(ObjectName::new(namespace, name))
    });
    services.collect()
}

/// The chains that say something of Services' packets whatever Service it is: built-in ones, those that
/// Services share, and those that are always the same.
pub fn common() -> BTreeSet<Place> {
    let built_in = jumps().into_iter().map(|jump| (jump.table, jump.from));
    built_in.chain(SHARED).chain(FIXED).collect()
}

/// The Service's own chains, as far as rules lead to them: in the order in which they are come to.
fn chains_of(chains: &Chains, ports: &Ports) -> Vec<Place> {
    let shared = SHARED.iter().flat_map(|place| chains.rules(place));
    let mut next: Vec<ChainName> = shared
        .filter(|rule| ports.own(rule))
        .filter_map(own_target)
        .collect();
    next.reverse();
    let mut found = Vec::new();
    while let Some(chain) = next.pop() {
        let place = (Table::Nat, chain);
        if found.contains(&place) {
            continue;
        }
        found.push(place);
        let led_to: Vec<ChainName> = chains.rules(&place).filter_map(own_target).collect();
        next.extend(led_to.into_iter().rev());
    }
    found
}

/// The Service's chain that a rule leads to.
fn own_target(rule: &Rule) -> Option<ChainName> {
    match rule.target {
        Some(Target::Jump(chain)) if chain.is_of_service() => Some(chain),
        _ => None,
    }
}

/// Chains that the Service's rules lead to and that nothing is known of yet.
pub fn unknown(chains: &Chains, ports: &Ports) -> Vec<Place> {
    let mut all = chains_of(chains, ports);
    all.retain(|place| chains.get(place).is_none());
    all
}

/// The rules of a Service, in the words of `iptables-save`, table by table.
pub fn lines(chains: &Chains, ports: &Ports, family: Family) -> Vec<String> {
    let own = chains_of(chains, ports);
    let mut lines = Vec::new();
    for table in [Table::Filter, Table::Nat] {
        let shared = SHARED.iter().filter(|place| place.0 == table);
        let shared = shared.flat_map(|place| {
            let rules = chains.rules(place).filter(|rule| ports.own(rule));
            rules.map(|rule| (place.1, rule))
        });
        let own = own.iter().filter(|place| place.0 == table);
        let own = own.flat_map(|place| chains.rules(place).map(|rule| (place.1, rule)));
        let rules: Vec<_> = shared.chain(own).collect();
        if !rules.is_empty() {
            lines.push(format!("*{}", table.name()));
        }
        let text = |(chain, rule): (ChainName, &Rule)| print::saved_rule(chain, rule, family);
        lines.extend(rules.into_iter().map(text));
    }
    lines
}

#[cfg(test)]
mod tests;
