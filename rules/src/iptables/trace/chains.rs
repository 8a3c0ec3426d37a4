//! The chains that packets are sent through.

use crate::iptables::content::Ruleset;
use crate::iptables::names::ChainName;
use crate::iptables::rule::{Rule, Table};
use crate::iptables::setup;
use crate::model::Family;
use std::collections::BTreeMap;

/// A chain by its table and name.
pub type Place = (Table, ChainName);

/// What stands at one place in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A rule such as kube-proxy has.
    Rule(Rule),
    /// Another one, in somebody's words: what it does is not followed.
    Other(String),
}

/// Chains of one family, built-in ones among them, whole or only some of them.
#[derive(Clone, Debug)]
pub struct Chains {
    pub(super) family: Family,
    chains: BTreeMap<Place, Vec<Line>>,
}

impl Chains {
    /// None yet.
    pub fn new(family: Family) -> Self {
        Self {
            family,
            chains: BTreeMap::new(),
        }
    }

    /// Those of a ruleset, as a kernel holds them that had nothing else: with the jumps that lead
    /// there.
    pub fn planned(ruleset: &Ruleset) -> Self {
        let mut all = Self::new(ruleset.family);
        for jump in setup::jumps() {
            let chain = all.chains.entry((jump.table, jump.from)).or_default();
            // Each goes to the head.
            chain.insert(0, Line::Rule(jump.rule));
        }
        for (table, content) in [(Table::Filter, &ruleset.filter), (Table::Nat, &ruleset.nat)] {
            for (name, rules) in content.by_chain() {
                let lines = rules.into_iter().map(|rule| Line::Rule(rule.clone()));
                all.chains.insert((table, name), lines.collect());
            }
        }
        all
    }

    /// A chain with all that stands in it.
    pub fn insert(&mut self, place: Place, lines: Vec<Line>) {
        self.chains.insert(place, lines);
    }

    /// What stands in a chain; `None` if it is not there, or was not told.
    pub fn get(&self, place: &Place) -> Option<&[Line]> {
        self.chains.get(place).map(Vec::as_slice)
    }

    /// The rules of a chain that are such as kube-proxy has.
    pub fn rules(&self, place: &Place) -> impl Iterator<Item = &Rule> {
        let lines = self.get(place).unwrap_or_default().iter();
        lines.filter_map(|line| match line {
            Line::Rule(rule) => Some(rule),
            Line::Other(_) => None,
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Place, &[Line])> {
        let all = self.chains.iter();
        all.map(|(place, lines)| (place, lines.as_slice()))
    }
}
