//! Services.

mod bad;

use super::{object, with};
use crate::source::convert::{Converted, service};
use rules::model::{ObjectName, Protocol, Service, ServicePort, ServiceType, TrafficPolicy};
use serde_json::{Value, json};
use std::net::IpAddr;

fn base() -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": "web",
                     "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "10.96.0.10",
            "clusterIPs": ["10.96.0.10", "fd00:10:96::a"],
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}],
            "externalIPs": ["203.0.113.5"],
            "externalTrafficPolicy": "Local",
            "internalTrafficPolicy": "Cluster",
            "healthCheckNodePort": 32000,
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1", "ipMode": "VIP"}]}},
    })
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

fn expected() -> Service {
    Service {
        name: ObjectName::new("shop", "web"),
        origin: None,
        created: 1_767_225_600,
        cluster_ips: ips(&["10.96.0.10", "fd00:10:96::a"]),
        external_ips: ips(&["203.0.113.5"]),
        load_balancer_ips: ips(&["198.51.100.1"]),
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: Some(30080),
        }],
        internal_policy: TrafficPolicy::Cluster,
        external_policy: TrafficPolicy::Local,
        health_check_node_port: Some(32000),
        kind: ServiceType::LoadBalancer,
        ..Service::default()
    }
}

fn convert(value: Value) -> Converted<Service> {
    service(&object(value))
}

#[test]
fn everything_that_rules_need_is_read() {
    let found = convert(base());
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!(found.object, Some(expected()));
}

/// A change of the base object and what it makes of the expected one.
type Row = (&'static str, &'static str, Value, fn(&mut Service));

