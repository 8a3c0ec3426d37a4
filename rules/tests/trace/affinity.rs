//! docs/reference.md#session-affinity.

use crate::cluster::Cluster;
use crate::{OUTSIDE, table};
use rules::model::{Family, TrafficPolicy};

fn sticky(own: Cluster) -> Cluster {
    own.endpoints("a@n1 b@n2 c@n2")
        .with(|own| own.service.session_affinity = Some(10_800))
}

fn sticky_local(own: Cluster) -> Cluster {
    sticky(own).with(|own| own.service.external_policy = TrafficPolicy::Local)
}

#[test]
fn a_client_keeps_its_endpoint() {
    table(
        "5.5: a new client gets any endpoint",
        sticky,
        &[
            ("pod", "cluster", "a b c"),
            ("outside", "cluster", "a* b* c*"),
            ("outside node", OUTSIDE, "a* b* c*"),
        ],
    );
    table(
        "5.5: a known one gets its own, by whichever frontend",
        |own| sticky(own).remember("outside", "b").remember("pod", "c"),
        &[
            ("outside", "cluster", "b*"),
            ("outside", OUTSIDE, "b*"),
            ("pod", "cluster", "c"),
            ("pod", OUTSIDE, "c*"),
            ("other-node", OUTSIDE, "a* b* c*"),
        ],
    );
    table(
        "5.5: hairpin masquerades here too",
        |own| sticky(own).remember("a", "a"),
        &[("a", "cluster", "a*")],
    );
}

#[test]
fn an_endpoint_that_is_gone_holds_nobody() {
    table(
        "5.5: its set went with it",
        |own| sticky(own).remember("outside", "d").remember("pod", "d"),
        &[
            ("pod", "cluster", "a b c"),
            ("outside", OUTSIDE, "a* b* c*"),
        ],
    );
    table(
        "5.5: no more does one that is no longer usable",
        |own| {
            sticky(own)
                .endpoints("a@n1 b@n2 c@n2:leaving")
                .remember("outside", "c")
        },
        &[("outside", OUTSIDE, "a* b*")],
    );
}

#[test]
fn with_external_policy_local() {
    table(
        "5.5: both lists of a port share the sets",
        |own| sticky_local(own).remember("pod", "b").remember("node", "c"),
        &[
            ("outside", OUTSIDE, "a"),
            ("pod", OUTSIDE, "b"),
            ("pod", "cluster", "b"),
            ("node", OUTSIDE, "c*"),
        ],
    );
    table(
        "5.5: an endpoint elsewhere is none for a client outside",
        |own| sticky_local(own).remember("outside", "b"),
        &[("outside", OUTSIDE, "a"), ("outside", "cluster", "b*")],
    );
}

#[test]
fn nobody_serves() {
    table(
        "5.6: as without affinity",
        |own| sticky(own).endpoints("a@n1:unready"),
        &[
            ("pod outside", "cluster", "rejected"),
            ("outside", OUTSIDE, "rejected"),
        ],
    );
    table(
        "5.6: as without affinity, policy Local",
        |own| sticky_local(own).endpoints("b@n2"),
        &[("outside", OUTSIDE, "dropped"), ("pod", OUTSIDE, "b")],
    );
}

#[test]
fn the_chosen_endpoint_remembers_the_client_from_now_on() {
    for family in Family::ALL {
        for destination in ["cluster", "external", "balancer", "nodeport"] {
            let cluster = sticky(Cluster::new(family));
            let trace = cluster.trace("outside", destination);
            let mut remembered: Vec<_> = trace
                .paths
                .into_iter()
                .map(|path| path.remembered)
                .collect();
            remembered.sort();
            let each = ["a", "b", "c"].map(|name| vec![cluster.clients_of(name)]);
            assert_eq!(remembered, each, "{destination}");

            // The time runs from the last connection on.
            let trace = cluster
                .remember("outside", "b")
                .trace("outside", destination);
            let remembered: Vec<_> = trace
                .paths
                .into_iter()
                .map(|path| path.remembered)
                .collect();
            assert_eq!(remembered, [each[1].clone()], "{destination}");
        }
        let plain = Cluster::new(family).endpoints("a@n1 b@n2");
        let trace = plain.trace("outside", "cluster");
        assert!(trace.paths.iter().all(|path| path.remembered.is_empty()));
    }
}
