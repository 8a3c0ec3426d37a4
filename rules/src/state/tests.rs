//! Events and their effect.

use super::*;
use crate::ObjectKind;
use crate::model::{Endpoint, Hints, Node};

fn slice(service: &str, address: &str, at: i64) -> EndpointSlice {
    EndpointSlice {
        name: ObjectName::new("ns", "slice"),
        service: ObjectName::new("ns", service),
        family: Family::V4,
        ports: Vec::new(),
        endpoints: vec![Endpoint {
            address: address.parse().expect("an address"),
            node: None,
            ready: true,
            serving: true,
            terminating: false,
            hints: Hints::default(),
        }],
        last_change_trigger: Some(at),
    }
}

fn service(name: &str) -> Service {
    Service {
        name: ObjectName::new("ns", name),
        cluster_ips: vec![[10, 96, 0, 1].into()],
        ..Service::default()
    }
}

#[test]
fn an_equal_object_changes_nothing() {
    let mut state = State::new();
    assert!(state.apply(Change::Service(service("a"))).changed);
    assert!(
        state
            .apply(Change::Slice(slice("a", "10.0.0.1", 1)))
            .changed
    );
    state.take_dirty();
    assert!(!state.apply(Change::Service(service("a"))).changed);
    assert!(
        !state
            .apply(Change::Slice(slice("a", "10.0.0.1", 1)))
            .changed
    );
    assert_eq!(state.dirty_count(), 0);
}

#[test]
fn a_slice_that_moves_touches_both_services() {
    let mut state = State::new();
    state.apply(Change::Service(service("a")));
    state.apply(Change::Service(service("b")));
    state.apply(Change::Slice(slice("a", "10.0.0.1", 1)));
    state.take_dirty();
    state.apply(Change::Slice(slice("b", "10.0.0.1", 1)));
    let mut dirty: Vec<String> = state.take_dirty().iter().map(ToString::to_string).collect();
    dirty.sort();
    assert_eq!(dirty, ["ns/a", "ns/b"]);
}

#[test]
fn every_change_of_endpoints_is_a_trigger() {
    let mut state = State::new();
    state.apply(Change::Slice(slice("a", "10.0.0.1", 1)));
    state.apply(Change::Slice(slice("a", "10.0.0.2", 1)));
    state.apply(Change::Slice(slice("a", "10.0.0.2", 1)));
    state.apply(Change::Slice(slice("a", "10.0.0.3", 2)));
    let at: Vec<i64> = state
        .take_triggers()
        .iter()
        .map(|trigger| trigger.at)
        .collect();
    assert_eq!(at, [1, 1, 2], "the third event changed nothing");
}

#[test]
fn nothing_may_be_programmed_before_both_lists_are_in() {
    let mut state = State::new();
    state.apply(Change::ListEnd(ObjectKind::Service));
    assert!(!state.is_listed());
    state.apply(Change::ListEnd(ObjectKind::EndpointSlice));
    assert!(state.is_listed());
}

#[test]
fn a_new_zone_touches_every_service() {
    let mut state = State::new();
    state.apply(Change::Service(service("a")));
    state.take_dirty();
    let node = Node {
        zone: Some("z".into()),
        ..Node::default()
    };
    assert!(state.apply(Change::Node(node.clone())).changed);
    assert_eq!(state.dirty_count(), 1);
    state.take_dirty();
    assert!(!state.apply(Change::Node(node.clone())).changed);
    assert_eq!(state.dirty_count(), 0);
    // Without its Node there is no zone either.
    assert!(state.apply(Change::NodeGone).changed);
    assert_eq!(state.take_dirty().len(), 1);
    state.apply(Change::Node(node));
    state.take_dirty();
    state.apply(Change::ListBegin(ObjectKind::Node));
    assert!(state.apply(Change::ListEnd(ObjectKind::Node)).changed);
    assert_eq!(state.dirty_count(), 1);
}

#[test]
fn service_ranges_are_a_union() {
    let mut state = State::new();
    for (name, cidrs) in [
        ("a", &["10.96.0.0/16", "fd00::/112"][..]),
        ("b", &["10.96.0.0/16"]),
    ] {
        let cidrs = cidrs
            .iter()
            .map(|cidr| cidr.parse().expect("a CIDR"))
            .collect();
        state.apply(Change::ServiceCidr(ServiceCidr {
            name: name.into(),
            cidrs,
        }));
    }
    state.apply(Change::ServiceCidrGone("b".into()));
    // Upstream loses the range here (docs/reference.md#service-ranges).
    assert_eq!(state.service_cidrs(Family::V4).len(), 1);
    assert_eq!(state.service_cidrs(Family::V6).len(), 1);
}
