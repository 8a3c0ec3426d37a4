//! Services.

use super::{Converted, addresses, distinct, exact, has_label, object_name, port, protocol};
use crate::config::{parse_cidr, parse_ip};
use crate::source::objects as api;
use ipnet::IpNet;
use rules::model::{Service, ServicePort, ServiceType, TrafficPolicy};
use std::net::IpAddr;

/// Services with this label belong to another proxy.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";

/// Converts a Service (docs/reference.md#services-and-slices). Headless and ExternalName
/// Services, and those of another proxy, get no rules.
pub fn service(service: &api::Service) -> Converted<Service> {
    let Some(spec) = &service.spec else {
        return Converted::new(None, vec!["spec: is missing".to_owned()]);
    };
    let kind = match spec.type_.as_deref() {
        None | Some("") => "ClusterIP",
        Some(kind) => kind,
    };
    if kind == "ExternalName" || is_headless(spec) || has_label(&service.metadata, OTHER_PROXY) {
        return Converted::nothing();
    }
    let mut problems = Vec::new();
    let cluster_ips = cluster_ips(spec, &mut problems);
    let ports = ports(spec, &mut problems);
    if spec.ports.iter().flatten().next().is_none() {
        problems.push("spec.ports: is empty".to_owned());
    }
    if cluster_ips.is_empty() || ports.is_empty() {
        return Converted::new(None, problems);
    }
    let external_policy = external_policy(kind, spec, &mut problems);
    let internal_policy = policy(
        "internalTrafficPolicy",
        spec.internal_traffic_policy.as_ref(),
        &mut problems,
    );
    let external_ips = addresses(
        "spec.externalIPs",
        spec.external_ips.iter().flatten(),
        &mut problems,
    );
    let load_balancer_ips = load_balancer_ips(service, &mut problems);
    let health_check_node_port = (kind == "LoadBalancer"
        && external_policy == TrafficPolicy::Local)
        .then(|| health_check_node_port(spec, &mut problems))
        .flatten();
    let created = service.metadata.creation_timestamp.as_ref();
    let object = Service {
        name: object_name(&service.metadata),
        origin: None,
        created: created.map_or(0, |time| time.0.as_second()),
        cluster_ips,
        external_ips,
        load_balancer_ips,
        ports,
        internal_policy,
        external_policy,
        session_affinity: session_affinity(spec, &mut problems),
        source_ranges: source_ranges(spec, &mut problems),
        health_check_node_port,
        kind: match kind {
            "NodePort" => ServiceType::NodePort,
            "LoadBalancer" => ServiceType::LoadBalancer,
            _ => ServiceType::ClusterIp,
        },
    };
    Converted::new(Some(object), problems)
}

/// `clusterIP: None` says so, whatever else there is; without it no address does.
fn is_headless(spec: &api::ServiceSpec) -> bool {
    match spec.cluster_ip.as_deref() {
        Some("None") => true,
        None | Some("") => {
            let mut listed = spec.cluster_ips.iter().flatten();
            listed.all(|ip| ip.is_empty() || ip == "None")
        }
        Some(_) => false,
    }
}

/// `spec.clusterIPs`, or `spec.clusterIP` where that is all there is; the first
/// of each family.
fn cluster_ips(spec: &api::ServiceSpec, problems: &mut Vec<String>) -> Vec<IpAddr> {
    let listed = spec.cluster_ips.as_ref().filter(|list| !list.is_empty());
    let mut found = match listed {
        Some(list) => addresses("spec.clusterIPs", list, problems),
        None => spec
            .cluster_ip
            .iter()
            .filter_map(|text| {
                let found = parse_ip(text);
                if found.is_none() {
                    problems.push(format!("spec.clusterIP: {text:?} is not an IP address"));
                }
                found
            })
            .collect(),
    };
    let mut families = Vec::new();
    found.retain(|ip| {
        let new = !families.contains(&ip.is_ipv4());
        families.push(ip.is_ipv4());
        new
    });
    found
}

fn ports(spec: &api::ServiceSpec, problems: &mut Vec<String>) -> Vec<ServicePort> {
    let ports = spec.ports.iter().flatten().enumerate();
    exact(ports.filter_map(|(at, own)| {
        let protocol = protocol(
            format_args!("spec.ports[{at}].protocol"),
            own.protocol.as_ref(),
            problems,
        );
        let number = port(format_args!("spec.ports[{at}].port"), own.port, problems);
        let node_port = own.node_port.filter(|number| *number != 0);
        let node_port = node_port
            .and_then(|number| port(format_args!("spec.ports[{at}].nodePort"), number, problems));
        Some(ServicePort {
            name: own.name.as_deref().unwrap_or_default().into(),
            protocol: protocol?,
            port: number?,
            node_port,
        })
    }))
}

