//! Services with very many endpoints or ports, and names at their limits.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use e2e::address::ECHO_PORT;
use e2e::probe::Protocol;
use serde_json::{Value, json};

use super::{A1, B1, GROUP, SLOT};
use crate::conformance::case::{BRIEF, Breadth, Case, Source, cases};
use crate::conformance::object;
use crate::conformance::rig::Cluster;
use crate::conformance::spec::{Endpoint, Family, Frontend, Kind, Policy, Port, Service, State};

/// As long as a namespace's name may be.
const LONG: usize = 63;
/// The controller's own limit of endpoints in a slice.
const SLICE: u16 = 100;
const TCP: Breadth<'_> = Breadth {
    datagrams: &[],
    ..BRIEF
};

/// Posts all of them; returns their cases.
pub(super) fn put(cluster: &Cluster) -> Result<Vec<Case>> {
    let mut all = thousand(cluster)?;
    all.extend(ports(cluster)?);
    all.extend(names(cluster)?);
    Ok(all)
}

/// Deletes what has a namespace of its own.
pub(super) fn clear(cluster: &Cluster) -> Result<()> {
    let label = format!("{}={GROUP}", object::LABEL);
    for path in paths(&long_name()) {
        cluster.api.delete_labelled(&path, &label)?;
    }
    Ok(())
}

/// A thousand endpoints in ten slices, and two hundred with affinity, half of them here.
fn thousand(cluster: &Cluster) -> Result<Vec<Case>> {
    let mut all = Vec::new();
    for (name, slot, count, affinity) in [
        ("edge-thousand", SLOT + 5, 1000, None),
        ("edge-many-sticky", SLOT + 6, 200, Some(60)),
    ] {
        let mut service = Service::new(name, slot);
        service.ports.truncate(1);
        service.external = Policy::Local;
        service.affinity = affinity;
        let [services, slices] = paths("default");
        for family in Family::BOTH {
            for first in (0..count).step_by(usize::from(SLICE)) {
                cluster.api.post(&slices, &slice(&service, family, first))?;
            }
        }
        cluster
            .api
            .post(&services, &object::service(&service, GROUP))?;
        if let Some(status) = object::status(&service) {
            cluster
                .api
                .patch(&format!("{services}/{name}/status"), &status)?;
        }
        // Two pods stand behind all of them.
        service.endpoints = [A1, B1].map(|pod| Endpoint::new(pod, State::Ready)).into();
        let words = format!("{count} endpoints in several slices, policy Local");
        all.extend(cases(&service, &words, TCP));
    }
    Ok(all)
}

fn slice(service: &Service, family: Family, first: u16) -> Value {
    let endpoints: Vec<_> = (first..first + SLICE)
        .map(|number| {
            // Every other one is here.
            let (number, elsewhere) = (number / 2 + 1, number % 2);
            let third = 100 + 2 * elsewhere;
            let address = match family {
                Family::V4 => {
                    let base = u32::from(Ipv4Addr::new(
                        10,
                        244,
                        u8::try_from(third).unwrap_or_default(),
                        0,
                    ));
                    Ipv4Addr::from(base + u32::from(number)).to_string()
                }
                // The ranges' numbers are written alike in both families.
                Family::V6 => {
                    let fourth = 0x100 + 2 * elsewhere;
                    Ipv6Addr::new(0xfd00, 0x10, 0x244, fourth, 0, 0, 0, number).to_string()
                }
            };
            json!({
                "addresses": [address],
                "conditions": {"ready": true, "serving": true, "terminating": false},
                "nodeName": format!("node-{}", elsewhere + 1),
            })
        })
        .collect();
    let port = &service.ports[0];
    let name = format!("{}-{}-{first}", service.name, family.name().to_lowercase());
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {
            object::LABEL: GROUP,
            "kubernetes.io/service-name": service.name,
        }},
        "addressType": family.name(),
        "ports": [{"name": port.name, "protocol": "TCP", "port": port.target}],
        "endpoints": endpoints,
    })
}

/// Sixty ports at a cluster IP and an external IP.
fn ports(cluster: &Cluster) -> Result<Vec<Case>> {
    let mut service = Service::new("edge-ports", SLOT + 7);
    // Node ports of that many would be other Services'.
    service.kind = Kind::ClusterIp;
    service.ports = (0..60)
        .map(|number| Port {
            // Names are constants everywhere else.
            name: Box::leak(format!("port-{number}").into_boxed_str()),
            protocol: Protocol::Tcp,
            port: 1000 + number,
            target: ECHO_PORT,
        })
        .collect();
    service.endpoints = vec![Endpoint::new(A1, State::Ready)];
    cluster.put(&service, GROUP)?;
    let breadth = Breadth {
        frontends: &[Frontend::ClusterIp, Frontend::ExternalIp],
        sources: &[Source::Outside],
        datagrams: &[],
    };
    Ok(cases(&service, "sixty ports", breadth))
}

/// Namespace, Service and port with the longest possible names, and all that makes objects of its
/// own named after them.
fn names(cluster: &Cluster) -> Result<Vec<Case>> {
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": long_name()}});
    cluster.api.post("/api/v1/namespaces", &namespace)?;
    let mut service = Service::new(&format!("edge-{}", "s".repeat(LONG - 5)), SLOT + 8);
    service.ports[0].name = "fifteen-letters";
    service.ports[1].name = "fifteen-letterz";
    service.external = Policy::Local;
    service.affinity = Some(60);
    service.ranges = vec!["203.0.113.0/24", "2001:db8:113::/64"];
    service.endpoints = [A1, B1].map(|pod| Endpoint::new(pod, State::Ready)).into();
    let [services, slices] = paths(&long_name());
    for (number, mut slice) in object::slices(&service, GROUP).into_iter().enumerate() {
        // The Service's name leaves no room for a suffix.
        slice["metadata"]["name"] = json!(format!("long-{number}"));
        cluster.api.post(&slices, &slice)?;
    }
    cluster
        .api
        .post(&services, &object::service(&service, GROUP))?;
    if let Some(status) = object::status(&service) {
        cluster
            .api
            .patch(&format!("{services}/{}/status", service.name), &status)?;
    }
    Ok(cases(
        &service,
        "namespace, Service and port names at their limits",
        BRIEF,
    ))
}

fn long_name() -> String {
    "n".repeat(LONG)
}

/// The collections of Services and EndpointSlices of a namespace.
fn paths(namespace: &str) -> [String; 2] {
    [
        format!("/api/v1/namespaces/{namespace}/services"),
        format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"),
    ]
}
