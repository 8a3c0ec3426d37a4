//! Who of those that could serve does, and how it is shared: KP102, KP103, KP104, KP105, KP201, KP202,
//! KP206.

use super::{Case, some};
use crate::explain::data::{ClientAddress, EndpointExplained, FrontendKind, Policy};
use crate::explain::endpoints::fair_share;
use crate::finding::{Code, Finding, Severity};
use crate::model::Family;
use crate::select::{self, HintUse, Ignored};

/// Shares above so many times the fair one are told.
const UNFAIR: f64 = 2.0;
/// What is left of a share's precision.
const PRECISION: f64 = 1e-9;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(none_here(case));
    found.extend(health(case));
    found.extend(kernel(case));
    found.extend(unequal(case));
    found.extend(client_address(case));
    found.extend(hints(case));
    found
}

/// KP102, and KP103 for this node.
fn none_here(case: &Case<'_>) -> Vec<Finding> {
    let told = case.told;
    let mut found = Vec::new();
    if told.external_policy == Some(Policy::Local) {
        let has_health_port = case.service.health_check_node_port.is_some();
        let (severity, remedy) = match has_health_port {
            true => (
                Severity::Info,
                "nothing, for a load balancer that asks the health check port, which answers 503 here",
            ),
            false => (
                Severity::Warning,
                "send clients only to nodes that have an endpoint, run a pod on each node (DaemonSet, \
                 topologySpreadConstraints), or use externalTrafficPolicy: Cluster",
            ),
        };
        let text = "connections of outside clients that arrive here are dropped";
        let used = |own: &EndpointExplained| own.used_outside == Some(true);
        found.extend(of_policy(
            case,
            used,
            severity,
            text,
            remedy,
            "externalTrafficPolicy",
        ));
    }
    if told.internal_policy == Policy::Local {
        let text = "connections of pods on this node are dropped";
        let remedy = "run a pod on each node that has clients (DaemonSet), or use \
                      internalTrafficPolicy: Cluster";
        let used = |own: &EndpointExplained| own.used_inside;
        let field = "internalTrafficPolicy";
        found.extend(of_policy(case, used, Severity::Error, text, remedy, field));
    }
    found
}

fn of_policy(
    case: &Case<'_>,
    used: impl Fn(&EndpointExplained) -> bool,
    severity: Severity,
    text: &str,
    remedy: &str,
    field: &str,
) -> Option<Finding> {
    let all = &case.told.endpoints;
    let here: Vec<&EndpointExplained> = all.iter().filter(|own| used(own)).collect();
    let elsewhere: Vec<&EndpointExplained> = all
        .iter()
        .filter(|own| own.ready && own.port.is_some())
        .collect();
    let finding = if here.is_empty() && !elsewhere.is_empty() {
        let nodes = elsewhere.iter().filter_map(|own| own.node.clone());
        let mut nodes: Vec<String> = nodes.collect();
        nodes.sort_unstable();
        nodes.dedup();
        Finding::new(
            Code::NoneOnThisNode,
            severity,
            format!("{field} is Local and no endpoint is on this node: {text}"),
            remedy,
        )
        .because(format!("ready endpoints are on {}", some(nodes).join(", ")))
    } else if !here.is_empty() && here.iter().all(|own| !own.ready) && !elsewhere.is_empty() {
        Finding::new(
            Code::OnlyTerminating,
            Severity::Warning,
            format!(
                "{field} is Local and the endpoints on this node terminate; after that nobody serves here"
            ),
            "keep one ready per node: maxSurge above 0 and maxUnavailable: 0",
        )
    } else {
        return None;
    };
    Some(finding.about(case.object()).on(case.node()))
}

/// KP104.
fn health(case: &Case<'_>) -> Vec<Finding> {
    let Some(health) = &case.told.health else {
        return Vec::new();
    };
    let port = health.port;
    let bad = health.nodes.iter().filter_map(|own| {
        let should = format!(
            "it has {} ready endpoint{}, so it should answer {}",
            own.local_endpoints,
            if own.local_endpoints == 1 { "" } else { "s" },
            own.expected
        );
        let (message, remedy) = match (own.answered, &own.error) {
            (Some(status), _) if status != own.expected => (
                format!("health check port {port} answers {status}; {should}"),
                "see whether that node's proxy is behind: its log, and /healthz on port 10256",
            ),
            (None, Some(error)) => (
                format!("health check port {port} does not answer ({error}); {should}"),
                "see whether the proxy runs on that node, and let balancers' health checks through its firewall",
            ),
            _ => return None,
        };
        let severity = Severity::Error;
        let finding = Finding::new(Code::HealthPortDisagrees, severity, message, remedy);
        Some(finding.about(case.object()).on(&own.node))
    });
    bad.collect()
}

/// KP105.
fn kernel(case: &Case<'_>) -> Vec<Finding> {
    let differs = case
        .told
        .kernel
        .iter()
        .filter(|own| own.as_it_should == Some(false));
    let found = differs.map(|own| {
        let mut finding = Finding::new(
            Code::KernelDiffers,
            Severity::Error,
            format!("the kernel's {} rules are not what the objects ask for", own.family),
            "a running proxy mends this within a second: look again; if it stays, see the proxy's log \
             and /healthz on port 10256, and who edits the table (nft monitor)",
        );
        finding.evidence = some(own.differences.clone());
        finding.about(case.object()).on(case.node())
    });
    found.collect()
}

