//! The table of section 6 of the reference, row by row.

use super::*;
use crate::model::{EndpointPort, Hints, ObjectName, Protocol};

/// `last: [l]ocal, [r]eady, [s]erving, [t]erminating, z<zone>, n<node>` in short form.
fn endpoint(spec: &str) -> Endpoint {
    let mut words = spec.split_whitespace();
    let last = words.next().expect("an address");
    let flags: Vec<&str> = words.collect();
    let has = |flag| flags.contains(&flag);
    let hints = |prefix: &str| {
        let own = flags.iter().filter_map(|flag| flag.strip_prefix(prefix));
        own.map(Arc::from).collect::<Box<[_]>>()
    };
    Endpoint {
        address: format!("10.0.0.{last}").parse().expect("an address"),
        node: Some(if has("l") { "here" } else { "there" }.into()),
        ready: has("r"),
        serving: has("r") || has("s"),
        terminating: has("t"),
        hints: Hints::new(hints("zone="), hints("node=")),
    }
}

fn selected(specs: &[&str], zone: Option<&str>) -> (Vec<u8>, Vec<u8>, bool) {
    let slice = EndpointSlice {
        name: ObjectName::new("a", "b-1"),
        service: ObjectName::new("a", "b"),
        family: Family::V4,
        ports: vec![EndpointPort {
            name: "".into(),
            protocol: Protocol::Tcp,
            port: 80,
        }],
        endpoints: specs.iter().map(|spec| endpoint(spec)).collect(),
        last_change_trigger: None,
    };
    let port = ServicePort {
        name: "".into(),
        protocol: Protocol::Tcp,
        port: 80,
        node_port: None,
    };
    let place = Place { node: "here", zone };
    let needs = Needs {
        cluster: true,
        local: true,
    };
    let selection = select(&port, Family::V4, &[slice], place, needs);
    let lasts = |list: &[Backend]| {
        let last = |backend: &Backend| match backend.address {
            std::net::IpAddr::V4(address) => address.octets()[3],
            std::net::IpAddr::V6(_) => 0,
        };
        list.iter().map(last).collect()
    };
    (
        lasts(&selection.cluster),
        lasts(&selection.local),
        selection.any,
    )
}

#[test]
fn lists_follow_conditions_locality_and_hints() {
    type Row = (
        &'static str,
        &'static [&'static str],
        Option<&'static str>,
        &'static [u8],
        &'static [u8],
    );
    let rows: &[Row] = &[
        ("none", &[], None, &[], &[]),
        ("ready ones", &["1 r", "2 r l"], None, &[1, 2], &[2]),
        ("unready is never used", &["1", "2 r"], None, &[2], &[]),
        (
            "terminating only as a last resort",
            &["1 s t", "2 r"],
            None,
            &[2],
            &[],
        ),
        ("last resort", &["1 s t", "2"], None, &[1], &[]),
        ("terminating, not serving", &["1 t"], None, &[], &[]),
        (
            "local last resort beside ready elsewhere",
            &["1 s t l", "2 r"],
            None,
            &[2],
            &[1],
        ),
        (
            "the same zone",
            &["1 r zone=a", "2 r zone=b"],
            Some("a"),
            &[1],
            &[],
        ),
        (
            "zone unknown",
            &["1 r zone=a", "2 r zone=b"],
            None,
            &[1, 2],
            &[],
        ),
        (
            "no hint for our zone",
            &["1 r zone=b", "2 r zone=b"],
            Some("a"),
            &[1, 2],
            &[],
        ),
        (
            "a hint is missing",
            &["1 r zone=a", "2 r"],
            Some("a"),
            &[1, 2],
            &[],
        ),
        (
            "an unready one lacks it",
            &["1 r zone=a", "2", "3 r zone=b"],
            Some("a"),
            &[1],
            &[],
        ),
        (
            "node before zone",
            &["1 r node=here zone=b", "2 r node=x zone=a"],
            Some("a"),
            &[1],
            &[],
        ),
        (
            "node hints for others only",
            &["1 r node=x zone=b", "2 r node=x zone=a"],
            Some("a"),
            &[2],
            &[],
        ),
        (
            "local is never filtered",
            &["1 r zone=b l", "2 r zone=a"],
            Some("a"),
            &[2],
            &[1],
        ),
        (
            "last resort ignores hints",
            &["1 s t zone=b", "2 s t zone=a"],
            Some("a"),
            &[1, 2],
            &[],
        ),
        (
            "twice the same: not terminating wins",
            &["1 s t", "1 r"],
            None,
            &[1],
            &[],
        ),
    ];
    for (what, specs, zone, cluster, local) in rows {
        let (c, l, any) = selected(specs, *zone);
        assert_eq!((&*c, &*l), (*cluster, *local), "{what}");
        assert_eq!(any, !(cluster.is_empty() && local.is_empty()), "{what}");
    }
}
