//! The ways of a trace for whoever wants the whole at once: those that differ by a random choice
//! alone are one, and their endpoints are listed with how likely each is.

use super::{End, HookPoint, Packet};
use crate::model::EndpointAddr;
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
    /// The rule as nft or iptables-save tells it.
    pub rule: String,
    /// What it says of the packet and does to it.
    pub words: String,
    /// The element that it found: in which set, and as nft lists it. Chains of iptables have none.
    pub element: Option<(&'static str, String)>,
    /// It ends what nobody serves.
    pub unserved: bool,
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
    /// The Service port that the packet is for, `namespace/name:port`, as the rules' comments tell.
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

/// One way that was walked, with what it met.
pub(crate) trait Walked {
    /// What ways have in common that differ by a random choice alone.
    type Shape<'a>: PartialEq
    where
        Self: 'a;

    /// Its shape.
    fn shape(&self) -> Self::Shape<'_>;

    /// What becomes of the packet.
    fn end(&self) -> End;

    /// How likely it is, from 0 to 1.
    fn probability(&self) -> f64;

    /// What decided, if `count` ways have this shape.
    fn decisions(&self, packet: &Packet, count: usize) -> Vec<Decision>;

    /// The Service port that the packet is for.
    fn service(&self) -> Option<Arc<str>>;

    /// An endpoint remembered the client before.
    fn was_remembered(&self) -> bool;

    /// The endpoint remembers the client from now on.
    fn remembers(&self) -> bool;
}

/// What walks come to, the likeliest first.
pub(crate) fn ways<W: Walked>(packet: &Packet, walks: &[W], is_local: bool) -> Vec<Way> {
    let mut groups: Vec<(W::Shape<'_>, Vec<&W>)> = Vec::new();
    for walk in walks {
        let shape = walk.shape();
        match groups.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, members)) => members.push(walk),
            None => groups.push((shape, vec![walk])),
        }
    }
    let mut ways: Vec<Way> = groups
        .iter()
        .filter_map(|(_, members)| way(packet, members, is_local))
        .collect();
    ways.sort_by(|left, right| right.probability.total_cmp(&left.probability));
    ways
}

fn way<W: Walked>(packet: &Packet, members: &[&W], is_local: bool) -> Option<Way> {
    let first = *members.first()?;
    let fate = match first.end() {
        End::Endpoint { .. } => Fate::Delivered,
        End::Untranslated { .. } if is_local => Fate::Local,
        End::Untranslated { .. } => Fate::Routed,
        End::Rejected => Fate::Rejected,
        End::Dropped => Fate::Dropped,
    };
    let mut endpoints: Vec<Share> = Vec::new();
    for walk in members {
        let End::Endpoint { backend, .. } = walk.end() else {
            continue;
        };
        match endpoints.iter_mut().find(|own| own.endpoint == backend) {
            Some(own) => own.probability += walk.probability(),
            None => endpoints.push(Share {
                endpoint: backend,
                probability: walk.probability(),
            }),
        }
    }
    Some(Way {
        probability: members.iter().map(|walk| walk.probability()).sum(),
        fate,
        masquerade: first.end().masquerades(),
        decisions: first.decisions(packet, members.len()),
        service: first.service(),
        endpoints,
        was_remembered: first.was_remembered(),
        remembers: first.remembers(),
    })
}

/// A hook in which no rule decided anything.
pub(crate) fn undecided(point: HookPoint, end: End, packet: &Packet) -> Decision {
    let words = match point {
        HookPoint::Postrouting if !end.masquerades() => {
            format!("no mark → source stays {}", packet.source)
        }
        _ => "no rule matches".to_owned(),
    };
    Decision {
        hook: point.name(),
        base: None,
        chain: None,
        position: 0,
        rule: String::new(),
        words,
        element: None,
        unserved: false,
    }
}
