//! Nodes and ServiceCIDRs.

use super::{object, with};
use crate::source::convert::{node, service_cidr};
use rules::model::Node;
use serde_json::{Value, json};

fn base() -> Value {
    json!({
        "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a"}},
        "spec": {"podCIDRs": ["10.244.1.0/24", "fd00:10:244:1::/64"]},
        "status": {"addresses": [
            {"type": "Hostname", "address": "n1"},
            {"type": "ExternalIP", "address": "203.0.113.1"},
            {"type": "InternalIP", "address": "192.0.2.1"},
            {"type": "InternalIP", "address": "2001:db8::1"},
        ]},
    })
}

fn expected() -> Node {
    Node {
        name: "n1".into(),
        addresses: addresses(&["192.0.2.1", "2001:db8::1"]),
        pod_cidrs: vec![
            "10.244.1.0/24".parse().expect("a range"),
            "fd00:10:244:1::/64".parse().expect("a range"),
        ],
        zone: Some("a".into()),
        eligible: true,
    }
}

fn addresses(texts: &[&str]) -> Vec<std::net::IpAddr> {
    let read = |text: &&str| text.parse().expect("an address");
    texts.iter().map(read).collect()
}

/// What the row is about or says, a change of the base object, and what it
/// makes of the expected one.
type Row = (&'static str, &'static str, Value, fn(&mut Node));

#[test]
fn fields_mean_what_the_reference_says() {
    let taint = |key: &str, effect: &str| json!([{"key": key, "value": "1", "effect": effect}]);
    let doomed = "ToBeDeletedByClusterAutoscaler";
    let rows: &[Row] = &[
        ("the base itself", "/kind", json!("Node"), |_| {}),
        (
            "no internal address",
            "/status/addresses",
            json!([{"type": "Hostname", "address": "n1"},
                   {"type": "ExternalIP", "address": "203.0.113.1"},
                   {"type": "ExternalIP", "address": "203.0.113.2"}]),
            |own| own.addresses = addresses(&["203.0.113.1", "203.0.113.2"]),
        ),
        ("no address", "/status/addresses", json!([]), |own| {
            own.addresses.clear();
        }),
        ("no status", "/status", Value::Null, |own| {
            own.addresses.clear();
        }),
        (
            "a lenient address",
            "/status/addresses",
            json!([{"type": "InternalIP", "address": "192.000.002.001"}]),
            |own| own.addresses = addresses(&["192.0.2.1"]),
        ),
        (
            "lenient ranges",
            "/spec/podCIDRs",
            json!(["010.244.1.7/24", "::ffff:10.244.2.0/120"]),
            |own| {
                let ranges = ["10.244.1.0/24", "10.244.2.0/24"];
                own.pod_cidrs = ranges.map(|own| own.parse().expect("a range")).into();
            },
        ),
        ("no pod ranges", "/spec/podCIDRs", Value::Null, |own| {
            own.pod_cidrs.clear();
        }),
        ("no spec", "/spec", Value::Null, |own| own.pod_cidrs.clear()),
        ("no zone", "/metadata/labels", Value::Null, |own| {
            own.zone = None;
        }),
        (
            "the region is no zone",
            "/metadata/labels",
            json!({"topology.kubernetes.io/region": "a"}),
            |own| own.zone = None,
        ),
        (
            "about to be scaled away",
            "/spec/taints",
            taint(doomed, "NoSchedule"),
            |own| {
                own.eligible = false;
            },
        ),
        (
            "whatever the taint's effect",
            "/spec/taints",
            taint(doomed, "PreferNoSchedule"),
            |own| own.eligible = false,
        ),
        (
            "other taints do not matter",
            "/spec/taints",
            taint("node.kubernetes.io/unreachable", "NoExecute"),
            |_| {},
        ),
        (
            "nor does unschedulable",
            "/spec/unschedulable",
            json!(true),
            |_| {},
        ),
        (
            "nor do conditions",
            "/status/conditions",
            json!([{"type": "Ready", "status": "False"}]),
            |_| {},
        ),
        (
            "deletion has begun",
            "/metadata/deletionTimestamp",
            json!("2026-01-01T00:00:00Z"),
            |own| own.eligible = false,
        ),
    ];
    for (what, pointer, value, change) in rows {
        let found = node(&object(with(base(), pointer, value.clone())));
        let mut wanted = expected();
        change(&mut wanted);
        assert_eq!(found.problems, Vec::<String>::new(), "{what}");
        assert_eq!(found.object, Some(wanted), "{what}");
    }
}

#[test]
fn a_bad_part_is_named_and_the_rest_is_used() {
    let rows: &[Row] = &[
        (
            r#"status.addresses: InternalIP "192.0.2" is not an IP address"#,
            "/status/addresses",
            json!([{"type": "InternalIP", "address": "192.0.2"},
                   {"type": "InternalIP", "address": "192.0.2.1"}]),
            |own| own.addresses = addresses(&["192.0.2.1"]),
        ),
        (
            r#"status.addresses: InternalIP "n1" is not an IP address"#,
            "/status/addresses",
            json!([{"type": "InternalIP", "address": "n1"},
                   {"type": "ExternalIP", "address": "203.0.113.1"}]),
            |own| own.addresses = addresses(&["203.0.113.1"]),
        ),
        (
            r#"spec.podCIDRs[0]: "10.244.1.0" is not a CIDR"#,
            "/spec/podCIDRs",
            json!(["10.244.1.0", "fd00:10:244:1::/64"]),
            |own| own.pod_cidrs = own.pod_cidrs.split_off(1),
        ),
        (
            r#"spec.podCIDRs[1]: "fd00::/129" is not a CIDR"#,
            "/spec/podCIDRs",
            json!(["10.244.1.0/24", "fd00::/129"]),
            |own| own.pod_cidrs.truncate(1),
        ),
    ];
    for (message, pointer, value, change) in rows {
        let found = node(&object(with(base(), pointer, value.clone())));
        let mut wanted = expected();
        change(&mut wanted);
        assert_eq!(found.problems, [*message]);
        assert_eq!(found.object, Some(wanted), "{message}");
    }
}

#[test]
fn service_cidrs_are_read_whatever_their_condition() {
    let rows: &[(Value, &[&str], &[&str])] = &[
        (
            json!({"spec": {"cidrs": ["10.96.0.0/16", "fd00:10:96::/112"]}}),
            &["10.96.0.0/16", "fd00:10:96::/112"],
            &[],
        ),
        (
            json!({"spec": {"cidrs": ["10.96.0.0/16"]},
                   "status": {"conditions": [{"type": "Ready", "status": "False",
                       "lastTransitionTime": "2026-01-01T00:00:00Z", "message": "", "reason": ""}]}}),
            &["10.96.0.0/16"],
            &[],
        ),
        (json!({}), &[], &[]),
        (json!({"spec": {}}), &[], &[]),
        (
            json!({"spec": {"cidrs": ["10.96.0.0/16", "ten"]}}),
            &["10.96.0.0/16"],
            &[r#"spec.cidrs[1]: "ten" is not a CIDR"#],
        ),
    ];
    for (value, cidrs, problems) in rows {
        let named = with(value.clone(), "/metadata", json!({"name": "kubernetes"}));
        let found = service_cidr(&object(named));
        let range = found.object.expect("a ServiceCIDR");
        assert_eq!(&*range.name, "kubernetes");
        let own: Vec<String> = range.cidrs.iter().map(ToString::to_string).collect();
        assert_eq!(own, *cidrs);
        assert_eq!(found.problems, *problems);
    }
}
