//! One packet on one way through the hooks.

use super::{Choices, End, Matched, Outcome, Packet, Path, Step, Tracer};
use crate::model::Family;
use crate::nft::ruleset::{
    AffinitySet, Chain, ChainId, HookKind, HookPoint, Key, Rule, SetId, Statement,
};
use crate::trace::{Flight, Hooks, fly};
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
    pub(super) flight: Flight<'a>,
    pub(super) remembered: Vec<AffinitySet>,
    pub(super) record: Option<Record>,
    hops: usize,
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
        let chains = self.tracer.hooks.get(&point);
        for chain in chains.into_iter().flatten() {
            if self.is_nat(chain) && self.flight.is_decided() {
                continue;
            }
            match self.run(chain) {
                Say::Nothing | Say::Accept => {}
                Say::Drop => return ControlFlow::Break(End::Dropped),
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
            record: with_steps.then(Record::default),
            hops: 0,
        }
    }

    pub(super) fn go(mut self) -> Path {
        let end = fly(&mut self);
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

    fn is_nat(&self, chain: &Chain) -> bool {
        chain.hook.is_some_and(|hook| hook.kind == HookKind::Nat)
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
            family: Family::of(self.flight.destination),
            point: self.flight.point,
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
                    false => Outcome::Translate(self.flight.to()),
                }
            }
        }
    }
}
