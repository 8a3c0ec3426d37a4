//! Which endpoints are chosen: hints and session affinity.

use super::{Table, in_state, ready};
use crate::conformance::case::{BRIEF, Breadth, FULL};
use crate::conformance::spec::{Endpoint, Policy, State, ZONES};

const A1: usize = 0;
const A2: usize = 1;
const B1: usize = 2;
const B2: usize = 3;
const HERE: &str = ZONES[0];
const ELSEWHERE: &str = ZONES[1];

fn zoned(pod: usize, zones: &[&'static str]) -> Endpoint {
    Endpoint {
        zones: zones.to_vec(),
        ..Endpoint::new(pod, State::Ready)
    }
}

fn noded(pod: usize, nodes: &[&'static str]) -> Endpoint {
    Endpoint {
        nodes: nodes.to_vec(),
        ..Endpoint::new(pod, State::Ready)
    }
}

pub(super) fn add(table: &mut Table) {
    hints(table);
    affinity(table);
}

fn hints(table: &mut Table) {
    let both = |mut endpoint: Endpoint, zones: &[&'static str]| {
        endpoint.zones = zones.to_vec();
        endpoint
    };
    let unready = |mut endpoint: Endpoint| {
        endpoint.state = State::Unready;
        endpoint
    };
    let serving = |mut endpoint: Endpoint| {
        endpoint.state = State::Serving;
        endpoint
    };
    let rows = [
        (
            "zone",
            "every endpoint hinted to a zone",
            vec![
                zoned(A1, &[ELSEWHERE]),
                zoned(B1, &[HERE]),
                zoned(B2, &[HERE]),
            ],
        ),
        (
            "zones",
            "an endpoint hinted to both zones",
            vec![zoned(A1, &[ELSEWHERE, HERE]), zoned(B1, &[ELSEWHERE])],
        ),
        (
            "zone-missing",
            "one endpoint has no hint",
            vec![zoned(A1, &[HERE]), Endpoint::new(B1, State::Ready)],
        ),
        (
            "zone-not-ours",
            "no endpoint hinted to our zone",
            vec![zoned(A1, &[ELSEWHERE]), zoned(B1, &[ELSEWHERE])],
        ),
        (
            "zone-unknown",
            "hints to an unknown zone",
            vec![zoned(A1, &["zone-x"]), zoned(B1, &["zone-x"])],
        ),
        (
            "zone-unready",
            "the endpoint without a hint is unready",
            vec![
                zoned(A1, &[ELSEWHERE]),
                zoned(B1, &[HERE]),
                unready(Endpoint::new(B2, State::Ready)),
            ],
        ),
        (
            "zone-only-unready",
            "the only endpoint hinted to us is unready",
            vec![
                unready(zoned(A1, &[HERE])),
                zoned(B1, &[ELSEWHERE]),
                zoned(B2, &[ELSEWHERE]),
            ],
        ),
        (
            "zone-serving",
            "every endpoint terminates and serves, hinted",
            vec![
                serving(zoned(A1, &[HERE])),
                serving(zoned(B1, &[ELSEWHERE])),
            ],
        ),
        (
            "node",
            "every endpoint hinted to a node",
            vec![
                noded(A1, &["node-2"]),
                noded(B1, &["node-1"]),
                noded(B2, &["node-1"]),
            ],
        ),
        (
            "node-missing",
            "one endpoint has no node hint",
            vec![noded(A1, &["node-1"]), Endpoint::new(B1, State::Ready)],
        ),
        (
            "node-not-ours",
            "hints to the other node only",
            vec![noded(A1, &["node-2"]), noded(B1, &["node-2"])],
        ),
        (
            "node-and-zone",
            "hints to a node win over those to a zone",
            vec![
                both(noded(A1, &["node-1"]), &[ELSEWHERE]),
                both(noded(B1, &["node-2"]), &[HERE]),
            ],
        ),
        (
            "node-then-zone",
            "hints to other nodes, and to our zone",
            vec![
                both(noded(A1, &["node-2"]), &[ELSEWHERE]),
                both(noded(B1, &["node-2"]), &[HERE]),
            ],
        ),
        (
            "node-half-then-zone",
            "one endpoint has no node hint, all have zones",
            vec![
                both(noded(A1, &["node-1"]), &[ELSEWHERE]),
                zoned(B1, &[HERE]),
            ],
        ),
    ];
    for (name, words, endpoints) in rows {
        let mut service = table.service(&format!("hint-{name}"));
        service.endpoints = endpoints;
        table.add(service, words, BRIEF);
    }
    // Policy Local looks at no hints.
    let mut service = table.service("hint-local");
    service.internal = Policy::Local;
    service.external = Policy::Local;
    service.endpoints = vec![
        zoned(A1, &[ELSEWHERE]),
        zoned(A2, &[HERE]),
        zoned(B1, &[HERE]),
    ];
    table.add(service, "policy Local, hinted to zones", FULL);
}

fn affinity(table: &mut Table) {
    let four = || ready(&[A1, A2, B1, B2]);
    let local = |state: State| [in_state(state, &[A1, A2]), ready(&[B1, B2])].concat();
    let rows = [
        ("cluster", Policy::Cluster, Policy::Cluster, four()),
        ("external-local", Policy::Cluster, Policy::Local, four()),
        ("internal-local", Policy::Local, Policy::Cluster, four()),
        (
            "serving-here",
            Policy::Cluster,
            Policy::Local,
            local(State::Serving),
        ),
        (
            "unready-here",
            Policy::Cluster,
            Policy::Local,
            local(State::Unready),
        ),
        ("one", Policy::Cluster, Policy::Cluster, ready(&[B1])),
        ("none", Policy::Cluster, Policy::Cluster, Vec::new()),
        (
            "hinted",
            Policy::Cluster,
            Policy::Cluster,
            vec![
                zoned(A1, &[ELSEWHERE]),
                zoned(B1, &[HERE]),
                zoned(B2, &[HERE]),
            ],
        ),
    ];
    for (name, internal, external, endpoints) in rows {
        let mut service = table.service(&format!("affinity-{name}"));
        service.internal = internal;
        service.external = external;
        service.affinity = Some(10_800);
        service.endpoints = endpoints;
        let words = format!("affinity ClientIP, internal {internal:?}, external {external:?}");
        // One client's packets take turns, and a row of drops would take long.
        let breadth = match name {
            "cluster" | "external-local" | "internal-local" => FULL,
            _ => Breadth {
                datagrams: &[],
                ..BRIEF
            },
        };
        table.add(service, &words, breadth);
    }
}
