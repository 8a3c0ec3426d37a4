//! API objects → the model, reduced to what the rules need. A bad part of an
//! object is left out and named; the rest is used.

mod endpoints;
mod node;
mod service;

pub use endpoints::{SERVICE_NAME, endpoint_slice};
pub use node::{node, service_cidr};
pub use service::service;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rules::model::{ObjectName, Protocol};
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

impl<T> Converted<T> {
    fn nothing() -> Self {
        Self {
            object: None,
            problems: Vec::new(),
        }
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

/// An address as upstream reads it: IPv4 octets may have leading zeros, and an
/// IPv4 address in IPv6 notation is the IPv4 one.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let octets: Vec<u8> = text
        .split('.')
        .map(|octet| {
            let digits = !octet.is_empty() && octet.bytes().all(|byte| byte.is_ascii_digit());
            if digits { octet.parse().ok() } else { None }
        })
        .collect::<Option<_>>()?;
    <[u8; 4]>::try_from(octets).ok().map(IpAddr::from)
}

/// The addresses of a list field; what cannot be read is named.
fn addresses<'a>(
    field: &str,
    texts: impl IntoIterator<Item = &'a String>,
    problems: &mut Vec<String>,
) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        match address(text) {
            Some(address) if !found.contains(&address) => found.push(address),
            Some(_) => {}
            None => problems.push(format!("{field}[{at}]: {text:?} is not an IP address")),
        }
    }
    found.shrink_to_fit();
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
