//! Services and EndpointSlices as the API server takes them.

use std::collections::BTreeSet;

use e2e::address::virtual_ip;
use serde_json::{Value, json};

use crate::conformance::spec::{
    Endpoint, Family, Ingress, Kind, PODS, Place, Policy, Service, State, external_ips,
};

/// The label of everything that the harness posts, for its removal.
pub(crate) const LABEL: &str = "conformance";

/// The Service, without its status.
pub(crate) fn service(service: &Service, group: &str) -> Value {
    let ports: Vec<_> = service.ports.iter().map(|port| {
        let mut value = json!({
            "name": port.name, "protocol": port.protocol.name(), "port": port.port, "targetPort": port.target,
        });
        if service.has_node_ports() {
            value["nodePort"] = json!(service.node_port(port));
        }
        value
    }).collect();
    let external_ips: Vec<_> = service
        .external_ips
        .iter()
        .flat_map(|slot| {
            let families = service.families.iter();
            families.map(|family| family.of(external_ips(*slot)))
        })
        .collect();
    let mut spec = json!({
        "type": kind(service.kind),
        "ports": ports,
        "externalIPs": external_ips,
        "sessionAffinity": if service.affinity.is_some() { "ClientIP" } else { "None" },
        "sessionAffinityConfig": service.affinity.map(|timeout| json!({"clientIP": {"timeoutSeconds": timeout}})),
    });
    match service.kind {
        Kind::ExternalName => spec["externalName"] = json!("example.org"),
        Kind::Headless => {
            spec["clusterIP"] = json!("None");
            spec["clusterIPs"] = json!(["None"]);
        }
        _ => {
            let ips: Vec<_> = service
                .families
                .iter()
                .map(|family| service.cluster_ip(*family))
                .collect();
            spec["clusterIP"] = json!(ips[0]);
            spec["clusterIPs"] = json!(ips);
            spec["internalTrafficPolicy"] = json!(policy(service.internal));
        }
    }
    if service.kind != Kind::ExternalName {
        let families: Vec<_> = service
            .families
            .iter()
            .map(|family| family.name())
            .collect();
        let both = families.len() == 2;
        spec["ipFamilyPolicy"] = json!(if both {
            "RequireDualStack"
        } else {
            "SingleStack"
        });
        spec["ipFamilies"] = json!(families);
    }
    if service.is_external() && !matches!(service.kind, Kind::Headless | Kind::ExternalName) {
        spec["externalTrafficPolicy"] = json!(policy(service.external));
    }
    if service.kind == Kind::LoadBalancer {
        spec["loadBalancerSourceRanges"] = json!(service.ranges);
        if let Some(port) = service.health_port() {
            spec["healthCheckNodePort"] = json!(port);
        }
    }
    let mut labels = json!({LABEL: group});
    if service.other_proxy {
        labels["service.kubernetes.io/service-proxy-name"] = json!("another");
    }
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service.name, "labels": labels},
        "spec": spec,
    })
}

/// The status, as a cloud's controller would set it, if there is one.
pub(crate) fn status(service: &Service) -> Option<Value> {
    let mode = match service.ingress {
        _ if service.kind != Kind::LoadBalancer => return None,
        Ingress::None => return None,
        Ingress::Vip => "VIP",
        Ingress::Proxy => "Proxy",
    };
    let families = service.families.iter();
    let ingress: Vec<_> = families
        .map(|family| json!({"ip": family.of(virtual_ip(service.slot)), "ipMode": mode}))
        .collect();
    Some(json!({"status": {"loadBalancer": {"ingress": ingress}}}))
}

/// Its slices, at least one for each of its families.
pub(crate) fn slices(service: &Service, group: &str) -> Vec<Value> {
    let mut numbers: BTreeSet<_> = service
        .endpoints
        .iter()
        .map(|endpoint| endpoint.slice)
        .collect();
    numbers.insert(0);
    let families = service.families.iter();
    families
        .flat_map(|family| {
            numbers
                .iter()
                .map(|number| slice(service, group, *family, *number))
        })
        .collect()
}

fn slice(service: &Service, group: &str, family: Family, number: u8) -> Value {
    let ports: Vec<_> = service.ports.iter().map(|port| {
        json!({"name": port.name, "protocol": port.protocol.name(), "port": port.target})
    }).collect();
    let within = service
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.slice == number);
    let endpoints: Vec<_> = within.map(|one| endpoint(one, family)).collect();
    let mut labels = json!({
        LABEL: group,
        "kubernetes.io/service-name": service.name,
    });
    if service.kind == Kind::Headless {
        labels["service.kubernetes.io/headless"] = json!("");
    }
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{}-{}-{number}", service.name, family.name().to_lowercase()),
            "labels": labels,
        },
        "addressType": family.name(),
        "ports": ports,
        "endpoints": endpoints,
    })
}

fn endpoint(endpoint: &Endpoint, family: Family) -> Value {
    let (ready, serving, terminating) = match endpoint.state {
        State::Ready => (true, true, false),
        State::Unready => (false, false, false),
        State::Serving => (false, true, true),
        State::Gone => (false, false, true),
    };
    let (_, node) = PODS[endpoint.pod];
    let named = |names: &[&str]| {
        names
            .iter()
            .map(|name| json!({"name": name}))
            .collect::<Vec<_>>()
    };
    let mut value = json!({
        "addresses": [endpoint.address(family)],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
    });
    match endpoint.place {
        Place::Real => value["nodeName"] = json!(format!("node-{node}")),
        Place::Unknown => value["nodeName"] = json!("node-9"),
        Place::Unsaid => {}
    }
    for (key, names) in [("forZones", &endpoint.zones), ("forNodes", &endpoint.nodes)] {
        if !names.is_empty() {
            value["hints"][key] = json!(named(names));
        }
    }
    value
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::ClusterIp | Kind::Headless => "ClusterIP",
        Kind::NodePort => "NodePort",
        Kind::LoadBalancer => "LoadBalancer",
        Kind::ExternalName => "ExternalName",
    }
}

fn policy(policy: Policy) -> &'static str {
    match policy {
        Policy::Cluster => "Cluster",
        Policy::Local => "Local",
    }
}
