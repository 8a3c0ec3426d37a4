//! What chains do with a packet, without a kernel: a tracer that walks them as the kernel does for the
//! first packet of a connection.
//!
//! Random choices are all explored, so a trace holds every way that a packet may go. Not modelled are
//! packets of known connections, and what others' rules do, in these chains and elsewhere.

mod chains;
mod walk;
mod ways;
mod words;

pub use chains::{Chains, Line, Place};

use super::names::ChainName;
use super::print;
use super::rule::{Match, Rule, Table};
use crate::model::{EndpointAddr, Family};
use crate::trace::{Choices, End, HookPoint, Packet, write_paths};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use walk::Walk;

/// A rule that matched; jumps to chains in which none did are left out, but to those of Services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many random choices lead there, that of this rule among them.
    pub choices: usize,
    /// The table's family.
    pub family: Family,
    /// The hook.
    pub point: HookPoint,
    /// The table.
    pub table: Table,
    /// The chain.
    pub chain: ChainName,
    /// The rule's place in the chain, from 0.
    pub position: usize,
    /// The rule.
    pub rule: Rule,
    /// Of the rules of the chain since the step before: what they asked of the source, the interface or
    /// the mark, and was not so.
    pub missed: Vec<Match>,
    /// What it did to the packet.
    pub outcome: Outcome,
    /// If it jumped to a Service's chain in which no rule matched: what was not so there.
    pub dead_end: Option<Vec<Match>>,
}

impl Step {
    /// A step that somebody else saw: that a packet matched a rule, and what that did to it.
    pub fn seen(
        place: Place,
        position: usize,
        rule: Rule,
        packet: &Packet,
        outcome: Outcome,
    ) -> Self {
        Self {
            choices: 0,
            family: Family::of(packet.destination),
            point: HookPoint::Prerouting,
            table: place.0,
            chain: place.1,
            position,
            rule,
            missed: Vec::new(),
            outcome,
            dead_end: None,
        }
    }

    /// What it says of the packet and does to it, in words.
    pub fn words(&self, packet: &Packet) -> String {
        words::step(self, packet, words::Detail::Exact)
    }

    /// The rule as `iptables-save` tells it.
    pub fn rule_text(&self) -> String {
        print::saved_rule(self.chain, &self.rule, self.family)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.point,
            self.table.name(),
            self.rule_text()
        )
    }
}

/// What a rule did to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on to the next rule, perhaps with a mark.
    Continue,
    /// It goes on in another chain, and comes back at its end.
    Jump(ChainName),
    /// It goes back to where the chain was jumped to.
    Return,
    /// It is let through.
    Accept,
    /// It is sent to an endpoint.
    Translate(EndpointAddr),
    /// It gets the node's address as its source.
    Masquerade,
    /// It is answered with ICMP port unreachable.
    Reject,
    /// It is discarded.
    Drop,
}

/// One way that a packet may go.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The rules that matched, in order; empty if they were not asked for.
    pub steps: Vec<Step>,
    /// The hooks that it passes, in order; empty if steps were not asked for.
    pub hooks: Vec<HookPoint>,
    /// Every chain that looked at it, or should have and is not there.
    pub visited: BTreeSet<Place>,
    /// How many random choices lead there.
    pub choices: usize,
    /// How likely it is, from 0 to 1; of all ways together it is 1.
    pub probability: f64,
    /// Chains of endpoints that remember the client from now on (session affinity).
    pub remembered: Vec<ChainName>,
    /// What becomes of the packet.
    pub end: End,
}

/// Every way that a packet may go. Shown one step a line; after a random choice, each way is indented
/// below what they have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The packet as it was sent.
    pub packet: Packet,
    /// The ways, in the order of the choices that lead to them.
    pub paths: Vec<Path>,
}

impl Trace {
    /// What may become of the packet.
    pub fn ends(&self) -> BTreeSet<End> {
        self.paths.iter().map(|path| path.end).collect()
    }

    /// Every chain that looked at it on some way, or should have and is not there.
    pub fn visited(&self) -> BTreeSet<Place> {
        let all = self.paths.iter().flat_map(|path| &path.visited);
        all.copied().collect()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.paths.iter();
        let paths = paths.map(|path| (path.steps.as_slice(), path.choices, path.end));
        write_paths(f, &self.packet, paths, |step| step.choices)
    }
}

/// So many ways are followed. Each emptied chain of an endpoint doubles them: the kernel goes on to the
/// next endpoint from there.
const WAYS_MAX: usize = 1 << 14;

/// Sends packets through one family's chains.
#[derive(Clone, Debug)]
pub struct Tracer<'a> {
    chains: &'a Chains,
    node_addresses: BTreeSet<IpAddr>,
    remembered: BTreeMap<ChainName, BTreeSet<IpAddr>>,
}

impl<'a> Tracer<'a> {
    /// A tracer of `chains`, on a node that has `node_addresses` on its interfaces. Loopback addresses
    /// are the node's in any case.
    pub fn new(chains: &'a Chains, node_addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            chains,
            node_addresses: node_addresses.into_iter().collect(),
            remembered: BTreeMap::new(),
        }
    }

    /// Lets the endpoint of a chain remember a client, as an earlier connection would have, or the
    /// kernel's list tells.
    pub fn remember(&mut self, endpoint: ChainName, client: IpAddr) {
        self.remembered.entry(endpoint).or_default().insert(client);
    }

    /// Every way that `packet` may go, without the steps.
    pub fn trace(&self, packet: &Packet) -> Trace {
        self.explore(packet, false)
    }

    /// Every way that `packet` may go, with the rules that send it there.
    pub fn explain(&self, packet: &Packet) -> Trace {
        self.explore(packet, true)
    }

    /// Walks again from the start for each way, of which there are as many as endpoints, and more only
    /// where somebody emptied the chains of endpoints.
    fn explore(&self, packet: &Packet, with_steps: bool) -> Trace {
        let mut choices = Choices::default();
        let mut paths = Vec::new();
        loop {
            paths.push(Walk::new(self, packet, &mut choices, with_steps).go());
            if paths.len() == WAYS_MAX || !choices.advance() {
                break;
            }
        }
        Trace {
            packet: packet.clone(),
            paths,
        }
    }

    fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.node_addresses.contains(&address)
    }

    fn remembers(&self, endpoint: ChainName, client: IpAddr) -> bool {
        let clients = self.remembered.get(&endpoint);
        clients.is_some_and(|clients| clients.contains(&client))
    }
}
