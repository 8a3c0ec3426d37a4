//! How the kernel's chains differ from the planned ones, as far as a Service is concerned.

use super::{FIXED, Ports, SHARED, chains_of, owner};
use crate::iptables::print::saved_rule;
use crate::iptables::rule::{Match, Rule, State, Target};
use crate::iptables::setup::jumps;
use crate::iptables::top::FIREWALL;
use crate::iptables::trace::{Chains, Line, Place};
use crate::model::Family;
use std::collections::BTreeSet;

/// What is different in `held`, a sentence each; none if it does the same. Counters, and comments of
/// endpoints, which go where there are many of them, are no difference.
pub fn differences(wanted: &Chains, held: &Chains, ports: &Ports, family: Family) -> Vec<String> {
    let compare = Compare {
        wanted,
        held,
        ports,
        family,
    };
    let mut found = compare.jumps();
    for place in FIXED.into_iter().chain(SHARED) {
        found.extend(compare.others(place));
    }
    for place in FIXED {
        found.extend(compare.fixed(place));
    }
    for place in SHARED {
        found.extend(compare.shared(place));
    }
    let own = chains_of(wanted, ports).into_iter();
    let own: BTreeSet<Place> = own.chain(chains_of(held, ports)).collect();
    for place in own {
        found.extend(compare.others(place));
        found.extend(compare.own(place));
    }
    found
}

struct Compare<'a> {
    wanted: &'a Chains,
    held: &'a Chains,
    ports: &'a Ports,
    family: Family,
}

impl Compare<'_> {
    fn text(&self, place: Place, rule: &Rule) -> String {
        saved_rule(place.1, rule, self.family)
    }

    /// The jumps from built-in chains, by what they mean: tools differ in how they write them.
    fn jumps(&self) -> Vec<String> {
        let missing = jumps().into_iter().filter(|jump| {
            let place = (jump.table, jump.from);
            let wanted = self.text(place, &jump.rule);
            let mut held = self.held.rules(&place);
            !held.any(|rule| self.text(place, rule) == wanted)
        });
        let told = missing.map(|jump| {
            let to = match jump.rule.target {
                Some(Target::Jump(to)) => to.to_string(),
                _ => String::new(),
            };
            let table = jump.table.name();
            format!(
                "table {table}: the jump from {} to {to} is missing",
                jump.from
            )
        });
        told.collect()
    }

    /// What stands in a chain of kube-proxy's and is none of its rules.
    fn others(&self, place: Place) -> Vec<String> {
        let lines = self.held.get(&place).unwrap_or_default();
        let others = (1..).zip(lines).filter_map(|(position, line)| match line {
            Line::Other(words) => Some(format!(
                "not ours: chain {} of table {}, rule {position}: {words}",
                place.1,
                place.0.name()
            )),
            Line::Rule(_) => None,
        });
        others.collect()
    }

    fn lines(&self, chains: &Chains, place: Place, which: impl Fn(&Rule) -> bool) -> Vec<String> {
        let rules = chains.rules(&place).filter(|rule| which(rule));
        rules.map(|rule| self.text(place, &plain(rule))).collect()
    }

    /// Rules that do not depend on Services. The kubelet has its own ones in `KUBE-FIREWALL`, and
    /// whether invalid packets are dropped is up to a sysctl.
    fn fixed(&self, place: Place) -> Vec<String> {
        let is_fixed = |rule: &Rule| !drops_invalid(rule);
        let wanted = self.lines(self.wanted, place, is_fixed);
        let mut held = self.lines(self.held, place, is_fixed);
        if place.1 == FIREWALL {
            held.retain(|line| wanted.contains(line));
        }
        only(place, &wanted, &held)
    }

    /// The Service's rules in a chain that others have rules in, and those that are nobody's: jumps to
    /// node ports, and what should not be there.
    fn shared(&self, place: Place) -> Vec<String> {
        let is_counted = |rule: &Rule| {
            let mut matches = rule.matches.iter();
            matches.any(|own| matches!(own, Match::Count(_)))
        };
        let is_own = |rule: &Rule| {
            // What counts is there only where the kernel has its counter.
            (owner(rule).is_none() || self.ports.own(rule)) && !is_counted(rule)
        };
        let wanted = self.lines(self.wanted, place, is_own);
        let held = self.lines(self.held, place, is_own);
        only(place, &wanted, &held)
    }

    /// A chain of the Service alone.
    fn own(&self, place: Place) -> Vec<String> {
        let name = format!("chain {} of table {}", place.1, place.0.name());
        let is_there = |chains: &Chains| chains.get(&place).is_some_and(|lines| !lines.is_empty());
        match (is_there(self.wanted), is_there(self.held)) {
            (true, false) => return vec![format!("{name} is missing, or empty")],
            (false, true) => return vec![format!("{name} should not be there")],
            _ => {}
        }
        let wanted = self.lines(self.wanted, place, |_| true);
        let held = self.lines(self.held, place, |_| true);
        let found = only(place, &wanted, &held);
        match found.is_empty() && wanted != held {
            true => vec![format!(
                "{name}: its rules are in another order, or there twice"
            )],
            false => found,
        }
    }
}

/// Without what may be there or not.
fn plain(rule: &Rule) -> Rule {
    let matches = rule.matches.iter();
    let matches = matches.filter(|own| !matches!(own, Match::Count(_) | Match::Comment(_)));
    Rule {
        matches: matches.cloned().collect(),
        target: rule.target.clone(),
    }
}

fn drops_invalid(rule: &Rule) -> bool {
    let mut matches = rule.matches.iter();
    matches.any(|own| matches!(own, Match::State(_, [State::Invalid])))
}

/// What only one of them has.
fn only(place: Place, wanted: &[String], held: &[String]) -> Vec<String> {
    let table = place.0.name();
    let missing = wanted.iter().filter(|line| !held.contains(line));
    let missing = missing.map(|line| format!("table {table}: is missing: {line}"));
    let wrong = held.iter().filter(|line| !wanted.contains(line));
    let wrong = wrong.map(|line| format!("table {table}: should not be there: {line}"));
    missing.chain(wrong).collect()
}
