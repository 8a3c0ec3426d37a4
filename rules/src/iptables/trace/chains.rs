//! The chains that packets are sent through.

use crate::iptables::content::Ruleset;
use crate::iptables::names::ChainName;
use crate::iptables::rule::{Address, Is, Match, Rule, Table, Target};
use crate::iptables::setup;
use crate::model::Family;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

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
    chains: BTreeMap<Place, Lines>,
}

/// A chain's lines. Most rules of long chains ask for one destination: for a packet only its own are
/// looked at, and those that ask for none.
#[derive(Clone, Debug, Default)]
struct Lines {
    all: Vec<Line>,
    /// Where rules stand that ask for this destination, from 0 and in order.
    to: HashMap<IpAddr, Vec<usize>>,
    /// Where all others stand.
    others: Vec<usize>,
    /// Where one of so many rules in a row matches, each as likely as the others and whatever the packet
    /// is: the endpoints of a Service port.
    draws: HashMap<usize, usize>,
}

impl Lines {
    fn new(all: Vec<Line>) -> Self {
        let mut lines = Self::default();
        for (position, line) in all.iter().enumerate() {
            let positions = match destination(line) {
                Some(address) => lines.to.entry(address).or_default(),
                None => &mut lines.others,
            };
            positions.push(position);
        }
        for (position, line) in all.iter().enumerate() {
            if let Some(count) = chance(line).filter(|count| *count > 1)
                && let Some(rules) = all.get(position..position + count)
                && (0..count).all(|at| chance(&rules[at]) == Some(count - at))
            {
                lines.draws.insert(position, count);
            }
        }
        lines.all = all;
        lines
    }

    /// Where rules stand that a packet to this destination may match, in order.
    fn positions(&self, destination: IpAddr) -> Vec<usize> {
        let own = self.to.get(&destination).into_iter().flatten();
        let mut positions: Vec<usize> = own.chain(&self.others).copied().collect();
        positions.sort_unstable();
        positions
    }
}

/// That a rule matches one packet out of so many, whichever it is.
fn chance(line: &Line) -> Option<usize> {
    let Line::Rule(rule) = line else {
        return None;
    };
    let mut count = 1;
    for own in &rule.matches {
        match own {
            Match::Comment(_) | Match::Count(_) => {}
            Match::OneOf(of) if count == 1 => count = *of,
            _ => return None,
        }
    }
    Some(count)
}

/// The one destination that a rule asks for.
fn destination(line: &Line) -> Option<IpAddr> {
    let Line::Rule(rule) = line else {
        return None;
    };
    rule.matches.iter().find_map(|own| match own {
        Match::Destination(Is::So, Address::One(address)) => Some(*address),
        Match::Destination(Is::So, Address::Range(range))
            if range.prefix_len() == range.max_prefix_len() =>
        {
            Some(range.addr())
        }
        _ => None,
    })
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
        let mut built_in: BTreeMap<Place, Vec<Line>> = BTreeMap::new();
        for jump in setup::jumps() {
            let chain = built_in.entry((jump.table, jump.from)).or_default();
            // Each goes to the head.
            if let Some(Target::Jump(to)) = jump.rule.target {
                all.insert((jump.table, to), Vec::new());
            }
            chain.insert(0, Line::Rule(jump.rule));
        }
        for (place, lines) in built_in {
            all.insert(place, lines);
        }
        for (table, content) in [(Table::Filter, &ruleset.filter), (Table::Nat, &ruleset.nat)] {
            for (name, rules) in content.by_chain() {
                let lines = rules.into_iter().map(|rule| Line::Rule(rule.clone()));
                all.insert((table, name), lines.collect());
            }
        }
        all
    }

    /// A chain with all that stands in it.
    pub fn insert(&mut self, place: Place, lines: Vec<Line>) {
        self.chains.insert(place, Lines::new(lines));
    }

    /// What stands in a chain; `None` if it is not there, or was not told.
    pub fn get(&self, place: &Place) -> Option<&[Line]> {
        self.chains.get(place).map(|lines| lines.all.as_slice())
    }

    /// What of a chain a packet to this destination may match, each with its place in the chain.
    pub(super) fn lines_to(&self, place: &Place, destination: IpAddr) -> Vec<(usize, &Line)> {
        let Some(lines) = self.chains.get(place) else {
            return Vec::new();
        };
        let positions = lines.positions(destination).into_iter();
        positions
            .map(|position| (position, &lines.all[position]))
            .collect()
    }

    /// How many rules there are from this place in a chain on of which one matches, each as likely as the
    /// others; `None` if it is not there that such begin.
    pub(super) fn draw(&self, place: &Place, position: usize) -> Option<usize> {
        self.chains.get(place)?.draws.get(&position).copied()
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
        all.map(|(place, lines)| (place, lines.all.as_slice()))
    }
}
