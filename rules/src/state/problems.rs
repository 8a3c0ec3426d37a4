//! What is wrong with objects by themselves or beside others, in words.

use crate::model::{ObjectName, Service};
use std::collections::BTreeSet;
use std::fmt;

/// How many cases of one kind a message names; their number is the tenant's choice.
pub(super) const NAMED: usize = 3;

/// What an operator or a Service's owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The Service.
    pub service: ObjectName,
    /// Whether the Service loses something by it.
    pub kind: ProblemKind,
    /// One line for the log, which names the Service and others concerned.
    pub text: String,
    /// The same for those who may read the Service: it names nobody else's
    /// object, as a tenant has no business with them.
    pub note: String,
}

/// What a problem means for the Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// A part of it is not served.
    LeftOut,
    /// It is served at an address that is not its owner's to give.
    ExternalIpConflict,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The first few of many things, and how many more there are.
pub(super) fn first_few(mut named: Vec<String>, all: usize) -> String {
    named.truncate(NAMED);
    let more = all - named.len();
    let named = named.join(", ");
    match more {
        0 => named,
        _ => format!("{named} and {more} more"),
    }
}

/// Ports of one Service that ask for the same protocol and number; the API
/// server refuses them, manifests may hold them. The first one is served.
pub(super) fn repeated_ports(service: &Service) -> Option<Problem> {
    let mut seen = BTreeSet::new();
    let mut repeated = Vec::new();
    let mut all = 0;
    for port in &service.ports {
        if seen.insert((port.protocol, port.port)) {
            continue;
        }
        all += 1;
        if repeated.len() < NAMED {
            repeated.push(format!("{} {}", port.port, port.protocol));
        }
    }
    let note = match all {
        0 => return None,
        1 => format!(
            "port {} is there twice; only the first one is served",
            repeated[0]
        ),
        _ => format!(
            "ports {} are there twice; only the first of each is served",
            first_few(repeated, all)
        ),
    };
    Some(Problem {
        service: service.name.clone(),
        kind: ProblemKind::LeftOut,
        text: format!("Service {}: {note}", service.name),
        note,
    })
}
