//! One packet on one way through the hooks.

use super::{Choices, End, Matched, Origin, Outcome, Packet, Path, Step, Tracer};
use crate::model::{EndpointAddr, Family, Protocol};
use crate::nft::ruleset::{
    AffinitySet, Chain, ChainId, HookKind, HookPoint, Key, Rule, SetId, Statement,
};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::ControlFlow;

/// The kernel refuses tables in which chains go round in a circle, or jump
/// deeper than 16; so this is never reached with a table of its own.
const HOPS_MAX: usize = 64;

/// What a base chain, or a chain that it goes to, says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// Nothing: its rules are through.
    Nothing,
    /// The packet goes on; this base chain is done with it.
    Accept,
    /// `drop`.
    Drop,
    /// `reject`.
    Reject,
}

/// Where the walk goes after a rule.
pub(super) enum After<'a> {
    /// To the next rule.
    Next,
    /// To another chain, for good.
    Goto(&'a ChainId),
    /// To another chain, and back.
    Jump(&'a ChainId),
    /// Out of the base chain.
    Done(Say),
}

/// What a walk leaves for whoever explains it.
#[derive(Default)]
pub(super) struct Record {
    steps: Vec<Step>,
    hooks: Vec<HookPoint>,
    visited: BTreeSet<ChainId>,
    pub(super) lookups: Vec<(SetId, Key)>,
}

pub(super) struct Walk<'a, 'c> {
    pub(super) tracer: &'a Tracer<'a>,
    pub(super) choices: &'c mut Choices,
    origin: &'a Origin,
    pub(super) input: Option<&'a str>,
    pub(super) protocol: Protocol,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) port: u16,
    pub(super) mark: u32,
    /// `ct status dnat`.
    pub(super) translated: bool,
    pub(super) masquerade: bool,
    /// A connection's destination and source are decided once; after that nat
    /// chains are not called for it.
    pub(super) destination_decided: bool,
    pub(super) source_decided: bool,
    pub(super) remembered: Vec<AffinitySet>,
    pub(super) record: Option<Record>,
    point: HookPoint,
    hops: usize,
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
            origin: &packet.origin,
            input: match &packet.origin {
                Origin::Node => None,
                Origin::Interface(name) => Some(name),
            },
            protocol: packet.protocol,
            source: packet.source,
            destination: packet.destination,
            port: packet.port,
            mark: 0,
            translated: false,
            masquerade: false,
            destination_decided: false,
            source_decided: false,
            remembered: Vec::new(),
            record: with_steps.then(Record::default),
            point: HookPoint::Prerouting,
            hops: 0,
        }
    }

    pub(super) fn go(mut self) -> Path {
        let end = match self.hooks() {
            ControlFlow::Break(end) => end,
            ControlFlow::Continue(()) if self.translated => End::Endpoint {
                backend: EndpointAddr {
                    address: self.destination,
                    port: self.port,
                },
                masquerade: self.masquerade,
            },
            ControlFlow::Continue(()) => End::Untranslated {
                masquerade: self.masquerade,
            },
        };
        let Record {
            steps,
            hooks,
            visited,
            lookups,
        } = self.record.unwrap_or_default();
        Path {
            steps,
            hooks,
            visited,
            lookups,
            choices: self.choices.made(),
            probability: self.choices.probability(),
            remembered: self.remembered,
            end,
        }
    }

    /// The way through the hooks, routed by the destination of the moment.
    fn hooks(&mut self) -> ControlFlow<End> {
        use HookPoint::{Forward, Input, Output, Postrouting, Prerouting};
        match self.origin {
            Origin::Interface(_) => {
                self.hook(Prerouting)?;
                if self.tracer.is_local(self.destination) {
                    return self.hook(Input);
                }
                self.hook(Forward)?;
                self.hook(Postrouting)
            }
            Origin::Node => {
                self.hook(Output)?;
                self.hook(Postrouting)?;
                if self.tracer.is_local(self.destination) {
                    // What a node sends to itself comes in again.
                    self.input = Some("lo");
                    self.hook(Prerouting)?;
                    self.hook(Input)?;
                }
                ControlFlow::Continue(())
            }
        }
    }

    fn hook(&mut self, point: HookPoint) -> ControlFlow<End> {
        self.point = point;
        if let Some(record) = &mut self.record {
            record.hooks.push(point);
        }
        let chains = self.tracer.hooks.get(&point);
        for chain in chains.into_iter().flatten() {
            if self.is_nat(chain) && self.is_decided() {
                continue;
            }
            match self.run(chain) {
                Say::Nothing | Say::Accept => {}
                Say::Drop => return ControlFlow::Break(End::Dropped),
                Say::Reject => return ControlFlow::Break(End::Rejected),
            }
        }
        match point {
            HookPoint::Prerouting | HookPoint::Output => self.destination_decided = true,
            HookPoint::Postrouting => self.source_decided = true,
            HookPoint::Input | HookPoint::Forward => {}
        }
        ControlFlow::Continue(())
    }

    fn is_nat(&self, chain: &Chain) -> bool {
        chain.hook.is_some_and(|hook| hook.kind == HookKind::Nat)
    }

    fn is_decided(&self) -> bool {
        match self.point {
            HookPoint::Postrouting | HookPoint::Input => self.source_decided,
            _ => self.destination_decided,
        }
    }

    /// Runs a chain, and those that it goes on to, until they are through.
    fn run(&mut self, mut chain: &'a Chain) -> Say {
        let mut gone_to = None;
        'chain: loop {
            self.hops += 1;
            if self.hops > HOPS_MAX {
                return Say::Nothing;
            }
            if let Some(record) = &mut self.record {
                record.visited.insert(chain.id.clone());
            }
            let mut missed = Vec::new();
            for (position, rule) in chain.rules.iter().enumerate() {
                match self.rule(chain, position, rule, &mut missed) {
                    After::Next => {}
                    After::Done(say) => return say,
                    After::Goto(next) => match self.tracer.table.chains().get(next) {
                        Some(next) => {
                            chain = next;
                            gone_to = Some(self.step_count());
                            continue 'chain;
                        }
                        None => return Say::Nothing,
                    },
                    After::Jump(next) => {
                        let said = self.jump(next);
                        if said != Say::Nothing {
                            return said;
                        }
                    }
                }
            }
            if gone_to == Some(self.step_count())
                && let Some(last) = self.record.as_mut().and_then(|own| own.steps.last_mut())
            {
                last.dead_end = Some(missed);
            }
            return Say::Nothing;
        }
    }

    fn step_count(&self) -> usize {
        self.record.as_ref().map_or(0, |record| record.steps.len())
    }

    /// Runs a chain and comes back. A jump to where nothing matched is no step.
    fn jump(&mut self, to: &ChainId) -> Say {
        let steps = self.step_count();
        let next = self.tracer.table.chains().get(to);
        let said = next.map_or(Say::Nothing, |next| self.run(next));
        if let Some(record) = &mut self.record
            && record.steps.len() == steps
        {
            record.steps.pop();
        }
        said
    }

    /// Runs a rule up to the first statement that does not match. That one is added to what was
    /// `missed` in the chain, which the next rule that matches takes along.
    fn rule(
        &mut self,
        chain: &'a Chain,
        position: usize,
        rule: &'a Rule,
        missed: &mut Vec<Statement>,
    ) -> After<'a> {
        let choices = self.choices.made();
        let mut found = None;
        let mut after = After::Next;
        for statement in &rule.statements {
            match self.statement(statement, &mut found) {
                None => {
                    if self.record.is_some() {
                        missed.push(statement.clone());
                    }
                    return After::Next;
                }
                Some(After::Next) => {}
                Some(other) => {
                    after = other;
                    break;
                }
            }
        }
        if self.record.is_none() {
            return after;
        }
        let step = Step {
            choices,
            family: Family::of(self.destination),
            point: self.point,
            chain: chain.id.clone(),
            position,
            rule: rule.clone(),
            missed: std::mem::take(missed),
            matched: found.map(|(set, element)| Matched {
                set,
                element: element.clone(),
            }),
            outcome: self.outcome(&after, rule),
            dead_end: None,
        };
        self.record.get_or_insert_default().steps.push(step);
        after
    }

    /// What a rule that was gone through did to the packet.
    fn outcome(&self, after: &After<'_>, rule: &Rule) -> Outcome {
        match after {
            After::Next => Outcome::Continue,
            After::Goto(chain) => Outcome::Goto((*chain).clone()),
            After::Jump(chain) => Outcome::Jump((*chain).clone()),
            After::Done(Say::Drop) => Outcome::Drop,
            After::Done(Say::Reject) => Outcome::Reject,
            After::Done(Say::Nothing | Say::Accept) => {
                match rule.statements.contains(&Statement::Masquerade) {
                    true => Outcome::Masquerade,
                    false => Outcome::Translate(EndpointAddr {
                        address: self.destination,
                        port: self.port,
                    }),
                }
            }
        }
    }
}
