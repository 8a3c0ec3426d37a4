//! How the kernel's table differs from the planned one, as far as a Service is concerned.

use super::answers::{Answers, Clients, Ends, Standpoint, answers};
use super::excerpt::{Asked, Excerpt, fixed, owner};
use crate::model::{EndpointAddr, Family, Frontend};
use crate::nft::print;
use crate::nft::ruleset::{ChainId, Key, Rule, SetId, Value};
use crate::trace::End;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Probabilities that differ by less are the same.
const PRECISION: f64 = 1e-6;
/// So many names are told.
const NAMED: usize = 3;

/// What is different in `held`, a sentence each; none if it does the same. Endpoints may stand in
/// another order: a planner keeps them where they were, and nobody else knows where that is.
pub fn differences(
    wanted: &Excerpt,
    held: &Excerpt,
    asked: &Asked,
    family: Family,
    addresses: &[IpAddr],
    clients: &Clients,
) -> Vec<String> {
    let mut found = Vec::new();
    {
        let (wanted, held) = (wanted.clone().into_table(), held.clone().into_table());
        let wanted = answers(&wanted, addresses, clients);
        let held = answers(&held, addresses, clients);
        for frontend in &asked.frontends {
            found.extend(outcomes(&wanted, &held, frontend));
        }
    }
    found.extend(elements(wanted, held, asked));
    found.extend(chains(wanted, held, family));
    found
}

/// The chains that are always there, and those that ports share. Those of single ports may have their
/// endpoints in another order, so that what they do is compared instead.
fn chains(wanted: &Excerpt, held: &Excerpt, family: Family) -> Vec<String> {
    let mut found = Vec::new();
    let known = wanted.parts.chains.keys().chain(held.parts.chains.keys());
    let shared = known.filter(|id| !matches!(id, ChainId::Port(_) | ChainId::Fixed(_)));
    let shared: BTreeSet<ChainId> = shared.cloned().collect();
    for id in fixed().into_iter().chain(shared) {
        let (wanted, held) = (wanted.parts.chains.get(&id), held.parts.chains.get(&id));
        match (wanted, held) {
            (Some(wanted), Some(held)) => {
                let rules = |these: &[Rule], others: &[Rule], is: &str| {
                    let only = these.iter().filter(|rule| !others.contains(rule));
                    let only =
                        only.map(|rule| format!("chain {id}: {is}: {}", print::rule(rule, family)));
                    only.collect::<Vec<String>>()
                };
                found.extend(rules(&wanted.rules, &held.rules, "is missing"));
                found.extend(rules(&held.rules, &wanted.rules, "should not be there"));
                if wanted.hook != held.hook {
                    found.push(format!(
                        "chain {id} hangs on another hook, or has another priority"
                    ));
                }
            }
            (Some(_), None) => found.push(format!("chain {id} is missing")),
            (None, Some(_)) => found.push(format!("chain {id} should not be there")),
            (None, None) => {}
        }
    }
    found
}

/// The elements that say who serves, and those of sets.
fn elements(wanted: &Excerpt, held: &Excerpt, asked: &Asked) -> Vec<String> {
    let mut found = Vec::new();
    let sets = [
        SetId::Services,
        SetId::Nodeports,
        SetId::NoEndpoints,
        SetId::NodeportNoEndpoints,
        SetId::LocalhostNodeports,
        SetId::SourceChecked,
    ];
    for frontend in &asked.frontends {
        let key = Key::Frontend(*frontend);
        for set in sets {
            found.extend(element(wanted, held, set, &key));
        }
        let address = frontend.address.map(Key::Address);
        found.extend(address.and_then(|key| element(wanted, held, SetId::ClusterIps, &key)));
    }
    for (backend, protocol) in &asked.hairpin {
        let key = Key::Hairpin(*backend, *protocol);
        found.extend(element(wanted, held, SetId::Hairpin, &key));
    }
    for ip in asked.nodeport_addresses.iter().flatten() {
        found.extend(element(
            wanted,
            held,
            SetId::NodeportIps,
            &Key::Address(*ip),
        ));
    }
    found.extend(lists(wanted, held, asked));
    // A cluster IP has one element for all its ports.
    let mut seen = BTreeSet::new();
    found.retain(|text| seen.insert(text.clone()));
    found
}

