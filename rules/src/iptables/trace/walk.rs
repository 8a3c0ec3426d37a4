//! One packet on one way through the chains.

use super::chains::{Line, Place};
use super::{Outcome, Path, Step, Tracer};
use crate::iptables::names::ChainName;
use crate::iptables::rule::{Address, Is, Match, Rule, State, Table, Target};
use crate::trace::{Choices, End, Flight, HookPoint, Hooks, Packet, fly};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::ControlFlow;

/// The kernel refuses chains that go round in a circle, or jump deeper than 16; chains that were read
/// one after the other may look so.
const DEPTH_MAX: usize = 16;
/// So many jumps are followed on one way.
const JUMPS_MAX: usize = 1_000;

/// What a chain, or one that it jumps to, says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Say {
    /// Nothing: its rules are through, or one returned.
    Nothing,
    /// The packet goes on; this table is done with it at this hook.
    Accept,
    Drop,
    Reject,
    /// It is not known: the chain was not read yet.
    Unknown,
}

/// What a walk leaves for whoever explains it.
#[derive(Default)]
struct Record {
    steps: Vec<Step>,
    hooks: Vec<HookPoint>,
}

pub(super) struct Walk<'a, 'c> {
    tracer: &'a Tracer<'a>,
    choices: &'c mut Choices,
    flight: Flight<'a>,
    remembered: Vec<ChainName>,
    visited: BTreeSet<Place>,
    record: Option<Record>,
    jumps: usize,
}

/// The tables with a built-in chain at a hook, in the order in which the kernel calls them, and the
/// chain's name.
fn built_in(point: HookPoint) -> (&'static [Table], ChainName) {
    const INPUT: ChainName = ChainName::fixed("INPUT");
    const FORWARD: ChainName = ChainName::fixed("FORWARD");
    const OUTPUT: ChainName = ChainName::fixed("OUTPUT");
    const PREROUTING: ChainName = ChainName::fixed("PREROUTING");
    const POSTROUTING: ChainName = ChainName::fixed("POSTROUTING");
    match point {
        HookPoint::Prerouting => (&[Table::Nat], PREROUTING),
        HookPoint::Input => (&[Table::Filter, Table::Nat], INPUT),
        HookPoint::Forward => (&[Table::Filter], FORWARD),
        HookPoint::Output => (&[Table::Nat, Table::Filter], OUTPUT),
        HookPoint::Postrouting => (&[Table::Nat], POSTROUTING),
    }
}

impl<'a> Hooks<'a> for Walk<'a, '_> {
    fn flight(&mut self) -> &mut Flight<'a> {
        &mut self.flight
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.tracer.is_local(address)
    }

    fn pass(&mut self) -> ControlFlow<End> {
        let point = self.flight.point;
        if let Some(record) = &mut self.record {
            record.hooks.push(point);
        }
        let (tables, chain) = built_in(point);
        for table in tables {
            if *table == Table::Nat && self.flight.is_decided() {
                continue;
            }
            match self.run((*table, chain), 0) {
                Say::Nothing | Say::Accept => {}
                // Whoever reads chains as packets come by asks again when he has this one.
                Say::Drop | Say::Unknown => return ControlFlow::Break(End::Dropped),
                Say::Reject => return ControlFlow::Break(End::Rejected),
            }
        }
        ControlFlow::Continue(())
    }
}

impl<'a, 'c> Walk<'a, 'c> {
    pub(super) fn new(
        tracer: &'a Tracer<'a>,
        packet: &'a Packet,
        choices: &'c mut Choices,
        with_steps: bool,
    ) -> Self {
        Self {
            tracer,
            choices,
            flight: Flight::new(packet),
            remembered: Vec::new(),
            visited: BTreeSet::new(),
            record: with_steps.then(Record::default),
            jumps: 0,
        }
    }

    pub(super) fn go(mut self) -> Path {
        let end = fly(&mut self);
        let Record { steps, hooks } = self.record.unwrap_or_default();
        Path {
            steps,
            hooks,
            visited: self.visited,
            choices: self.choices.made(),
            probability: self.choices.probability(),
            remembered: self.remembered,
            end,
        }
    }

