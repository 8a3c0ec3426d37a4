//! How the kernel's table differs from the planned one, as far as a Service is concerned.

use super::excerpt::{Asked, Excerpt, fixed, owner};
use crate::explain::{Answers, Clients, outcomes};
use crate::model::Family;
use crate::nft::print;
use crate::nft::ruleset::{ChainId, Key, Rule, SetId, Value};
use crate::nft::trace::Tracer;
use std::collections::BTreeSet;
use std::net::IpAddr;

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
        let tracer = |table| Tracer::new(table, addresses.iter().copied());
        let (wanted, held) = (tracer(&wanted), tracer(&held));
        let (wanted, held) = (Answers::new(&wanted, clients), Answers::new(&held, clients));
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
