//! What this table's walks have in common, and what decided on each.

use super::words::{self, Detail};
use super::{Outcome, Path, Step, Trace, Tracer};
use crate::nft::print;
use crate::nft::ruleset::{ChainId, HookPoint, PortRole, SetId, Statement};
use crate::trace::{self, Decision, End, Ends, Follow, Packet, Walked, Way, undecided};
use std::sync::Arc;

impl Tracer<'_> {
    /// The ways of a trace that this tracer [explained](Self::explain), the likeliest first.
    pub fn ways(&self, trace: &Trace) -> Vec<Way> {
        let is_local = self.is_local(trace.packet.destination);
        trace::ways(&trace.packet, &trace.paths, is_local)
    }
}

impl Follow for Tracer<'_> {
    fn ends(&self, packet: &Packet) -> Ends {
        let mut ends = Ends::new();
        for path in self.trace(packet).paths {
            *ends.entry(path.end).or_insert(0.0) += path.probability;
        }
        ends
    }
}

impl Walked for Path {
    type Shape<'a> = Shape<'a>;

    fn shape(&self) -> Shape<'_> {
        Shape::of(self)
    }

    fn end(&self) -> End {
        self.end
    }

    fn probability(&self) -> f64 {
        self.probability
    }

    fn decisions(&self, packet: &Packet, count: usize) -> Vec<Decision> {
        decisions(packet, self, count)
    }

    fn service(&self) -> Option<Arc<str>> {
        self.steps.iter().find_map(service)
    }

    fn was_remembered(&self) -> bool {
        let statements = self.steps.iter().flat_map(|step| &step.rule.statements);
        { statements }.any(|statement| matches!(statement, Statement::InAffinity(_)))
    }

    fn remembers(&self) -> bool {
        !self.remembered.is_empty()
    }
}

/// The Service port whose element a step found.
fn service(step: &Step) -> Option<Arc<str>> {
    let matched = step.matched.as_ref()?;
    let is_frontend = matches!(
        matched.set,
        SetId::Services
            | SetId::Nodeports
            | SetId::NoEndpoints
            | SetId::NodeportNoEndpoints
            | SetId::LocalhostNodeports
            | SetId::SourceChecked
    );
    matched.element.comment.clone().filter(|_| is_frontend)
}

/// What ways have in common that differ by a random choice alone.
#[derive(PartialEq)]
pub(crate) struct Shape<'a> {
    steps: Vec<Part<'a>>,
    hooks: &'a [HookPoint],
    /// Without which endpoint it is.
    end: (std::mem::Discriminant<End>, bool),
}

#[derive(PartialEq)]
enum Part<'a> {
    /// Where it was chosen.
    Choice(HookPoint, &'a ChainId),
    /// In a chain that the chosen endpoint has for itself.
    Endpoint(HookPoint),
    Step(HookPoint, &'a ChainId, usize),
}

impl<'a> Shape<'a> {
    fn of(path: &'a Path) -> Self {
        let mut before = 0;
        let parts = path.steps.iter().map(|step| {
            let is_chosen = choices_after(step) > before;
            before = choices_after(step);
            match &step.chain {
                chain if is_chosen => Part::Choice(step.point, chain),
                ChainId::Port(own) if matches!(own.role, PortRole::Endpoint(_)) => {
                    Part::Endpoint(step.point)
                }
                chain => Part::Step(step.point, chain, step.position),
            }
        });
        Self {
            steps: parts.collect(),
            hooks: &path.hooks,
            end: (std::mem::discriminant(&path.end), path.end.masquerades()),
        }
    }
}

/// How many random choices there were when a step was done. What did not match made some, too.
fn choices_after(step: &Step) -> usize {
    let chooses = |statement: &Statement| match statement {
        Statement::OneIn(count)
        | Statement::Dnat { modulus: count, .. }
        | Statement::DnatListed { count, .. } => *count > 1,
        _ => false,
    };
    step.choices + usize::from(step.rule.statements.iter().any(chooses))
}

/// What decided on a way of which there are `count`.
fn decisions(packet: &Packet, path: &Path, count: usize) -> Vec<Decision> {
    let mut all: Vec<Decision> = Vec::new();
    let mut base = None;
    let mut before = 0;
    for point in &path.hooks {
        let here = all.len();
        for step in path.steps.iter().filter(|step| step.point == *point) {
            let is_chosen = choices_after(step) > before;
            before = choices_after(step);
            let jumps = matches!(step.outcome, Outcome::Jump(_));
            if jumps && step.missed.is_empty() {
                base = Some(step.chain.to_string());
                continue;
            }
            let detail = match &step.chain {
                _ if count == 1 => Detail::Exact,
                _ if is_chosen => Detail::OneOf(count),
                ChainId::Port(own) if matches!(own.role, PortRole::Endpoint(_)) => Detail::Chosen,
                _ => Detail::Exact,
            };
            all.push(decision(step, packet, base.clone(), detail));
        }
        if all.len() == here {
            all.push(undecided(*point, path.end, packet));
        }
        base = None;
    }
    all
}

fn decision(step: &Step, packet: &Packet, base: Option<String>, detail: Detail) -> Decision {
    let matched = (step.matched.as_ref()).filter(|_| detail == Detail::Exact);
    let chain = step.chain.to_string();
    let chain = match (detail, chain.rsplit_once("__")) {
        (Detail::Chosen, Some((port, _))) => format!("{port}__*"),
        _ => chain,
    };
    Decision {
        hook: step.point.name(),
        base,
        chain: Some(chain),
        position: step.position,
        rule: step.rule_text(),
        words: words::step(step, packet, detail),
        element: matched.map(|matched| (matched.set.name(), print::element(&matched.element))),
        unserved: matched.is_some_and(|matched| {
            matches!(matched.set, SetId::NoEndpoints | SetId::NodeportNoEndpoints)
        }),
    }
}