    /// Runs a chain and those that it jumps to.
    fn run(&mut self, place: Place, depth: usize) -> Say {
        self.visited.insert(place);
        if depth > 0 && self.tracer.chains.get(&place).is_none() {
            return Say::Unknown;
        }
        let destination = self.flight.destination;
        let lines = self.tracer.chains.lines_to(&place, destination);
        let mut missed = Vec::new();
        let steps = self.step_count();
        let mut at = 0;
        while let Some((mut position, mut line)) = lines.get(at).copied() {
            let draw = self.tracer.chains.draw(&place, position);
            if let Some(count) = draw {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                at += self.choices.choose(count) as usize;
                (position, line) = lines[at];
            }
            at += 1;
            let Line::Rule(rule) = line else {
                continue;
            };
            if draw.is_none()
                && let Some(why) = self.first_missed(rule)
            {
                if self.record.is_some() && is_telling(why) {
                    missed.push(why.clone());
                }
                continue;
            }
            let choices = self.choices.made();
            let outcome = self.act(rule);
            if let Some(record) = &mut self.record {
                record.steps.push(Step {
                    choices,
                    family: self.tracer.chains.family,
                    point: self.flight.point,
                    table: place.0,
                    chain: place.1,
                    position,
                    rule: rule.clone(),
                    missed: std::mem::take(&mut missed),
                    outcome,
                    dead_end: None,
                });
            }
            match outcome {
                Outcome::Continue => {}
                Outcome::Return => return Say::Nothing,
                Outcome::Accept | Outcome::Translate(_) | Outcome::Masquerade => {
                    return Say::Accept;
                }
                Outcome::Drop => return Say::Drop,
                Outcome::Reject => return Say::Reject,
                Outcome::Jump(chain) => {
                    let said = self.jump((place.0, chain), depth);
                    if said != Say::Nothing {
                        return said;
                    }
                }
            }
        }
        if place.1.is_of_service()
            && self.step_count() == steps
            && let Some(last) = self.record.as_mut().and_then(|own| own.steps.last_mut())
        {
            last.dead_end = Some(missed);
        }
        Say::Nothing
    }

    /// Runs a chain and comes back. A jump to where nothing matched is no step, but to what belongs to
    /// a Service, where it means something.
    fn jump(&mut self, to: Place, depth: usize) -> Say {
        self.jumps += 1;
        if depth == DEPTH_MAX || self.jumps > JUMPS_MAX {
            return Say::Nothing;
        }
        let steps = self.step_count();
        let said = self.run(to, depth + 1);
        if let Some(record) = &mut self.record
            && record.steps.len() == steps
            && !to.1.is_of_service()
        {
            record.steps.pop();
        }
        said
    }

    fn step_count(&self) -> usize {
        self.record.as_ref().map_or(0, |record| record.steps.len())
    }

    /// The first match that does not; addresses, interfaces and protocols are looked at first, as the
    /// kernel does.
    fn first_missed<'r>(&mut self, rule: &'r Rule) -> Option<&'r Match> {
        let of_packet = |own: &Match| {
            matches!(
                own,
                Match::Source(..)
                    | Match::Destination(..)
                    | Match::Interface { .. }
                    | Match::Protocol(_)
            )
        };
        for is_first in [true, false] {
            for own in rule.matches.iter().filter(|own| of_packet(own) == is_first) {
                if !self.matches(own) {
                    return Some(own);
                }
            }
        }
        None
    }

    fn matches(&mut self, own: &Match) -> bool {
        let flight = &self.flight;
        let is_in = |address: IpAddr, range: &Address| match range {
            Address::One(own) => *own == address,
            Address::Range(own) => own.contains(&address),
        };
        match own {
            Match::Comment(_) | Match::Count(_) => true,
            Match::Protocol(protocol) => *protocol == flight.protocol,
            Match::Port(port) => *port == flight.port,
            Match::Source(is, range) => is.so(is_in(flight.source, range)),
            Match::Destination(is, range) => is.so(is_in(flight.destination, range)),
            Match::Interface { is, name, wildcard } => is.so(flight.came_by(name, *wildcard)),
            Match::SourceIsLocal => self.tracer.is_local(flight.source),
            Match::DestinationIsLocal => self.tracer.is_local(flight.destination),
            Match::Mark(is, mark) => is.so(flight.mark & mark == *mark),
            Match::State(is, states) => is.so(states.iter().any(|state| match state {
                // Only first packets are traced.
                State::New => true,
                State::Dnat => flight.translated,
                State::Invalid | State::Established | State::Related => false,
            })),
            Match::OneOf(count) => {
                let count = u32::try_from(*count).unwrap_or(u32::MAX);
                self.choices.one_in(count)
            }
            Match::SeenAt(chain, _) => self.tracer.remembers(*chain, flight.source),
            Match::Remember(chain) => {
                self.remembered.push(*chain);
                true
            }
        }
    }

    /// What a rule does that matched.
    fn act(&mut self, rule: &Rule) -> Outcome {
        match &rule.target {
            None => Outcome::Continue,
            Some(Target::Jump(chain)) => Outcome::Jump(*chain),
            Some(Target::Accept) => Outcome::Accept,
            Some(Target::Drop) => Outcome::Drop,
            Some(Target::Return) => Outcome::Return,
            Some(Target::Reject) => Outcome::Reject,
            Some(Target::MarkOr(mark)) => {
                self.flight.mark |= mark;
                Outcome::Continue
            }
            Some(Target::MarkXor(mark)) => {
                self.flight.mark ^= mark;
                Outcome::Continue
            }
            Some(Target::Masquerade) => {
                self.flight.masquerade();
                Outcome::Masquerade
            }
            Some(Target::Dnat(endpoint)) => {
                self.flight.translate(*endpoint);
                Outcome::Translate(*endpoint)
            }
        }
    }
}

impl Is {
    fn so(self, matches: bool) -> bool {
        matches == (self == Self::So)
    }
}

/// Whether it says something of the packet that it did not match.
fn is_telling(own: &Match) -> bool {
    matches!(
        own,
        Match::Source(..)
            | Match::Interface { .. }
            | Match::SourceIsLocal
            | Match::SeenAt(..)
            | Match::Mark(..)
    )
}
