//! What the rules do with a packet, without a kernel: a tracer that walks a
//! table as the kernel does for the first packet of a connection.
//!
//! ```
//! use rules::nft::Table;
//! use rules::model::Protocol;
//! use rules::nft::trace::Tracer;
//! use rules::trace::{Origin, Packet};
//!
//! let table = Table::new();
//! let tracer = Tracer::new(&table, ["192.0.2.1".parse()?]);
//! let packet = Packet {
//!     origin: Origin::Interface("eth0".into()),
//!     protocol: Protocol::Tcp,
//!     source: "203.0.113.9".parse()?,
//!     destination: "10.96.0.1".parse()?,
//!     port: 80,
//! };
//! let trace = tracer.explain(&packet);
//! assert_eq!(
//!     trace.to_string(),
//!     "tcp 203.0.113.9 to 10.96.0.1:80, in by eth0\n=> not translated\n"
//! );
//! # Ok::<(), std::net::AddrParseError>(())
//! ```
//!
//! Random choices are all explored, so a trace holds every way that a packet
//! may go. Not modelled are packets of known connections, which no rule of the
//! table changes, and what other tables and routes do.

mod serialize;
mod show;
mod statement;
mod walk;
mod ways;
mod words;

use crate::model::{EndpointAddr, Family};
use crate::nft::print;
use crate::nft::ruleset::{
    AffinitySet, Chain, ChainId, Element, HookPoint, Key, Rule, SetId, Statement,
};
use crate::nft::table::Table;
use crate::trace::{Choices, End, Packet};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use walk::Walk;

/// A rule that matched; jumps to chains in which none did are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many random choices came before.
    pub choices: usize,
    /// The table's family.
    pub family: Family,
    /// The hook.
    pub point: HookPoint,
    /// The chain.
    pub chain: ChainId,
    /// The rule's place in the chain, from 0.
    pub position: usize,
    /// The rule.
    pub rule: Rule,
    /// Of the rules of the chain since the step before: the statement of each that did not match.
    pub missed: Vec<Statement>,
    /// The element that it found for the packet; the last one, if it looked several up.
    pub matched: Option<Matched>,
    /// What it did to the packet.
    pub outcome: Outcome,
    /// If it went on in a chain in which no rule matched: the statements that did not.
    pub dead_end: Option<Vec<Statement>>,
}

impl Step {
    /// A step that somebody else saw: that a packet matched a rule, and what that did to it.
    pub fn seen(
        chain: ChainId,
        position: usize,
        rule: Rule,
        packet: &Packet,
        outcome: Outcome,
    ) -> Self {
        Self {
            choices: 0,
            family: Family::of(packet.destination),
            point: HookPoint::Prerouting,
            chain,
            position,
            rule,
            missed: Vec::new(),
            matched: None,
            outcome,
            dead_end: None,
        }
    }

    /// What it says of the packet and does to it, in words; of an endpoint that was chosen at random
    /// only whether it is one of several if `which` is false.
    pub fn words(&self, packet: &Packet, which: bool) -> String {
        let detail = match which {
            true => words::Detail::Exact,
            false => words::Detail::OneOf(1),
        };
        words::step(self, packet, detail)
    }

    /// The rule as nft lists it.
    pub fn rule_text(&self) -> String {
        print::rule(&self.rule, self.family)
    }
}

/// An element that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// In which set or map.
    pub set: SetId,
    /// The element.
    pub element: Element,
}

/// What a rule did to a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on to the next rule, perhaps with a mark.
    Continue,
    /// It goes on in another chain, for good.
    Goto(ChainId),
    /// It goes on in another chain and comes back at its end.
    Jump(ChainId),
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
    /// The hooks that it passes, in order; like the next two as `steps` only if they were asked for.
    pub hooks: Vec<HookPoint>,
    /// Every chain that looked at it, whether or not a rule of it matched.
    pub visited: BTreeSet<ChainId>,
    /// What was looked up, found or not.
    pub lookups: Vec<(SetId, Key)>,
    /// How many random choices lead there.
    pub choices: usize,
    /// How likely it is, from 0 to 1; of all ways together it is 1. With a hash in the place of a
    /// random choice, it is the share of clients.
    pub probability: f64,
    /// Endpoints that remember the client from now on (session affinity).
    pub remembered: Vec<AffinitySet>,
    /// What becomes of the packet.
    pub end: End,
}

/// Every way that a packet may go. Shown one step a line; after a
/// random choice, each way is indented below what they have in common.
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
}

/// Sends packets through one family's table.
#[derive(Clone, Debug)]
pub struct Tracer<'a> {
    table: &'a Table,
    /// The base chains of each hook, in the order in which the kernel calls them.
    hooks: BTreeMap<HookPoint, Vec<&'a Chain>>,
    node_addresses: BTreeSet<IpAddr>,
    remembered: BTreeMap<AffinitySet, BTreeSet<IpAddr>>,
}

impl<'a> Tracer<'a> {
    /// A tracer of `table`, on a node that has `node_addresses` on its
    /// interfaces. Loopback addresses are the node's in any case.
    pub fn new(table: &'a Table, node_addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut hooks: BTreeMap<HookPoint, Vec<&Chain>> = BTreeMap::new();
        for chain in table.chains().values() {
            if let Some(hook) = chain.hook {
                hooks.entry(hook.point).or_default().push(chain);
            }
        }
        for chains in hooks.values_mut() {
            chains.sort_by_key(|chain| chain.hook.map(|hook| hook.priority));
        }
        Self {
            table,
            hooks,
            node_addresses: node_addresses.into_iter().collect(),
            remembered: BTreeMap::new(),
        }
    }

    /// Lets an endpoint remember a client beside those of the table, as an earlier connection would
    /// have.
    pub fn remember(&mut self, endpoint: AffinitySet, client: IpAddr) {
        self.remembered.entry(endpoint).or_default().insert(client);
    }

    /// Every way that `packet` may go, without the steps. Costs a few lookups
    /// for each way.
    pub fn trace(&self, packet: &Packet) -> Trace {
        self.explore(packet, false)
    }

    /// Every way that `packet` may go, with the rules that send it there.
    pub fn explain(&self, packet: &Packet) -> Trace {
        self.explore(packet, true)
    }

    /// Walks again from the start for each way: simpler than to part, and as
    /// a walk is short, fast enough.
    fn explore(&self, packet: &Packet, with_steps: bool) -> Trace {
        let mut choices = Choices::default();
        let mut paths: Vec<Path> = Vec::new();
        loop {
            let path = Walk::new(self, packet, &mut choices, with_steps).go();
            paths.push(path);
            if !choices.advance() {
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

    fn remembers(&self, endpoint: &AffinitySet, client: IpAddr) -> bool {
        let told = self.remembered.get(endpoint);
        let held = self.table.affinity_sets().get(endpoint);
        told.is_some_and(|clients| clients.contains(&client))
            || held.is_some_and(|clients| clients.contains_key(&client))
    }
}

#[cfg(test)]
mod tests;
