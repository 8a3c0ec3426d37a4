//! What is known of nodes: whether balancers send to them, and whether pods may come up there.

use crate::report::Source;
use crate::world::World;
use k8s_openapi::api::core::v1::Node;
use rules::advise::{NodeFacts, Nodes, Out};

/// Label of nodes that cloud providers' balancers leave out.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The nodes, by their objects and by what EndpointSlices name.
pub(super) fn nodes<'a>(
    objects: impl Iterator<Item = &'a Node>,
    world: &World,
) -> (Nodes, Option<Source>) {
    let known = objects.map(facts).collect();
    let (nodes, unknown) = Nodes::new(known).with_those_of(world.state());
    let source = (unknown > 0).then(|| {
        Source::unseen(
            "nodes",
            format!(
                "{unknown} nodes that EndpointSlices name have no Node object here: their zones \
                 and conditions are not known, and nodes without pods are missing"
            ),
        )
    });
    (nodes, source)
}

fn facts(node: &Node) -> NodeFacts {
    let converted = crate::source::convert::node(node)
        .object
        .unwrap_or_default();
    let conditions = node.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.flatten().filter(|own| own.type_ == "Ready");
    let mut labels = node.metadata.labels.iter().flatten();
    let out = match () {
        () if ready.any(|own| own.status != "True") => Some(Out::NotReady),
        () if !converted.eligible => Some(Out::Leaving),
        () if labels.any(|(key, _)| key == EXCLUDED) => Some(Out::Excluded),
        () => None,
    };
    NodeFacts {
        name: converted.name,
        zone: converted.zone,
        out,
        takes_pods: takes_pods(node),
    }
}

/// Whether pods without tolerations may come up there.
fn takes_pods(node: &Node) -> bool {
    let Some(spec) = &node.spec else {
        return true;
    };
    let mut taints = spec.taints.iter().flatten();
    let keeps_out = taints.any(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"));
    spec.unschedulable != Some(true) && !keeps_out
}
