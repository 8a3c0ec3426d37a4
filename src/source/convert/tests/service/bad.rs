//! Parts of Services that cannot be used.

use super::super::with;
use super::{base, convert, expected, ips};
use rules::model::{Protocol, Service, ServicePort, ServiceType, TrafficPolicy};
use serde_json::{Value, json};

/// Where a value is put, the message, and what is made of the expected object.
type Row = (&'static str, Value, &'static str, Box<dyn Fn(&mut Service)>);

#[test]
fn a_bad_part_is_named_and_the_rest_is_used() {
    let two_ports = |bad: Value| json!([bad, {"name": "https", "port": 443}]);
    let https = || ServicePort {
        name: "https".into(),
        protocol: Protocol::Tcp,
        port: 443,
        node_port: None,
    };
    let rows: Vec<Row> = vec![
        (
            "/spec/clusterIPs",
            json!(["10.96.0.x", "fd00::1"]),
            r#"spec.clusterIPs[0]: "10.96.0.x" is not an IP address"#,
            Box::new(|own| own.cluster_ips = ips(&["fd00::1"])),
        ),
        (
            "/spec/externalIPs",
            json!(["example.org", "203.0.113.5"]),
            r#"spec.externalIPs[0]: "example.org" is not an IP address"#,
            Box::new(|_| {}),
        ),
        (
            "/status/loadBalancer/ingress",
            json!([{"ip": "198.51.100.1"}, {"ip": "198.51.100"}]),
            r#"status.loadBalancer.ingress[1].ip: "198.51.100" is not an IP address"#,
            Box::new(|_| {}),
        ),
        (
            "/spec/ports",
            two_ports(json!({"port": 0})),
            "spec.ports[0].port: 0 is not a port (1 to 65535)",
            Box::new(move |own| own.ports = vec![https()]),
        ),
        (
            "/spec/ports",
            two_ports(json!({"port": 70000})),
            "spec.ports[0].port: 70000 is not a port (1 to 65535)",
            Box::new(move |own| own.ports = vec![https()]),
        ),
        (
            "/spec/ports",
            two_ports(json!({"port": 80, "protocol": "tcp"})),
            r#"spec.ports[0].protocol: "tcp" is none of TCP, UDP, SCTP"#,
            Box::new(move |own| own.ports = vec![https()]),
        ),
        (
            "/spec/ports/0/nodePort",
            json!(-1),
            "spec.ports[0].nodePort: -1 is not a port (1 to 65535)",
            Box::new(|own| own.ports[0].node_port = None),
        ),
        (
            "/spec/healthCheckNodePort",
            json!(65536),
            "spec.healthCheckNodePort: 65536 is not a port (1 to 65535)",
            Box::new(|own| own.health_check_node_port = None),
        ),
        (
            "/spec/healthCheckNodePort",
            Value::Null,
            "spec.healthCheckNodePort: is missing; load balancers cannot ask for local endpoints",
            Box::new(|own| own.health_check_node_port = None),
        ),
        (
            "/spec/internalTrafficPolicy",
            json!("Nearby"),
            r#"spec.internalTrafficPolicy: "Nearby" is neither Cluster nor Local"#,
            Box::new(|_| {}),
        ),
        (
            "/spec/externalTrafficPolicy",
            json!("Global"),
            r#"spec.externalTrafficPolicy: "Global" is neither Cluster nor Local"#,
            Box::new(|own| {
                own.external_policy = TrafficPolicy::Cluster;
                own.health_check_node_port = None;
            }),
        ),
        (
            "/spec/type",
            json!("Anycast"),
            r#"spec.type: "Anycast" is none of ClusterIP, NodePort, LoadBalancer, ExternalName; ClusterIP is assumed"#,
            Box::new(|own| {
                own.external_policy = TrafficPolicy::Cluster;
                own.kind = ServiceType::ClusterIp;
                own.health_check_node_port = None;
            }),
        ),
        (
            "/spec/sessionAffinity",
            json!("Cookie"),
            r#"spec.sessionAffinity: "Cookie" is neither ClientIP nor None"#,
            Box::new(|_| {}),
        ),
        (
            "/spec/loadBalancerSourceRanges",
            json!(["203.0.113.0/24", "203.0.113.7"]),
            r#"spec.loadBalancerSourceRanges[1]: "203.0.113.7" is not a CIDR; nobody is let in by it"#,
            Box::new(|own| {
                // It may have been meant for the other family, which stays shut.
                let ranges = ["203.0.113.0/24", "::/128"];
                own.source_ranges = ranges.map(|own| own.parse().expect("a range")).into();
            }),
        ),
    ];
    for (pointer, value, message, change) in rows {
        let found = convert(with(base(), pointer, value));
        let mut wanted = expected();
        change(&mut wanted);
        assert_eq!(found.problems, [message]);
        assert_eq!(found.object, Some(wanted), "{message}");
    }
}

#[test]
fn nothing_usable_is_named_and_gets_no_rules() {
    let rows = [
        ("/spec", Value::Null, vec!["spec: is missing"]),
        ("/spec/ports", json!([]), vec!["spec.ports: is empty"]),
        ("/spec/ports", Value::Null, vec!["spec.ports: is empty"]),
        (
            "/spec/ports",
            json!([{"port": 0}]),
            vec!["spec.ports[0].port: 0 is not a port (1 to 65535)"],
        ),
        (
            "/spec/clusterIPs",
            json!(["10.96.0.300"]),
            vec![r#"spec.clusterIPs[0]: "10.96.0.300" is not an IP address"#],
        ),
    ];
    for (pointer, value, messages) in rows {
        let found = convert(with(base(), pointer, value));
        assert_eq!(found.problems, messages);
        assert_eq!(found.object, None, "{messages:?}");
    }
    let lone = with(base(), "/spec/clusterIPs", Value::Null);
    let found = convert(with(lone, "/spec/clusterIP", json!("ten")));
    assert_eq!(
        found.problems,
        [r#"spec.clusterIP: "ten" is not an IP address"#]
    );
    assert_eq!(found.object, None);
}

#[test]
fn a_timeout_out_of_range_is_named_and_the_default_used() {
    let value = with(base(), "/spec/sessionAffinity", json!("ClientIP"));
    let config = json!({"clientIP": {"timeoutSeconds": 86_401}});
    let found = convert(with(value, "/spec/sessionAffinityConfig", config));
    assert_eq!(
        found.problems,
        [
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 86401 is not from 1 to 86400; \
          10800 is used"
        ]
    );
    assert_eq!(
        found.object.expect("a Service").session_affinity,
        Some(10_800)
    );
}

#[test]
fn ranges_that_cannot_be_read_do_not_open_the_load_balancer() {
    let found = convert(with(
        base(),
        "/spec/loadBalancerSourceRanges",
        json!(["ten"]),
    ));
    assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
    let ranges = found.object.expect("a Service").source_ranges;
    assert!(!ranges.is_empty(), "no range would let everybody in");
}