/// KP201.
fn unequal(case: &Case<'_>) -> Option<Finding> {
    if case.told.external_policy != Some(Policy::Local) {
        return None;
    }
    let ports = case.service.ports.iter();
    // Each family's connections are shared by the endpoints of that family.
    let mut places = ports.flat_map(|port| case.places.iter().map(move |place| (port, place)));
    places.find_map(|(port, place)| {
        let of_port = |own: &&EndpointExplained| {
            *own.port_name == *port.name && Family::of(own.address) == place.config.family
        };
        let endpoints = case.told.endpoints.iter().filter(of_port).cloned();
        let endpoints: Vec<EndpointExplained> = endpoints.collect();
        let fair = fair_share(&endpoints);
        let share = |own: &EndpointExplained| own.share_outside.unwrap_or(0.0);
        let busiest = endpoints
            .iter()
            .max_by(|a, b| share(a).total_cmp(&share(b)))?;
        let times = share(busiest) / fair;
        if fair == 0.0 || times <= UNFAIR + PRECISION {
            return None;
        }
        let finding = Finding::new(
            Code::UnequalShare,
            Severity::Warning,
            format!(
                "{} on {} gets {:.1}% of the connections from outside, {times:.1} times the fair \
                 share of {:.1}%, if the balancer spreads over nodes",
                busiest
                    .pod
                    .clone()
                    .unwrap_or_else(|| busiest.address.to_string()),
                busiest.node.as_deref().unwrap_or("no node"),
                100.0 * share(busiest),
                100.0 * fair,
            ),
            format!(
                "spread the pods over the nodes, or use a balancer that reads the weight header; \
                 kube-proxy advise {} has it ready to paste",
                case.service.name
            ),
        );
        Some(finding.about(case.object()))
    })
}

/// KP202.
fn client_address(case: &Case<'_>) -> Option<Finding> {
    // masqueradeAll is about cluster IPs alone.
    if case.told.external_policy != Some(Policy::Cluster) {
        return None;
    }
    let frontends = &case.told.frontends;
    let lost = frontends.iter().find(|own| {
        own.kind != FrontendKind::ClusterIp
            && own.outside.client_address == Some(ClientAddress::Replaced)
    })?;
    let finding = Finding::new(
        Code::ClientAddressLost,
        Severity::Info,
        "externalTrafficPolicy is Cluster: pods see a node's address instead of an outside client's",
        "if somebody reads the address: externalTrafficPolicy: Local, or PROXY protocol or \
         X-Forwarded-For by a balancer or an ingress",
    );
    let chain = lost.chain.as_deref().unwrap_or("no chain");
    let fact = format!("chain {chain}: {}", lost.meaning);
    Some(finding.about(case.object()).because(fact))
}

/// KP206.
fn hints(case: &Case<'_>) -> Option<Finding> {
    let place = case.places.first()?;
    let entry = place.view.state.entry(&case.service.name)?;
    let endpoints = entry.slices.iter().flat_map(|slice| &slice.endpoints);
    let hinted = endpoints.into_iter().any(|own| {
        let has_any = !own.hints.zones().is_empty() || !own.hints.nodes().is_empty();
        own.ready && has_any
    });
    if !hinted && case.known.traffic_distribution.is_none() {
        return None;
    }
    let policy = crate::model::TrafficPolicy::Cluster;
    let mut ports = case.service.ports.iter();
    let (node, zone) = ports.find_map(|port| {
        let name = &case.service.name;
        let explained = select::explain(place.config, place.view, name, port, policy)?;
        match explained.hints {
            HintUse::Ignored { node, zone } => Some((node, zone)),
            _ => None,
        }
    })?;
    let by_zone = match zone {
        Ignored::ZoneUnknown => "this Node has no label topology.kubernetes.io/zone".to_owned(),
        Ignored::Missing { without, ready } => {
            format!("{without} of {ready} ready endpoints have no zone hint, and all need one")
        }
        Ignored::NoneForHere => "no ready endpoint has a hint for this zone".to_owned(),
    };
    let by_node = match node {
        Ignored::Missing { without, ready } => {
            format!("{without} of {ready} ready endpoints have no node hint")
        }
        _ => "no ready endpoint has a hint for this node".to_owned(),
    };
    let remedy = match zone {
        Ignored::ZoneUnknown => "label the node with topology.kubernetes.io/zone",
        Ignored::Missing { .. } => {
            "see why the EndpointSlice controller gives no hints: its Events on the Service, nodes \
             without a zone; a slice written by hand needs a hint on each endpoint"
        }
        Ignored::NoneForHere => "run a ready pod in each zone that has clients",
    };
    let finding = Finding::new(
        Code::HintsIgnored,
        Severity::Warning,
        "topology hints are ignored: this node uses the ready endpoints of all zones",
        remedy,
    );
    let finding = finding.about(case.object()).on(case.node());
    let finding = finding.because(by_zone);
    Some(match node {
        // Nobody expects hints for nodes where none are given.
        Ignored::Missing { without, ready } if without == ready => finding,
        _ => finding.because(by_node),
    })
}