/// The API server gives one to each Service that has to have it.
fn health_check_node_port(spec: &api::ServiceSpec, problems: &mut Vec<String>) -> Option<u16> {
    match spec.health_check_node_port {
        None | Some(0) => {
            problems.push(
                "spec.healthCheckNodePort: is missing; load balancers cannot ask for local \
                 endpoints"
                    .to_owned(),
            );
            None
        }
        Some(number) => port(format_args!("spec.healthCheckNodePort"), number, problems),
    }
}

/// The policy of a Service that can be reached from outside: one of type ClusterIP
/// without external IPs cannot, so that what is left of other types is nothing
/// (k8s.io/kubernetes/pkg/api/v1/service, ExternallyAccessible).
fn external_policy(
    kind: &str,
    spec: &api::ServiceSpec,
    problems: &mut Vec<String>,
) -> TrafficPolicy {
    let given = policy(
        "externalTrafficPolicy",
        spec.external_traffic_policy.as_ref(),
        problems,
    );
    let has_external_ips = spec.external_ips.iter().flatten().next().is_some();
    match kind {
        "NodePort" | "LoadBalancer" => given,
        "ClusterIP" if has_external_ips => given,
        "ClusterIP" => TrafficPolicy::Cluster,
        other => {
            problems.push(format!(
                "spec.type: {other:?} is none of ClusterIP, NodePort, LoadBalancer, ExternalName; \
                 ClusterIP is assumed"
            ));
            TrafficPolicy::Cluster
        }
    }
}

fn policy(name: &str, value: Option<&String>, problems: &mut Vec<String>) -> TrafficPolicy {
    match value.map(String::as_str) {
        None | Some("" | "Cluster") => TrafficPolicy::Cluster,
        Some("Local") => TrafficPolicy::Local,
        Some(other) => {
            problems.push(format!(
                "spec.{name}: {other:?} is neither Cluster nor Local"
            ));
            TrafficPolicy::Cluster
        }
    }
}

/// How long a client keeps its endpoint, in seconds.
fn session_affinity(spec: &api::ServiceSpec, problems: &mut Vec<String>) -> Option<u32> {
    /// The API server's default and its greatest value.
    const DEFAULT: u32 = 3 * 3600;
    const MAX: u32 = 86_400;
    match spec.session_affinity.as_deref() {
        None | Some("" | "None") => return None,
        Some("ClientIP") => {}
        Some(other) => {
            let message = format!("spec.sessionAffinity: {other:?} is neither ClientIP nor None");
            problems.push(message);
            return None;
        }
    }
    let client_ip = spec
        .session_affinity_config
        .as_ref()
        .and_then(|config| config.client_ip.as_ref());
    let Some(seconds) = client_ip.and_then(|own| own.timeout_seconds) else {
        return Some(DEFAULT);
    };
    let allowed = u32::try_from(seconds)
        .ok()
        .filter(|own| (1..=MAX).contains(own));
    if allowed.is_none() {
        problems.push(format!(
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: {seconds} is not from 1 to {MAX}; \
             {DEFAULT} is used"
        ));
    }
    allowed.or(Some(DEFAULT))
}

/// The ranges of both families. One that cannot be read lets nobody in, as
/// leaving all of them out would let everybody in.
fn source_ranges(spec: &api::ServiceSpec, problems: &mut Vec<String>) -> Box<[IpNet]> {
    let ranges = spec
        .load_balancer_source_ranges
        .iter()
        .flatten()
        .enumerate();
    let mut found: Vec<IpNet> = Vec::new();
    let mut bad = false;
    for (at, text) in ranges {
        match parse_cidr(text.trim()) {
            Some(range) => found.push(range),
            None => {
                bad = true;
                problems.push(format!(
                    "spec.loadBalancerSourceRanges[{at}]: {text:?} is not a CIDR; nobody is let in by it"
                ));
            }
        }
    }
    if bad {
        // Of which family it was nobody knows. A range that no packet comes
        // from keeps the check in place where it would be the only one.
        for (nobody, v4) in [("0.0.0.0/32", true), ("::/128", false)] {
            if !found.iter().any(|range| range.addr().is_ipv4() == v4) {
                found.extend(nobody.parse::<IpNet>());
            }
        }
    }
    found.into()
}

/// Ingress addresses that packets really carry; mode Proxy means that they
/// arrive with another destination.
fn load_balancer_ips(service: &api::Service, problems: &mut Vec<String>) -> Vec<IpAddr> {
    let balancer = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.and_then(|balancer| balancer.ingress.as_ref());
    let listed = ingress.into_iter().flatten().enumerate();
    let texts = listed.filter_map(|(at, own)| match (&own.ip, own.ip_mode.as_deref()) {
        (Some(text), None | Some("VIP")) if !text.is_empty() => Some((at, text)),
        _ => None,
    });
    let name = |at| format!("status.loadBalancer.ingress[{at}].ip");
    distinct(texts, name, problems)
}
