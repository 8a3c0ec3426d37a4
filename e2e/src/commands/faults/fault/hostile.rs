//! Objects that hurt come while traffic runs: everything else is served on, changes too.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Course, Fault, Scale};
use crate::faults::objects::{Service, idle};
use crate::faults::site::Site;

const LIMIT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);

type Objects = fn(Scale) -> Vec<Value>;

pub(super) fn faults() -> Vec<Fault> {
    let kinds: [(&str, Objects); 7] = [
        ("source-ranges", source_ranges),
        ("affinity", affinity),
        ("external-ips", external_ips),
        ("takeover", takeover),
        ("long-names", long_names),
        ("malformed", malformed),
        ("undecodable", undecodable),
    ];
    kinds
        .into_iter()
        .map(|(name, objects)| {
            let run = move |site: &mut Site, scale: Scale| come_and_go(site, scale, objects);
            // Not even `busy`, which is not changed.
            Fault::new(&format!("hostile-{name}"), LIMIT, run).touching(|_| false)
        })
        .collect()
}

fn come_and_go(site: &mut Site, scale: Scale, objects: Objects) -> Result<Course> {
    let times = scale.choose(2, 10);
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        let objects = objects(scale);
        site.api.put_all(objects.iter().cloned());
        longest = longest.max(site.follows(PATIENCE)?);
        for object in &objects {
            site.api.delete(object);
        }
        longest = longest.max(site.follows(PATIENCE)?);
    }
    Ok(Course {
        times,
        recovered: longest,
    })
}

fn service(name: &str, host: u8, spec: &Value) -> Value {
    let ip = format!("10.96.3.{host}");
    let mut service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "tenant", "creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": {
            "clusterIP": ip,
            "clusterIPs": [ip],
            "ports": [{"name": "p", "protocol": "TCP", "port": 80}],
        },
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        service["spec"][key] = value.clone();
    }
    service
}

fn slice(service: &str, ports: &Value, endpoints: u16) -> Value {
    let endpoints: Vec<_> = (0..endpoints)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            json!({"addresses": [format!("10.244.{}.{low}", 200 + high)], "conditions": {"ready": true}})
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-1"),
            "namespace": "tenant",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": endpoints,
    })
}

fn ports(count: u16) -> Value {
    let port =
        |number| json!({"name": format!("p{number}"), "protocol": "TCP", "port": 1000 + number});
    (0..count).map(port).collect()
}

/// Ranges times ports.
fn source_ranges(scale: Scale) -> Vec<Value> {
    let ranges: u16 = scale.choose(1000, 5000);
    let range = |number: u16| {
        let [high, low] = number.to_be_bytes();
        format!("100.{high}.{low}.0/28")
    };
    let mut service = service(
        "ranges",
        1,
        &json!({
            "type": "LoadBalancer",
            "ports": ports(10),
            "loadBalancerSourceRanges": (0..ranges).map(range).collect::<Vec<_>>(),
        }),
    );
    service["status"]["loadBalancer"]["ingress"] = json!([{"ip": "198.51.100.77"}]);
    vec![service, slice("ranges", &ports(10), 2)]
}

/// Affinity times endpoints.
fn affinity(scale: Scale) -> Vec<Value> {
    let service = service("sticky", 2, &json!({"sessionAffinity": "ClientIP"}));
    let ports = json!([{"name": "p", "protocol": "TCP", "port": 8080}]);
    vec![service, slice("sticky", &ports, scale.choose(200, 1000))]
}

/// Addresses times ports times endpoints.
fn external_ips(scale: Scale) -> Vec<Value> {
    let count: u16 = scale.choose(50, 200);
    let ip = |number: u16| format!("198.51.101.{}", number % 250 + 1);
    let service = service(
        "external",
        3,
        &json!({
            "externalIPs": (0..count).map(ip).collect::<Vec<_>>(),
            "ports": ports(10),
        }),
    );
    vec![service, slice("external", &ports(10), 200)]
}

/// An older Service wants the others' cluster IPs, and their node ports.
fn takeover(_: Scale) -> Vec<Value> {
    let ips: Vec<_> = Service::ALL
        .iter()
        .flat_map(|service| service.cluster_ips().both())
        .collect();
    let port = Service::Calm.node_port(80);
    let evil = service(
        "evil",
        4,
        &json!({
            "type": "NodePort",
            "externalIPs": ips,
            "ports": [
                {"name": "p", "protocol": "TCP", "port": 80},
                {"name": "held", "protocol": "TCP", "port": 90},
                {"name": "q", "protocol": "TCP", "port": 81, "nodePort": port + 1000},
            ],
        }),
    );
    let ports = json!([{"name": "p", "protocol": "TCP", "port": 9}]);
    vec![evil, slice("evil", &ports, 2)]
}

/// Names that are the same where they are cut.
fn long_names(_: Scale) -> Vec<Value> {
    let name = |last: char| format!("{}{last}", "n".repeat(62));
    let affinity = json!({"sessionAffinity": "ClientIP"});
    let ports = json!([{"name": "p", "protocol": "TCP", "port": 8080}]);
    ['a', 'b']
        .into_iter()
        .zip(5..)
        .flat_map(|(last, host)| {
            let name = name(last);
            [service(&name, host, &affinity), slice(&name, &ports, 1)]
        })
        .collect()
}

/// Fields with values that make no sense.
fn malformed(_: Scale) -> Vec<Value> {
    let ports = json!([{"name": "p", "protocol": "TCP", "port": 8080}]);
    let mut odd = slice("odd", &ports, 3);
    odd["endpoints"][0]["addresses"] = json!(["999.1.1.1"]);
    odd["endpoints"][1]["addresses"] = json!(["fd00::1", "127.0.0.1"]);
    odd["endpoints"][2]["addresses"] = json!([]);
    let mut other = idle(1, &[])[1].clone();
    other["addressType"] = "FQDN".into();
    vec![
        service(
            "odd",
            7,
            &json!({
                "clusterIPs": ["10.96.3.7", "not an address", "::ffff:10.96.3.7"],
                "externalIPs": ["", "0.0.0.0", "127.0.0.1", "224.0.0.1", "\u{0}"],
                "loadBalancerSourceRanges": ["0.0.0.0/33", "10.0.0.0/8 ", "x"],
                "sessionAffinity": "Whatever",
                "externalTrafficPolicy": "Nowhere",
            }),
        ),
        odd,
        other,
    ]
}

/// Values of another type than the schema's.
fn undecodable(_: Scale) -> Vec<Value> {
    let ports = json!([{"name": "p", "protocol": "TCP", "port": 8080}]);
    let mut odd = slice("untyped", &ports, 1);
    odd["endpoints"] = json!({"addresses": 5});
    vec![
        service(
            "untyped",
            8,
            &json!({"ports": [{"port": "eighty"}], "externalIPs": 7}),
        ),
        odd,
    ]
}
