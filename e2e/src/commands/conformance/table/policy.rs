//! Traffic policies, crossed with the states of endpoints on this node and elsewhere.

use e2e::address::ECHO_PORT;
use e2e::probe::Protocol;

use super::{Table, in_state, ready};
use crate::conformance::case::{Breadth, FULL};
use crate::conformance::spec::{Endpoint, Place, Policy, Port, State};

const A1: usize = 0;
const A2: usize = 1;
const B1: usize = 2;
const B2: usize = 3;

/// Name, words and endpoints of each constellation.
fn constellations() -> Vec<(&'static str, &'static str, Vec<Endpoint>)> {
    let mut misplaced = ready(&[A1, B1, B2]);
    misplaced[0].place = Place::Unsaid;
    misplaced[1].place = Place::Unknown;
    let with = |state, pods: &[usize], ready_pods: &[usize]| {
        [in_state(state, pods), ready(ready_pods)].concat()
    };
    vec![
        ("both", "endpoints here and elsewhere", ready(&[A1, B1])),
        ("here", "endpoints only here", ready(&[A1, A2])),
        ("elsewhere", "endpoints only elsewhere", ready(&[B1, B2])),
        ("none", "no endpoints", Vec::new()),
        (
            "unready",
            "only unready endpoints",
            in_state(State::Unready, &[A1, B1]),
        ),
        (
            "unready-here",
            "the endpoint here is unready",
            with(State::Unready, &[A1], &[B1]),
        ),
        (
            "serving",
            "every endpoint terminates and serves",
            in_state(State::Serving, &[A1, B1]),
        ),
        (
            "serving-here",
            "the endpoint here terminates and serves",
            with(State::Serving, &[A1], &[B1]),
        ),
        (
            "serving-beside",
            "one endpoint here is ready, one here and one elsewhere terminate and serve",
            with(State::Serving, &[A1, B1], &[A2]),
        ),
        (
            "serving-elsewhere",
            "the endpoint elsewhere terminates and serves, the one here is unready",
            [
                in_state(State::Serving, &[B1]),
                in_state(State::Unready, &[A1]),
            ]
            .concat(),
        ),
        (
            "gone",
            "every endpoint terminates and serves no more",
            in_state(State::Gone, &[A1, B1]),
        ),
        (
            "misplaced",
            "endpoints on no node and on an unknown one",
            misplaced,
        ),
    ]
}

pub(super) fn add(table: &mut Table) {
    let policies = [
        ("cluster", Policy::Cluster, Policy::Cluster),
        ("external-local", Policy::Cluster, Policy::Local),
        ("internal-local", Policy::Local, Policy::Cluster),
        ("all-local", Policy::Local, Policy::Local),
    ];
    for (policy, internal, external) in policies {
        for (name, words, endpoints) in constellations() {
            let mut service = table.service(&format!("{policy}-{name}"));
            service.internal = internal;
            service.external = external;
            service.endpoints = endpoints;
            // SCTP where it tells most: the paths are those of UDP.
            if matches!(name, "both" | "none" | "elsewhere") {
                service.ports.push(Port {
                    name: "sctp",
                    protocol: Protocol::Sctp,
                    port: 80,
                    target: ECHO_PORT,
                });
            }
            let words = format!("internal {internal:?}, external {external:?}: {words}");
            let breadth = match (internal, external) {
                // The mix of two that are there already.
                (Policy::Local, Policy::Local) => Breadth {
                    datagrams: &[],
                    ..FULL
                },
                _ => FULL,
            };
            table.add(service, &words, breadth);
        }
    }
}
