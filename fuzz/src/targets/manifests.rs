//! A manifest: read, converted, planned for both families, programmed, printed. Beside it the same
//! objects in the opposite order, which must lead to the same rules.

use crate::table::program;
use kube_proxy::fuzzing::{Manifest, manifest};
use rules::Change;
use rules::model::ObjectName;
use std::collections::HashSet;

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
    let there = program(&events, true);
    let mut backwards = last_of_each(events);
    backwards.reverse();
    let other = program(&backwards, false);
    assert_eq!(there, other, "the order of objects counts");
}

/// Of several objects with one name the last one counts.
fn last_of_each(events: Vec<Change>) -> Vec<Change> {
    let mut seen = HashSet::new();
    let mut events: Vec<Change> = events
        .into_iter()
        .rev()
        .filter(|event| key(event).is_none_or(|key| seen.insert(key)))
        .collect();
    events.reverse();
    events
}

fn key(event: &Change) -> Option<(u8, ObjectName)> {
    match event {
        Change::Service(own) => Some((0, own.name.clone())),
        Change::ServiceGone(name) => Some((0, name.clone())),
        Change::Slice(own) => Some((1, own.name.clone())),
        Change::SliceGone(name) => Some((1, name.clone())),
        Change::Node(_) | Change::NodeGone => Some((2, ObjectName::new("", ""))),
        Change::ServiceCidr(own) => Some((3, ObjectName::new("", own.name.clone()))),
        Change::ServiceCidrGone(name) => Some((3, ObjectName::new("", name.clone()))),
        Change::ListBegin(_) | Change::ListEnd(_) => None,
    }
}
