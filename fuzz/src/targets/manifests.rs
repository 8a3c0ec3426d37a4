//! A manifest: read, converted, planned for both families, programmed, printed. Beside it the same
//! objects in the opposite order, which must lead to the same rules.

use crate::table::{Meaning, first_sync, meaning, sync};
use kube_proxy::fuzzing::{Manifest, manifest};
use rules::fake::FakeKernel;
use rules::model::{Family, ObjectName};
use rules::{Config, Event, LocalDetector, NodeportAddresses, Planner, State};
use std::collections::HashSet;
use std::net::IpAddr;

/// JSON if it looks like an object, YAML otherwise.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let extension = match text.as_bytes().first() {
        Some(b'{') => "json",
        _ => "yaml",
    };
    let Manifest { events, problems } = manifest(extension, text);
    for problem in problems {
        assert!(!problem.is_empty());
    }
    let there = table(&events, true);
    let mut backwards = last_of_each(events);
    backwards.reverse();
    let other = table(&backwards, false);
    assert_eq!(there, other, "the order of objects counts");
}

fn table(events: &[Event], with_forms: bool) -> Vec<Meaning> {
    let mut state = State::new();
    for event in events {
        for problem in state.apply(event.clone()).problems {
            assert!(!problem.text.contains('\n'), "{problem}");
        }
    }
    let families = Family::ALL.into_iter();
    families
        .map(|family| {
            let mut planner = Planner::new(config(family));
            let mut kernel = FakeKernel::new();
            if with_forms {
                sync(&mut planner, &state, &addresses(), &mut kernel);
            } else {
                kernel = first_sync(&mut planner, &state, &addresses());
            }
            meaning(&kernel, family)
        })
        .collect()
}

/// Of several objects with one name the last one counts.
fn last_of_each(events: Vec<Event>) -> Vec<Event> {
    let mut seen = HashSet::new();
    let mut events: Vec<Event> = events
        .into_iter()
        .rev()
        .filter(|event| key(event).is_none_or(|key| seen.insert(key)))
        .collect();
    events.reverse();
    events
}

fn key(event: &Event) -> Option<(u8, ObjectName)> {
    match event {
        Event::Service(own) => Some((0, own.name.clone())),
        Event::ServiceGone(name) => Some((0, name.clone())),
        Event::Slice(own) => Some((1, own.name.clone())),
        Event::SliceGone(name) => Some((1, name.clone())),
        Event::Node(_) | Event::NodeGone => Some((2, ObjectName::new("", ""))),
        Event::ServiceCidr(own) => Some((3, ObjectName::new("", own.name.clone()))),
        Event::ServiceCidrGone(name) => Some((3, ObjectName::new("", name.clone()))),
        Event::ListBegin(_) | Event::ListEnd(_) => None,
    }
}

fn config(family: Family) -> Config {
    let pods = match family {
        Family::V4 => "10.244.0.0/16",
        Family::V6 => "fd00:10:244::/64",
    };
    let pods = pods
        .parse()
        .map_or(LocalDetector::None, LocalDetector::Source);
    Config {
        local_detector: pods,
        nodeport_addresses: NodeportAddresses::All,
        node_ip: addresses()
            .into_iter()
            .find(|own| Family::of(*own) == family),
        ..Config::new(family, "n1")
    }
}

/// What the node has on its interfaces.
fn addresses() -> Vec<IpAddr> {
    let own = ["192.0.2.1", "2001:db8:2::1"].into_iter();
    own.filter_map(|text| text.parse().ok()).collect()
}