#[test]
fn fields_mean_what_the_reference_says() {
    let rows: &[Row] = &[
        (
            "no namespace means default",
            "/metadata/namespace",
            Value::Null,
            |own| {
                own.name = ObjectName::new("default", "web");
            },
        ),
        (
            "no creation time",
            "/metadata/creationTimestamp",
            Value::Null,
            |own| own.created = 0,
        ),
        ("clusterIP alone", "/spec/clusterIPs", Value::Null, |own| {
            own.cluster_ips = ips(&["10.96.0.10"]);
        }),
        ("the list says all", "/spec/clusterIP", Value::Null, |_| {}),
        (
            "one address of each family",
            "/spec/clusterIPs",
            json!(["fd00::1", "10.96.0.11", "10.96.0.12", "fd00::2"]),
            |own| {
                own.cluster_ips = ips(&["fd00::1", "10.96.0.11"]);
            },
        ),
        (
            "lenient cluster IPs",
            "/spec/clusterIPs",
            json!(["010.096.0.010"]),
            |own| {
                own.cluster_ips = ips(&["10.96.0.10"]);
            },
        ),
        ("type ClusterIP", "/spec/type", json!("ClusterIP"), |own| {
            own.kind = ServiceType::ClusterIp;
            own.health_check_node_port = None;
        }),
        ("no type is ClusterIP", "/spec/type", Value::Null, |own| {
            own.kind = ServiceType::ClusterIp;
            own.health_check_node_port = None;
        }),
        ("type NodePort", "/spec/type", json!("NodePort"), |own| {
            own.kind = ServiceType::NodePort;
            own.health_check_node_port = None;
        }),
        (
            "policy Cluster",
            "/spec/externalTrafficPolicy",
            json!("Cluster"),
            |own| {
                own.external_policy = TrafficPolicy::Cluster;
                own.health_check_node_port = None;
            },
        ),
        (
            "no external policy",
            "/spec/externalTrafficPolicy",
            Value::Null,
            |own| {
                own.external_policy = TrafficPolicy::Cluster;
                own.health_check_node_port = None;
            },
        ),
        (
            "internal policy Local",
            "/spec/internalTrafficPolicy",
            json!("Local"),
            |own| {
                own.internal_policy = TrafficPolicy::Local;
            },
        ),
        (
            "no internal policy",
            "/spec/internalTrafficPolicy",
            Value::Null,
            |_| {},
        ),
        ("no external IPs", "/spec/externalIPs", Value::Null, |own| {
            own.external_ips.clear();
        }),
        (
            "external IPs of both families, each once",
            "/spec/externalIPs",
            json!(["2001:db8::5", "203.0.113.5", "203.0.113.005"]),
            |own| {
                own.external_ips = ips(&["2001:db8::5", "203.0.113.5"]);
            },
        ),
        ("no status", "/status", Value::Null, |own| {
            own.load_balancer_ips.clear();
        }),
        (
            "no load balancer",
            "/status/loadBalancer",
            Value::Null,
            |own| {
                own.load_balancer_ips.clear();
            },
        ),
        (
            "no ipMode means VIP",
            "/status/loadBalancer/ingress",
            json!([{"ip": "198.51.100.2"}]),
            |own| own.load_balancer_ips = ips(&["198.51.100.2"]),
        ),
        (
            "ipMode Proxy is not ours",
            "/status/loadBalancer/ingress",
            json!([{"ip": "198.51.100.2", "ipMode": "Proxy"}, {"ip": "198.51.100.3"}]),
            |own| own.load_balancer_ips = ips(&["198.51.100.3"]),
        ),
        (
            "host names and empty addresses",
            "/status/loadBalancer/ingress",
            json!([{"hostname": "lb.example"}, {"ip": ""}, {"ip": "198.51.100.3"}]),
            |own| own.load_balancer_ips = ips(&["198.51.100.3"]),
        ),
        (
            "load-balancer IPs of both families, each once",
            "/status/loadBalancer/ingress",
            json!([{"ip": "2001:db8::3"}, {"ip": "198.51.100.3"}, {"ip": "198.51.100.003"}]),
            |own| own.load_balancer_ips = ips(&["2001:db8::3", "198.51.100.3"]),
        ),
        ("no port name", "/spec/ports/0/name", Value::Null, |own| {
            own.ports[0].name = "".into();
        }),
        (
            "no protocol means TCP",
            "/spec/ports/0/protocol",
            Value::Null,
            |_| {},
        ),
        ("UDP", "/spec/ports/0/protocol", json!("UDP"), |own| {
            own.ports[0].protocol = Protocol::Udp;
        }),
        ("SCTP", "/spec/ports/0/protocol", json!("SCTP"), |own| {
            own.ports[0].protocol = Protocol::Sctp;
        }),
        (
            "no node port",
            "/spec/ports/0/nodePort",
            Value::Null,
            |own| {
                own.ports[0].node_port = None;
            },
        ),
        ("node port 0", "/spec/ports/0/nodePort", json!(0), |own| {
            own.ports[0].node_port = None;
        }),
        (
            "not ready addresses are the controller's matter",
            "/spec/publishNotReadyAddresses",
            json!(true),
            |_| {},
        ),
        (
            "traffic distribution acts by hints",
            "/spec/trafficDistribution",
            json!("PreferSameZone"),
            |_| {},
        ),
    ];
    for (what, pointer, value, change) in rows {
        let found = convert(with(base(), pointer, value.clone()));
        let mut wanted = expected();
        change(&mut wanted);
        assert_eq!(found.problems, Vec::<String>::new(), "{what}");
        assert_eq!(found.object, Some(wanted), "{what}");
    }
}

#[test]
fn affinity_and_source_ranges_are_read() {
    let affinity = |timeout: Value| {
        let config = json!({"clientIP": {"timeoutSeconds": timeout}});
        let value = with(base(), "/spec/sessionAffinity", json!("ClientIP"));
        with(value, "/spec/sessionAffinityConfig", config)
    };
    for (value, seconds) in [
        (with(base(), "/spec/sessionAffinity", json!("None")), None),
        (
            with(base(), "/spec/sessionAffinity", json!("ClientIP")),
            Some(10_800),
        ),
        (affinity(Value::Null), Some(10_800)),
        (affinity(json!(1)), Some(1)),
        (affinity(json!(86_400)), Some(86_400)),
    ] {
        let found = convert(value);
        assert_eq!(found.problems, Vec::<String>::new());
        assert_eq!(found.object.expect("a Service").session_affinity, seconds);
    }
}

