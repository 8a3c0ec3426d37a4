//! EndpointSlices.

use super::{object, with};
use crate::source::convert::{Converted, endpoint_slice};
use crate::source::intern::Interner;
use rules::model::{Endpoint, EndpointPort, EndpointSlice, Family, Hints, ObjectName, Protocol};
use serde_json::{Value, json};

fn base() -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": "web-1",
                     "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
        "endpoints": [{
            "addresses": ["10.244.1.10"],
            "nodeName": "n1",
            "conditions": {"ready": true, "serving": true, "terminating": false},
        }],
    })
}

fn expected() -> EndpointSlice {
    EndpointSlice {
        name: ObjectName::new("shop", "web-1"),
        service: ObjectName::new("shop", "web"),
        family: Family::V4,
        ports: vec![EndpointPort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 8080,
        }],
        endpoints: vec![endpoint()],
        last_change_trigger: None,
    }
}

fn endpoint() -> Endpoint {
    Endpoint {
        address: [10, 244, 1, 10].into(),
        node: Some("n1".into()),
        ready: true,
        serving: true,
        terminating: false,
        hints: rules::model::Hints::default(),
    }
}

fn convert(value: Value) -> Converted<EndpointSlice> {
    endpoint_slice(&object(value), &mut Interner::default())
}

/// A change of the base object and what it makes of the expected one.
type Row = (&'static str, &'static str, Value, fn(&mut EndpointSlice));

