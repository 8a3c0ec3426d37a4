//! What is wrong with a packet's way.

use super::answer::Traced;
use super::ending::{ClientAddress, Ending};
use super::held::Obstacle;
use super::live::{Followed, LiveWay};
use rules::check::{foreign_drops, is_proxy_chain};
use rules::finding::{Code, Finding, Severity};

/// What a trace shows to be wrong, or not as one might think.
pub(super) fn findings(traced: &Traced, in_the_way: &[Obstacle], node: &str) -> Vec<Finding> {
    let mut all = Vec::new();
    all.extend(nobody_serves(traced));
    all.extend(address_lost(traced));
    all.extend(edited(in_the_way));
    all.extend(foreign_drops(&traced.others));
    all.extend(
        traced
            .live
            .as_ref()
            .and_then(|live| other_way(live, traced)),
    );
    let object = traced.service.as_deref().map(object);
    let about = |mut finding: Finding| {
        finding.object = object.clone().filter(|_| !is_of_the_node(finding.code));
        finding.on(node)
    };
    all.into_iter().map(about).collect()
}

fn is_of_the_node(code: Code) -> bool {
    matches!(code, Code::KernelDiffers | Code::ForeignDrop)
}

/// `Service shop/web` of `shop/web:http`.
fn object(service: &str) -> String {
    let name = service.split(':').next().unwrap_or(service);
    format!("Service {name}")
}

fn nobody_serves(traced: &Traced) -> Option<Finding> {
    let ways = traced.result.ways.iter();
    let mut steps = ways.flat_map(|way| &way.steps);
    let step = steps.find(|step| step.unserved)?;
    let fact = format!("{}: {}", step.hook, step.words);
    match traced.result.outcome {
        Ending::Rejected => Some(
            Finding::new(
                Code::NoReadyEndpoint,
                Severity::Error,
                "no endpoint is ready anywhere, so clients are rejected",
                "make a pod of the Service ready; kube-proxy explain tells which there are, and \
                 why they do not count",
            )
            .because(fact),
        ),
        Ending::Dropped => Some(
            Finding::new(
                Code::NoneOnThisNode,
                Severity::Warning,
                "no endpoint runs on this node, and policy Local lets no other one answer",
                "send clients to nodes with endpoints, as a load balancer does that asks the \
                 health check node port, or set the policy to Cluster",
            )
            .because(fact),
        ),
        _ => None,
    }
}

fn address_lost(traced: &Traced) -> Option<Finding> {
    let replaced = |own: &&super::answer::Target| own.client_address == ClientAddress::Replaced;
    let lost = traced.result.endpoints.iter().find(replaced)?;
    // The node's own connections have the node's address in any case.
    if traced.packet.from_node {
        return None;
    }
    let by = match lost.sees {
        Some(address) => format!("{address}, which is this node's"),
        None => "an address of the node".to_owned(),
    };
    Some(Finding::new(
        Code::ClientAddressLost,
        Severity::Info,
        format!(
            "the pod sees {by}, in the place of {}",
            traced.packet.source
        ),
        "if the pod has to know its clients: externalTrafficPolicy Local, an ingress in front, or \
         the PROXY protocol",
    ))
}

fn edited(in_the_way: &[Obstacle]) -> Option<Finding> {
    const TOLD: usize = 10;
    let first = in_the_way.first()?;
    let mut finding = Finding::new(
        Code::KernelDiffers,
        Severity::Error,
        format!(
            "somebody else has something among our rules in this packet's way ({}), and what it \
             does is not followed here",
            first.place
        ),
        "the daemon puts its rules right within a second; if it does not, it is not running: start \
         it, or find out who edits them by its log",
    );
    for own in in_the_way.iter().take(TOLD) {
        finding = finding.because(&own.text);
    }
    Some(finding)
}

/// What real packets show that the rules do not foretell.
fn other_way(live: &Followed, traced: &Traced) -> Option<Finding> {
    let is_own = |by: &str| match by.split(' ').collect::<Vec<_>>().as_slice() {
        ["ip" | "ip6", "kube-proxy", _] => true,
        ["ip" | "ip6", _, chain] => is_proxy_chain(chain),
        _ => false,
    };
    let by_others = live.ways.iter().find(|way| {
        let by = way.ended_by.as_deref();
        by.is_some_and(|by| !is_own(by))
    });
    if let Some(way) = by_others {
        let by = way.ended_by.clone().unwrap_or_default();
        return Some(
            Finding::new(
                Code::ForeignDrop,
                Severity::Error,
                format!(
                    "chain {by} dropped {} of {} packets",
                    way.packets, live.packets
                ),
                format!("let them pass there: `nft -a list chain {by}` shows its rules"),
            )
            .because(
                way.steps
                    .last()
                    .map_or(String::new(), |step| step.words.clone()),
            ),
        );
    }
    let foretold = |way: &&LiveWay| {
        let mut ways = traced.result.ways.iter();
        ways.any(|own| own.outcome == way.outcome)
            && way.endpoints.iter().all(|reached| {
                let mut endpoints = traced.result.endpoints.iter();
                endpoints.any(|own| (own.address, own.port) == (reached.address, reached.port))
            })
    };
    let other = live.ways.iter().find(|way| !foretold(way))?;
    Some(Finding::new(
        Code::KernelDiffers,
        Severity::Warning,
        format!(
            "{} of {} packets went another way than the rules had it when they were read",
            other.packets, live.packets
        ),
        "the rules may have changed meanwhile, or these packets belong to connections that \
         were there before: trace again",
    ))
}
