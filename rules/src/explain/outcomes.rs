//! How two states of rules differ in what becomes of connections.

use super::answers::{Answers, Standpoint};
use crate::model::{EndpointAddr, Frontend};
use crate::trace::{End, Ends};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Probabilities that differ by less are the same.
const PRECISION: f64 = 1e-6;
/// So many names are told.
const NAMED: usize = 3;

/// What becomes of connections to a frontend where it is not what it should be, a sentence each.
pub fn outcomes(wanted: &Answers<'_>, held: &Answers<'_>, frontend: &Frontend) -> Vec<String> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for from in Standpoint::ALL {
        let (wanted, held) = (wanted.ends(from, frontend), held.ends(from, frontend));
        if is_same(&wanted, &held) {
            continue;
        }
        let text = outcome(&wanted, &held);
        match found.iter_mut().find(|(known, _)| *known == text) {
            Some((_, who)) => who.push(from.words()),
            None => found.push((text, vec![from.words()])),
        }
    }
    let found = found.into_iter().map(|(text, who)| {
        let port = format!("{}/{}", frontend.port, frontend.protocol);
        let to = match frontend.address {
            Some(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
            Some(ip) => format!("{ip}:{port}"),
            None => format!("node port {port}"),
        };
        format!("{to} for {}: {text}", who.join(", "))
    });
    found.collect()
}

fn is_same(wanted: &Ends, held: &Ends) -> bool {
    wanted.len() == held.len()
        && wanted
            .iter()
            .zip(held)
            .all(|((a, chance), (b, other))| a == b && (chance - other).abs() < PRECISION)
}

fn outcome(wanted: &Ends, held: &Ends) -> String {
    let (all, own) = (endpoints(wanted), endpoints(held));
    if all.is_empty() || own.is_empty() {
        return format!("should be {} and is {}", summary(wanted), summary(held));
    }
    let names = |these: &BTreeSet<EndpointAddr>, others: &BTreeSet<EndpointAddr>| {
        let only: Vec<String> = these.difference(others).map(address).collect();
        let more = only.len().saturating_sub(NAMED);
        let mut names: Vec<String> = only.into_iter().take(NAMED).collect();
        names.extend((more > 0).then(|| format!("{more} more")));
        names.join(", ")
    };
    let (missing, wrong) = (names(&all, &own), names(&own, &all));
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("does not reach {missing}"));
    }
    if !wrong.is_empty() {
        parts.push(format!("reaches {wrong}, which should not serve"));
    }
    let lost = held
        .iter()
        .filter(|(end, _)| !matches!(end, End::Endpoint { .. }));
    let lost: f64 = lost.map(|(_, chance)| *chance).sum();
    if lost > PRECISION && endpoints(wanted).len() == wanted.len() {
        parts.push(format!("{:.0}% of connections reach nobody", 100.0 * lost));
    }
    if parts.is_empty() {
        parts.push(match masquerades(wanted) == masquerades(held) {
            true => "the shares of the endpoints are not the same".to_owned(),
            false => format!("should be {} and is {}", summary(wanted), summary(held)),
        });
    }
    parts.join("; ")
}

fn endpoints(ends: &Ends) -> BTreeSet<EndpointAddr> {
    let endpoint = |end: &End| match end {
        End::Endpoint { backend, .. } => Some(*backend),
        _ => None,
    };
    ends.keys().filter_map(endpoint).collect()
}

fn masquerades(ends: &Ends) -> BTreeSet<bool> {
    let masquerade = |end: &End| match end {
        End::Endpoint { masquerade, .. } | End::Untranslated { masquerade } => Some(*masquerade),
        _ => None,
    };
    ends.keys().filter_map(masquerade).collect()
}

fn summary(ends: &Ends) -> String {
    let address = match masquerades(ends).contains(&true) {
        true => " with the node's address",
        false => "",
    };
    match (endpoints(ends).len(), ends.keys().next()) {
        (0, Some(End::Rejected)) => "refused".to_owned(),
        (0, Some(End::Dropped)) => "dropped".to_owned(),
        (0, Some(_)) => format!("left as it is{address}"),
        (0, None) => "answered nowhere".to_owned(),
        (1, _) => format!("sent to 1 endpoint{address}"),
        (count, _) => format!("sent to {count} endpoints{address}"),
    }
}

fn address(backend: &EndpointAddr) -> String {
    match backend.address {
        IpAddr::V6(ip) => format!("[{ip}]:{}", backend.port),
        ip => format!("{ip}:{}", backend.port),
    }
}