#[test]
fn fields_mean_what_the_reference_says() {
    let rows: &[Row] = &[
        ("the base itself", "/kind", json!("EndpointSlice"), |_| {}),
        (
            "no conditions: ready and serving",
            "/endpoints/0/conditions",
            Value::Null,
            |_| {},
        ),
        (
            "nil conditions",
            "/endpoints/0/conditions",
            json!({}),
            |_| {},
        ),
        (
            "not ready",
            "/endpoints/0/conditions/ready",
            json!(false),
            |own| {
                own.endpoints[0].ready = false;
            },
        ),
        (
            "not serving",
            "/endpoints/0/conditions/serving",
            json!(false),
            |own| {
                own.endpoints[0].serving = false;
            },
        ),
        (
            "terminating, ready unset",
            "/endpoints/0/conditions",
            json!({"terminating": true}),
            |own| own.endpoints[0].terminating = true,
        ),
        (
            "only the first address",
            "/endpoints/0/addresses",
            json!(["10.244.1.10", "10.244.1.11"]),
            |_| {},
        ),
        (
            "only the first address, whatever the others",
            "/endpoints/0/addresses",
            json!(["10.244.1.10", "x"]),
            |_| {},
        ),
        (
            "a lenient address",
            "/endpoints/0/addresses",
            json!(["010.244.001.010"]),
            |_| {},
        ),
        (
            "an IPv4 address in IPv6 notation",
            "/endpoints/0/addresses",
            json!(["::ffff:10.244.1.10"]),
            |_| {},
        ),
        ("no node", "/endpoints/0/nodeName", Value::Null, |own| {
            own.endpoints[0].node = None;
        }),
        (
            "a node's name is not lowered",
            "/endpoints/0/nodeName",
            json!("N1"),
            |own| {
                own.endpoints[0].node = Some("N1".into());
            },
        ),
        (
            "zone hints",
            "/endpoints/0/hints",
            json!({"forZones": [{"name": "a"}, {"name": "b"}]}),
            |own| own.endpoints[0].hints = Hints::new(["a".into(), "b".into()], []),
        ),
        (
            "node hints",
            "/endpoints/0/hints",
            json!({"forNodes": [{"name": "n1"}]}),
            |own| own.endpoints[0].hints = Hints::new([], ["n1".into()]),
        ),
        (
            "the deprecated topology is not read",
            "/endpoints/0/deprecatedTopology",
            json!({"topology.kubernetes.io/zone": "a"}),
            |_| {},
        ),
        ("an empty port name", "/ports/0/name", json!(""), |own| {
            own.ports[0].name = "".into();
        }),
        (
            "no protocol means TCP",
            "/ports/0/protocol",
            Value::Null,
            |_| {},
        ),
        (
            "a port without a name is the unnamed one",
            "/ports/0/name",
            Value::Null,
            |own| own.ports[0].name = "".into(),
        ),
        (
            "neither name nor protocol",
            "/ports/0",
            json!({"name": null, "protocol": null, "port": 8080}),
            |own| own.ports[0].name = "".into(),
        ),
        (
            "a port without a number",
            "/ports/0/port",
            Value::Null,
            |own| own.ports.clear(),
        ),
        ("no ports", "/ports", Value::Null, |own| own.ports.clear()),
        ("empty ports", "/ports", json!([]), |own| own.ports.clear()),
        ("no endpoints", "/endpoints", json!([]), |own| {
            own.endpoints.clear();
        }),
        (
            "a trigger time",
            "/metadata/annotations",
            json!({"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00.25Z"}),
            |own| own.last_change_trigger = Some(1_767_225_600_250),
        ),
        (
            "a trigger time with an offset",
            "/metadata/annotations",
            json!({"endpoints.kubernetes.io/last-change-trigger-time":
                   "2026-01-01T01:00:00+01:00"}),
            |own| own.last_change_trigger = Some(1_767_225_600_000),
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
fn ipv6_slices_hold_ipv6_addresses() {
    let value = with(base(), "/addressType", json!("IPv6"));
    let value = with(value, "/endpoints/0/addresses", json!(["FD00:10:244::A"]));
    let found = convert(value);
    let slice = found.object.expect("a slice");
    assert_eq!(slice.family, Family::V6);
    assert_eq!(slice.endpoints[0].address.to_string(), "fd00:10:244::a");
    assert_eq!(found.problems, Vec::<String>::new());
}

#[test]
fn some_slices_get_no_rules_and_no_message() {
    let labels = |value: Value| with(base(), "/metadata/labels", value);
    let rows = [
        ("no label", labels(Value::Null)),
        ("no Service's name", labels(json!({"app": "web"}))),
        (
            "an empty name",
            labels(json!({"kubernetes.io/service-name": ""})),
        ),
        (
            "a headless Service's",
            labels(json!({"kubernetes.io/service-name": "web",
                          "service.kubernetes.io/headless": ""})),
        ),
        ("host names", with(base(), "/addressType", json!("FQDN"))),
    ];
    for (what, value) in rows {
        let nothing = Converted {
            object: None,
            problems: Vec::new(),
        };
        assert_eq!(convert(value), nothing, "{what}");
    }
}

#[test]
fn a_bad_part_is_named_and_the_rest_is_used() {
    let good = || json!({"addresses": ["10.244.1.10"], "nodeName": "n1"});
    let rows: &[Row] = &[
        (
            r#"endpoints[0].addresses[0]: "10.244.1.999" is not an IPv4 address"#,
            "/endpoints",
            json!([{"addresses": ["10.244.1.999"]}, good()]),
            |_| {},
        ),
        (
            r#"endpoints[1].addresses[0]: "fd00::1" is not an IPv4 address"#,
            "/endpoints",
            json!([good(), {"addresses": ["fd00::1"]}]),
            |_| {},
        ),
        (
            "endpoints[0].addresses: is empty",
            "/endpoints",
            json!([{"addresses": []}, good()]),
            |_| {},
        ),
        (
            "ports[1].port: 0 is not a port (1 to 65535)",
            "/ports/1",
            json!({"name": "metrics", "port": 0}),
            |_| {},
        ),
        (
            "ports[1].port: 99999 is not a port (1 to 65535)",
            "/ports/1",
            json!({"name": "metrics", "port": 99999}),
            |_| {},
        ),
        (
            r#"ports[1].protocol: "ICMP" is none of TCP, UDP, SCTP"#,
            "/ports/1",
            json!({"name": "ping", "port": 1, "protocol": "ICMP"}),
            |_| {},
        ),
        (
            "annotation endpoints.kubernetes.io/last-change-trigger-time: \"yesterday\" is not an \
             RFC 3339 time",
            "/metadata/annotations",
            json!({"endpoints.kubernetes.io/last-change-trigger-time": "yesterday"}),
            |_| {},
        ),
    ];
    for (message, pointer, value, change) in rows {
        let found = convert(with(base(), pointer, value.clone()));
        let mut wanted = expected();
        change(&mut wanted);
        assert_eq!(found.problems, [*message]);
        assert_eq!(found.object, Some(wanted), "{message}");
    }
}

#[test]
fn an_unknown_address_type_is_named() {
    let found = convert(with(base(), "/addressType", json!("IPX")));
    assert_eq!(found.object, None);
    assert_eq!(
        found.problems,
        [r#"addressType: "IPX" is none of IPv4, IPv6, FQDN"#]
    );
}

#[test]
fn names_that_repeat_are_kept_once() {
    let mut intern = Interner::default();
    let slice = object(base());
    let mut node = || {
        let slice = endpoint_slice(&slice, &mut intern).object.expect("a slice");
        slice.endpoints[0].node.clone().expect("a node")
    };
    assert!(std::sync::Arc::ptr_eq(&node(), &node()));
}