#[test]
fn source_ranges_close_what_they_name() {
    // Written, and read; the last two name nobody, and stand for both families.
    for (texts, read) in [
        (
            json!([" 203.0.113.0/24 ", "2001:db8::/32"]),
            vec!["203.0.113.0/24", "2001:db8::/32"],
        ),
        (json!(["203.0.113.9/24"]), vec!["203.0.113.0/24"]),
        (json!(["203.000.113.000/024"]), vec!["203.0.113.0/24"]),
        (json!(["::ffff:203.0.113.0/120"]), vec!["203.0.113.0/24"]),
        (json!(["::ffff:cb00:7100/120"]), vec!["203.0.113.0/24"]),
        (json!(["::ffff:203.0.113.7/128"]), vec!["203.0.113.7/32"]),
        (json!(["2001:db8::9/32"]), vec!["2001:db8::/32"]),
        (json!([""]), vec!["0.0.0.0/32", "::/128"]),
        (json!(["::ffff:203.0.113.0"]), vec!["0.0.0.0/32", "::/128"]),
    ] {
        let found = convert(with(
            base(),
            "/spec/loadBalancerSourceRanges",
            texts.clone(),
        ));
        let ranges = found.object.expect("a Service").source_ranges;
        let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        assert_eq!(ranges, read, "{texts}");
    }
}

/// What is left of other types on a Service (upstream: ExternallyAccessible).
#[test]
fn policy_local_counts_where_clients_outside_can_come() {
    let of = |changes: &[(&str, Value)]| {
        let mut value = base();
        for (pointer, new) in changes {
            value = with(value, pointer, new.clone());
        }
        let found = convert(value).object.expect("a Service");
        (found.external_policy, found.health_check_node_port)
    };
    use TrafficPolicy::{Cluster, Local};
    let kind = |kind: &str| ("/spec/type", json!(kind));
    let none = || ("/spec/externalIPs", Value::Null);
    for (what, changes, expected) in [
        ("LoadBalancer", vec![], (Local, Some(32000))),
        (
            "LoadBalancer without external IPs",
            vec![none()],
            (Local, Some(32000)),
        ),
        ("NodePort", vec![kind("NodePort"), none()], (Local, None)),
        (
            "ClusterIP with external IPs",
            vec![kind("ClusterIP")],
            (Local, None),
        ),
        (
            "ClusterIP",
            vec![kind("ClusterIP"), none()],
            (Cluster, None),
        ),
        (
            "no type",
            vec![("/spec/type", Value::Null), none()],
            (Cluster, None),
        ),
        ("an empty type", vec![kind(""), none()], (Cluster, None)),
        (
            "ClusterIP with an empty list",
            vec![kind("ClusterIP"), ("/spec/externalIPs", json!([]))],
            (Cluster, None),
        ),
        (
            "a type that nobody knows",
            vec![kind("Anycast")],
            (Cluster, None),
        ),
    ] {
        assert_eq!(of(&changes), expected, "{what}");
    }
}

#[test]
fn some_services_get_no_rules_and_no_message() {
    let headless = json!({"clusterIP": "None", "clusterIPs": ["None"],
                          "ports": [{"port": 80}]});
    let rows = [
        ("headless", with(base(), "/spec", headless)),
        (
            "headless, without the list",
            with(base(), "/spec", json!({"clusterIP": "None"})),
        ),
        (
            "no cluster IP",
            with(
                base(),
                "/spec",
                json!({"clusterIP": "", "ports": [{"port": 80}]}),
            ),
        ),
        (
            "no address field at all",
            with(base(), "/spec", json!({"ports": [{"port": 80}]})),
        ),
        (
            "an external name",
            with(
                base(),
                "/spec",
                json!({"type": "ExternalName", "externalName": "db.example"}),
            ),
        ),
        (
            "headless, though an address is listed",
            with(
                base(),
                "/spec",
                json!({"clusterIP": "None", "clusterIPs": ["10.96.0.9"], "ports": [{"port": 80}]}),
            ),
        ),
        (
            "an external name that once had an address",
            with(base(), "/spec/type", json!("ExternalName")),
        ),
        (
            "another proxy's",
            with(
                base(),
                "/metadata/labels",
                json!({"service.kubernetes.io/service-proxy-name": "other"}),
            ),
        ),
        (
            "another proxy's, by the label's mere presence",
            with(
                base(),
                "/metadata/labels",
                json!({"service.kubernetes.io/service-proxy-name": ""}),
            ),
        ),
    ];
    for (what, value) in rows {
        let nothing = Converted {
            object: None,
            problems: Vec::new(),
        };
        assert_eq!(convert(value), nothing, "{what}");
    }
}
