//! The ways of a trace for whoever wants the whole at once: those that differ by a random choice
//! alone are one, and their endpoints are listed with how likely each is.

use super::show::hook;
use super::words::{self, Detail};
use super::{End, Outcome, Packet, Path, Step, Trace, Tracer};
use crate::model::EndpointAddr;
use crate::nft::print;
use crate::nft::ruleset::{ChainId, HookPoint, PortRole, SetId, Statement};
use std::fmt;
use std::sync::Arc;

/// What becomes of a packet, without where exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// It goes to an endpoint.
    Delivered,
    /// It is answered with ICMP port unreachable.
    Rejected,
    /// It is discarded.
    Dropped,
    /// It is for the node itself, untranslated.
    Local,
    /// It goes onwards, untranslated.
    Routed,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Dropped => "dropped",
            Self::Local => "local",
            Self::Routed => "routed",
        })
    }
}

/// An endpoint, and how likely it is, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The endpoint.
    pub endpoint: EndpointAddr,
    /// Of all that may become of the packet, not of its way alone.
    pub probability: f64,
}

/// One rule that decided something, as a reader wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The hook, as nft names it.
    pub hook: &'static str,
    /// The base chain by which the packet came.
    pub base: Option<String>,
    /// The chain with the rule, with `*` for which endpoint it is of if there are several; `None`
    /// where no rule of a hook decided anything.
    pub chain: Option<String>,
    /// The rule's place in the chain, from 0.
    pub position: usize,
    /// The rule as nft lists it.
    pub rule: String,
    /// What it says of the packet and does to it.
    pub words: String,
    /// The element that it found: in which set, and as nft lists it.
    pub element: Option<(SetId, String)>,
}

/// Ways that differ by a random choice alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// How likely it is, from 0 to 1.
    pub probability: f64,
    /// What becomes of the packet.
    pub fate: Fate,
    /// It gets the node's address as its source.
    pub masquerade: bool,
    /// The Service port that the packet is for, `namespace/name:port`, as the table's comments tell.
    pub service: Option<Arc<str>>,
    /// For those that are delivered, in the order of the choices.
    pub endpoints: Vec<Share>,
    /// What decided.
    pub decisions: Vec<Decision>,
    /// An endpoint remembered the client before.
    pub was_remembered: bool,
    /// The endpoint remembers the client from now on.
    pub remembers: bool,
}

impl Tracer<'_> {
    /// The ways of a trace that this tracer [explained](Self::explain), the likeliest first.
    pub fn ways(&self, trace: &Trace) -> Vec<Way> {
        let mut groups: Vec<(Shape<'_>, Vec<&Path>)> = Vec::new();
        for path in &trace.paths {
            let shape = Shape::of(path);
            match groups.iter_mut().find(|(known, _)| *known == shape) {
                Some((_, members)) => members.push(path),
                None => groups.push((shape, vec![path])),
            }
        }
        let mut ways: Vec<Way> = groups
            .iter()
            .filter_map(|(_, members)| self.way(&trace.packet, members))
            .collect();
        ways.sort_by(|left, right| right.probability.total_cmp(&left.probability));
        ways
    }

    fn way(&self, packet: &Packet, members: &[&Path]) -> Option<Way> {
        let first = *members.first()?;
        let (fate, masquerade) = match first.end {
            End::Endpoint { masquerade, .. } => (Fate::Delivered, masquerade),
            End::Untranslated { masquerade } if self.is_local(packet.destination) => {
                (Fate::Local, masquerade)
            }
            End::Untranslated { masquerade } => (Fate::Routed, masquerade),
            End::Rejected => (Fate::Rejected, false),
            End::Dropped => (Fate::Dropped, false),
        };
        let mut endpoints: Vec<Share> = Vec::new();
        for path in members {
            let End::Endpoint { backend, .. } = path.end else {
                continue;
            };
            match endpoints.iter_mut().find(|own| own.endpoint == backend) {
                Some(own) => own.probability += path.probability,
                None => endpoints.push(Share {
                    endpoint: backend,
                    probability: path.probability,
                }),
            }
        }
        let is_known = |step: &Step| {
            let mut statements = step.rule.statements.iter();
            statements.any(|statement| matches!(statement, Statement::InAffinity(_)))
        };
        Some(Way {
            probability: members.iter().map(|path| path.probability).sum(),
            fate,
            masquerade,
            decisions: decisions(packet, first, members.len()),
            service: first.steps.iter().find_map(service),
            endpoints,
            was_remembered: first.steps.iter().any(is_known),
            remembers: !first.remembered.is_empty(),
        })
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
            | SetId::SourceChecked
    );
    matched.element.comment.clone().filter(|_| is_frontend)
}

/// What ways have in common that differ by a random choice alone.
#[derive(PartialEq)]
struct Shape<'a> {
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
        let masquerade = match path.end {
            End::Endpoint { masquerade, .. } | End::Untranslated { masquerade } => masquerade,
            End::Rejected | End::Dropped => false,
        };
        Self {
            steps: parts.collect(),
            hooks: &path.hooks,
            end: (std::mem::discriminant(&path.end), masquerade),
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
            all.push(undecided(*point, path, packet));
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
        hook: hook(step.point),
        base,
        chain: Some(chain),
        position: step.position,
        rule: step.rule_text(),
        words: words::step(step, packet, detail),
        element: matched.map(|matched| (matched.set, print::element(&matched.element))),
    }
}

/// A hook in which no rule decided anything.
fn undecided(point: HookPoint, path: &Path, packet: &Packet) -> Decision {
    let masquerades = matches!(
        path.end,
        End::Endpoint {
            masquerade: true,
            ..
        } | End::Untranslated { masquerade: true }
    );
    let words = match point {
        HookPoint::Postrouting if !masquerades => {
            format!("no mark → source stays {}", packet.source)
        }
        _ => "no rule matches".to_owned(),
    };
    Decision {
        hook: hook(point),
        base: None,
        chain: None,
        position: 0,
        rule: String::new(),
        words,
        element: None,
    }
}
