//! API objects → the model, reduced to what the rules need. A bad part of an
//! object is left out and named; the rest is used.

mod endpoints;
mod node;
mod service;

pub use endpoints::{SERVICE_NAME, endpoint_slice};
pub use node::{node, service_cidr};
pub use service::service;

use crate::config::{parse_cidr, parse_ip};
use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rules::model::{ObjectName, Protocol};
use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

/// The namespace of objects that name none.
const DEFAULT_NAMESPACE: &str = "default";

/// What a conversion yields.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted<T> {
    /// `None` if the object gets no rules, by its nature or because it is bad.
    pub object: Option<T>,
    /// What is wrong with it: the field and what is allowed there.
    pub problems: Vec<String>,
}

/// How many of an object's problems are told, and how long each may be, in
/// bytes: both are its author's choice.
const TOLD: usize = 8;
const TEXT_LIMIT: usize = 400;

impl<T> Converted<T> {
    fn new(object: Option<T>, mut problems: Vec<String>) -> Self {
        let more = problems.len().saturating_sub(TOLD);
        problems.truncate(TOLD);
        for problem in &mut problems {
            if problem.len() > TEXT_LIMIT {
                problem.truncate(problem.floor_char_boundary(TEXT_LIMIT));
                problem.push_str("...");
            }
        }
        problems.extend((more > 0).then(|| format!("and {more} more problems")));
        Self { object, problems }
    }

    fn nothing() -> Self {
        Self::new(None, Vec::new())
    }
}

/// `metadata.namespace` and `metadata.name`.
pub fn object_name(metadata: &ObjectMeta) -> ObjectName {
    ObjectName::new(
        metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE),
        metadata.name.as_deref().unwrap_or_default(),
    )
}

fn has_label(metadata: &ObjectMeta, label: &str) -> bool {
    metadata
        .labels
        .as_ref()
        .is_some_and(|labels| labels.contains_key(label))
}

/// Collected without room for more: what is kept of an object stays as it is
/// until the object changes.
fn exact<T>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = items.collect();
    all.shrink_to_fit();
    all
}

/// The addresses of a list field, each once; what cannot be read is named.
fn addresses<'a>(
    field: &str,
    texts: impl IntoIterator<Item = &'a String>,
    problems: &mut Vec<String>,
) -> Vec<IpAddr> {
    let texts = texts.into_iter().enumerate();
    distinct(texts, |at| format!("{field}[{at}]"), problems)
}

/// Addresses at their places, each once; `name` names a place.
fn distinct<'a>(
    texts: impl Iterator<Item = (usize, &'a String)>,
    name: impl Fn(usize) -> String,
    problems: &mut Vec<String>,
) -> Vec<IpAddr> {
    let mut seen = HashSet::new();
    exact(texts.filter_map(|(at, text)| {
        let address = parse_ip(text);
        if address.is_none() {
            problems.push(format!("{}: {text:?} is not an IP address", name(at)));
        }
        address.filter(|address| seen.insert(*address))
    }))
}

/// The ranges of a list field; what cannot be read is named.
fn ranges<'a>(
    field: &str,
    texts: impl IntoIterator<Item = &'a String>,
    problems: &mut Vec<String>,
) -> Vec<IpNet> {
    let mut found = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        match parse_cidr(text) {
            Some(range) => found.push(range),
            None => problems.push(format!("{field}[{at}]: {text:?} is not a CIDR")),
        }
    }
    found
}

/// A port number from 1 to 65535.
fn port(field: fmt::Arguments<'_>, number: i32, problems: &mut Vec<String>) -> Option<u16> {
    let port = u16::try_from(number).ok().filter(|port| *port != 0);
    if port.is_none() {
        problems.push(format!("{field}: {number} is not a port (1 to 65535)"));
    }
    port
}

fn protocol(
    field: fmt::Arguments<'_>,
    name: Option<&String>,
    problems: &mut Vec<String>,
) -> Option<Protocol> {
    let name = name.map_or("", String::as_str);
    let protocol = Protocol::from_api(name);
    if protocol.is_none() {
        problems.push(format!("{field}: {name:?} is none of TCP, UDP, SCTP"));
    }
    protocol
}

#[cfg(test)]
mod tests;