/// The lists of endpoints.
fn lists(wanted: &Excerpt, held: &Excerpt, asked: &Asked) -> Vec<String> {
    let mut found = Vec::new();
    let values = |excerpt: &Excerpt, set: SetId, is_of: &dyn Fn(&Key) -> bool| {
        let elements = excerpt.parts.sets.get(&set);
        let elements = elements.into_iter().flat_map(|set| &set.elements);
        let of_list = elements.filter(|(key, _)| is_of(key));
        let values = of_list.filter_map(|(_, element)| element.value.as_ref().map(print::value));
        let mut values: Vec<String> = values.collect();
        values.sort_unstable();
        values
    };
    let mut compare = |set: SetId, of_what: String, is_of: &dyn Fn(&Key) -> bool| {
        let (wanted, held) = (values(wanted, set, is_of), values(held, set, is_of));
        let only = |these: &[String], others: &[String]| {
            let only = these.iter().filter(|own| !others.contains(own));
            only.take(NAMED)
                .cloned()
                .collect::<Vec<String>>()
                .join(", ")
        };
        let (missing, wrong) = (only(&wanted, &held), only(&held, &wanted));
        if !missing.is_empty() {
            found.push(format!("{set}: {of_what} lacks {missing}"));
        }
        if !wrong.is_empty() {
            found.push(format!(
                "{set}: {of_what} has {wrong}, which should not serve"
            ));
        }
        if missing.is_empty() && wrong.is_empty() && wanted != held {
            found.push(format!("{set}: {of_what} has an endpoint twice"));
        }
    };
    for frontend in &asked.frontends {
        let (services, sets) = match frontend.address {
            Some(_) => (SetId::Services, [SetId::Endpoints, SetId::LocalEndpoints]),
            None => (
                SetId::Nodeports,
                [SetId::NodeportEndpoints, SetId::NodeportLocalEndpoints],
            ),
        };
        // Nobody looks into the lists of a frontend that is not there.
        if held.element(services, &Key::Frontend(*frontend)).is_none() {
            continue;
        }
        for set in sets {
            let is_of = |key: &Key| matches!(key, Key::Indexed(own, _) if own == frontend);
            compare(set, print::key(&Key::Frontend(*frontend)), &is_of);
        }
    }
    compare(SetId::PortEndpoints, "the list".to_owned(), &|_| true);
    found
}

fn element(wanted: &Excerpt, held: &Excerpt, set: SetId, key: &Key) -> Option<String> {
    let shown = print::key(key);
    let value = |value: &Option<Value>| {
        let value = value.as_ref().map(print::value);
        value.unwrap_or_else(|| "there".to_owned())
    };
    match (wanted.element(set, key), held.element(set, key)) {
        (Some(wanted), Some(held)) if wanted.value == held.value => None,
        (None, None) => None,
        (Some(wanted), Some(held)) => Some(format!(
            "{set}: {shown} should be {} and is {}{}",
            value(&wanted.value),
            value(&held.value),
            of_whom(held)
        )),
        (Some(_), None) => Some(format!("{set}: {shown} is missing")),
        (None, Some(held)) => Some(format!(
            "{set}: {shown} should not be there{}",
            of_whom(held)
        )),
    }
}

fn of_whom(element: &crate::nft::ruleset::Element) -> String {
    let owner = owner(element);
    owner.map_or(String::new(), |(name, _)| format!(" (of {name})"))
}

/// What becomes of connections.
fn outcomes(wanted: &Answers<'_>, held: &Answers<'_>, frontend: &Frontend) -> Vec<String> {
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
