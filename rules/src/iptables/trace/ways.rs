//! What walks through chains have in common, and what decided on each.

use super::words::{self, Detail};
use super::{Outcome, Path, Step, Trace, Tracer};
use crate::iptables::names::ChainName;
use crate::iptables::rule::{Match, Table, Target};
use crate::iptables::setup;
use crate::iptables::top::{EXTERNAL_SERVICES, MARK_MASQ, SERVICES};
use crate::trace::{self, Decision, End, Ends, Follow, HookPoint, Packet, Walked, Way, undecided};
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
        self.steps.iter().find_map(words::service).map(Arc::from)
    }

    fn was_remembered(&self) -> bool {
        let matches = self.steps.iter().flat_map(|step| &step.rule.matches);
        { matches }.any(|own| matches!(own, Match::SeenAt(..)))
    }

    fn remembers(&self) -> bool {
        !self.remembered.is_empty()
    }
}

/// What ways have in common that differ by a random choice alone.
#[derive(PartialEq)]
pub(crate) struct Shape<'a> {
    steps: Vec<Part>,
    hooks: &'a [HookPoint],
    /// Without which endpoint it is.
    end: (std::mem::Discriminant<End>, bool),
}

#[derive(PartialEq)]
enum Part {
    /// Where it was chosen.
    Choice(HookPoint, ChainName),
    /// In a chain that the chosen endpoint has for itself.
    Endpoint(HookPoint, usize),
    Step(HookPoint, Table, ChainName, usize),
}

impl<'a> Shape<'a> {
    fn of(path: &'a Path) -> Self {
        let mut before = 0;
        let parts = path.steps.iter().map(|step| {
            let is_chosen = step.choices > before;
            before = step.choices;
            match step.chain {
                chain if is_chosen => Part::Choice(step.point, chain),
                chain if chain.is_of_endpoint() => Part::Endpoint(step.point, step.position),
                chain => Part::Step(step.point, step.table, chain, step.position),
            }
        });
        Self {
            steps: parts.collect(),
            hooks: &path.hooks,
            end: (std::mem::discriminant(&path.end), path.end.masquerades()),
        }
    }
}

/// What decided on a way of which there are `count`.
fn decisions(packet: &Packet, path: &Path, count: usize) -> Vec<Decision> {
    let mut all: Vec<Decision> = Vec::new();
    let mut base = None;
    let mut before = 0;
    for point in &path.hooks {
        let here = all.len();
        let mut steps = path
            .steps
            .iter()
            .filter(|step| step.point == *point)
            .peekable();
        while let Some(step) = steps.next() {
            let is_chosen = step.choices > before;
            before = step.choices;
            if is_from_built_in(step) {
                base = Some(format!("{} {}", step.table.name(), step.chain));
                continue;
            }
            let detail = match step.chain {
                _ if count == 1 => Detail::Exact,
                _ if is_chosen => Detail::OneOf(count),
                chain if chain.is_of_endpoint() => Detail::Chosen,
                _ => Detail::Exact,
            };
            let mut own = decision(step, packet, base.clone(), detail);
            // A chain that only marks is told with the jump to it.
            if step.outcome == Outcome::Jump(MARK_MASQ)
                && let Some(next) = steps.next_if(|next| next.chain == MARK_MASQ)
                && let Some(Target::MarkOr(mark)) = next.rule.target
            {
                let jump = format!("→ {MARK_MASQ}");
                own.words = own
                    .words
                    .replace(&jump, &format!("→ mark {mark:#x} for masquerade"));
            }
            all.push(own);
        }
        if all.len() == here {
            all.push(undecided(*point, path.end, packet));
        }
        base = None;
    }
    all
}

/// It only leads from a built-in chain to one of ours.
fn is_from_built_in(step: &Step) -> bool {
    let mut jumps = setup::jumps().into_iter();
    jumps.any(|jump| (jump.table, jump.from) == (step.table, step.chain))
}

fn decision(step: &Step, packet: &Packet, base: Option<String>, detail: Detail) -> Decision {
    let chain = match detail {
        Detail::Chosen => format!("{}*", ChainName::ENDPOINT),
        _ => step.chain.to_string(),
    };
    let is_end = matches!(step.outcome, Outcome::Reject | Outcome::Drop);
    Decision {
        hook: step.point.name(),
        base,
        chain: Some(chain),
        position: step.position,
        rule: step.rule_text(),
        words: words::step(step, packet, detail),
        element: None,
        unserved: is_end && [SERVICES, EXTERNAL_SERVICES].contains(&step.chain),
    }
}
