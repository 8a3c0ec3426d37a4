//! docs/reference.md#endpoint-selection, row by row.

use super::*;
use crate::model::TrafficPolicy;
use crate::model::{EndpointPort, Hints, ObjectName, Protocol};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::IpAddr;

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

fn port() -> ServicePort {
    ServicePort {
        name: "".into(),
        protocol: Protocol::Tcp,
        port: 80,
        node_port: None,
    }
}

/// All in one slice, or each in a slice of its own.
fn slices(specs: &[&str], apart: bool) -> Vec<EndpointSlice> {
    let slice = |n: usize, specs: &[&str]| EndpointSlice {
        name: ObjectName::new("a", format!("b-{n}")),
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
    if apart {
        let each = specs.chunks(1).enumerate();
        each.map(|(n, specs)| slice(n, specs)).collect()
    } else {
        vec![slice(0, specs)]
    }
}

fn selected(specs: &[&str], zone: Option<&str>) -> (Vec<u8>, Vec<u8>, bool) {
    selected_of(specs, zone, false)
}

fn selected_of(specs: &[&str], zone: Option<&str>, apart: bool) -> (Vec<u8>, Vec<u8>, bool) {
    let place = Place { node: "here", zone };
    let needs = Needs {
        cluster: true,
        local: true,
    };
    let slices = slices(specs, apart);
    let selection = Selector::new((1, 1), Family::V4, &slices, place).select(&port(), needs);
    let lasts = |list: &[EndpointAddr]| {
        let last = |backend: &EndpointAddr| match backend.address {
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

/// Rows of slices that name one address; each spec is a slice of its own.
#[test]
fn a_ready_endpoint_wins_where_slices_disagree() {
    type Row = (
        &'static str,
        &'static [&'static str],
        &'static [u8],
        &'static [u8],
    );
    let rows: &[Row] = &[
        ("ready beside unready", &["1 r", "1"], &[1], &[]),
        (
            "ready beside serving, not ready",
            &["1 r", "1 s"],
            &[1],
            &[],
        ),
        ("ready beside terminating", &["1 r", "1 s t"], &[1], &[]),
        ("ready beside gone", &["1 r", "1 t"], &[1], &[]),
        (
            "ready though terminating, beside unready",
            &["1 r t", "1"],
            &[1],
            &[],
        ),
        (
            "unready beside terminating: a new pod",
            &["1", "1 s t"],
            &[],
            &[],
        ),
        ("terminating beside gone", &["1 s t", "1 t"], &[1], &[]),
        ("here beside elsewhere", &["1 r l", "1 r"], &[1], &[1]),
        (
            "ready elsewhere beside unready here",
            &["1 r", "1 l"],
            &[1],
            &[],
        ),
        ("three", &["1 t", "1", "1 r l"], &[1], &[1]),
    ];
    for (what, specs, cluster, local) in rows {
        let mut orders: Vec<Vec<&str>> = vec![specs.to_vec()];
        orders.push(specs.iter().rev().copied().collect());
        for order in orders {
            for apart in [false, true] {
                let (c, l, any) = selected_of(&order, None, apart);
                assert_eq!(
                    (&*c, &*l),
                    (*cluster, *local),
                    "{what}: {order:?}, apart: {apart}"
                );
                assert_eq!(any, !cluster.is_empty(), "{what}");
            }
        }
    }
}

#[test]
fn flows_go_on_to_what_counts() {
    let serving = |specs: &[&str]| {
        let slices = slices(specs, true);
        serving(&port(), Family::V4, &slices).len()
    };
    assert_eq!(serving(&["1 r", "2 s t", "3 s", "4", "5 t"]), 3);
    assert_eq!(
        serving(&["1 s t", "1"]),
        0,
        "another pod has the address now"
    );
    assert_eq!(serving(&["1 t", "1 r"]), 1);
}

/// A Service with so many ports, which the slice has under other numbers.
fn ports(count: u16) -> Vec<ServicePort> {
    let one = |n: u16| ServicePort {
        name: format!("p{n}").into(),
        port: 80 + n,
        ..port()
    };
    (0..count).map(one).collect()
}

#[test]
fn many_ports_have_what_each_has_alone() {
    let specs = ["1 l r zone=z1", "2 r zone=z2", "3 s t", "1 r", "4 l s t"];
    let mut slices = slices(&specs, true);
    for (at, slice) in slices.iter_mut().enumerate() {
        let one = |n: u16| EndpointPort {
            name: format!("p{n}").into(),
            protocol: Protocol::Tcp,
            // Some are the same in all slices, some are in some only.
            port: 8000 + n + u16::try_from(at).expect("few") * u16::from(n.is_multiple_of(3)),
        };
        let there = (0..40).filter(|n| n % 7 != 1 || at % 2 == 0);
        slice.ports = there.map(one).collect();
    }
    let place = Place {
        node: "here",
        zone: Some("z1"),
    };
    let needs = |n: usize| Needs {
        cluster: !n.is_multiple_of(5),
        local: !n.is_multiple_of(4),
    };
    let mut all = Selector::new((41, 1), Family::V4, &slices, place);
    for (n, port) in ports(41).iter().enumerate() {
        let alone = Selector::new((1, 1), Family::V4, &slices, place).select(port, needs(n));
        assert_eq!(all.select(port, needs(n)), alone, "port {n}");
    }
}

#[test]
fn too_many_endpoints_are_cut_differently_on_each_node_and_for_all_ports_alike() {
    let address = |n: u16| -> IpAddr { [10, 1, n.to_be_bytes()[0], n.to_be_bytes()[1]].into() };
    let slice = |last: u16| EndpointSlice {
        ports: ports(600)
            .iter()
            .map(|own| EndpointPort {
                name: own.name.clone(),
                protocol: own.protocol,
                port: 1000 + own.port,
            })
            .collect(),
        endpoints: (0..last)
            .map(|n| Endpoint {
                address: address(n),
                node: Some(format!("n{}", n % 2).into()),
                ..endpoint("1 r")
            })
            .collect(),
        ..slices(&[], false).remove(0)
    };
    let limit = limits::endpoints_of_each(600, 1);
    let needs = Needs {
        cluster: true,
        local: true,
    };
    let of = |node, last: u16, port: &ServicePort| {
        let slices = [slice(last)];
        let place = Place { node, zone: None };
        Selector::new((600, 1), Family::V4, &slices, place).select(port, needs)
    };
    let [first, other, ..] = &ports(600)[..] else {
        unreachable!("many")
    };
    let few = of("n0", 100, first);
    assert_eq!((few.cluster.len(), few.local.len()), (100, 50));
    let here = of("n0", 1000, first);
    assert_eq!((here.cluster.len(), here.local.len()), (limit, limit));
    assert!(here.cluster.is_sorted());
    assert!(here.local.iter().all(|own| here.on_this_node.contains(own)));
    let addresses =
        |own: &Selection| -> Vec<IpAddr> { own.cluster.iter().map(|own| own.address).collect() };
    assert_eq!(addresses(&here), addresses(&of("n0", 1000, other)));
    assert_ne!(here.cluster, of("n1", 1000, first).cluster);
    // One more takes the place of one at the most.
    let more = of("n0", 1001, first);
    let kept = more.cluster.iter().filter(|own| here.cluster.contains(own));
    assert!(kept.count() >= limit - 1);
}

/// A random endpoint in the short form; few addresses, so that slices disagree.
fn spec() -> impl Strategy<Value = String> {
    let flag = |flag: &'static str| prop_oneof![Just(""), Just(flag)];
    let zone = prop_oneof![Just(""), Just("zone=a"), Just("zone=b")];
    let node = prop_oneof![Just(""), Just("node=here"), Just("node=there")];
    let flags = (flag("l"), flag("r"), flag("s"), flag("t"), zone, node);
    (1u8..12, flags).prop_map(|(last, (local, ready, serving, terminating, zone, node))| {
        format!("{last} {local} {ready} {serving} {terminating} {zone} {node}")
    })
}

proptest! {
    /// Who is told to serve does serve, and of all others it is told why they don't.
    #[test]
    fn what_is_explained_is_what_is_chosen(
        specs in vec(spec(), 0..12),
        zone in prop_oneof![Just(None), Just(Some("")), Just(Some("a"))],
        apart: bool,
        limit in 1usize..12,
        other_family in any::<bool>(),
        other_port in any::<bool>(),
    ) {
        let specs: Vec<&str> = specs.iter().map(String::as_str).collect();
        let mut slices = slices(&specs, apart);
        if let Some(slice) = slices.first_mut().filter(|_| other_family) {
            slice.family = Family::V6;
        }
        if let Some(slice) = slices.last_mut().filter(|_| other_port) {
            slice.ports[0].protocol = Protocol::Udp;
        }
        let place = Place { node: "here", zone };
        let needs = Needs { cluster: true, local: true };
        let places = places(&port(), Family::V4, &slices);
        let mut selection = select(&places, &slices, place, needs);
        selection.cut(limit, place.node);
        for (policy, chosen) in [
            (TrafficPolicy::Cluster, &selection.cluster),
            (TrafficPolicy::Local, &selection.local),
        ] {
            let told = explain::of_slices(&port(), Family::V4, &slices, place, policy, limit);
            prop_assert_eq!(&told.chosen, chosen);
            prop_assert_eq!(told.chosen.len() + told.left_out.len(), specs.len());
            let hinted = told.left_out.iter().any(|own| own.reason == Reason::HintedElsewhere);
            let used = matches!(told.hints, HintUse::ForNode | HintUse::ForZone(_));
            prop_assert!(used || !hinted, "{:?}", told);
        }
        // Where slices disagree on the node, one of them counts for all places.
        let mut addresses: Vec<_> = specs.iter().map(|spec| spec.split(' ').next()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.len() == specs.len() {
            let elsewhere = Place { node: "there", zone: Some("b") };
            let all = everywhere(&port(), Family::V4, &slices, &[elsewhere, place]);
            let list = &all.lists[all.list_of[1]];
            let list: Vec<_> = list.iter().map(|at| all.endpoints[*at].backend).collect();
            prop_assert_eq!(
                list,
                select(&places, &slices, place, needs).cluster
            );
            let counted = ready_addresses(Family::V4, &slices);
            let counted = counted.get("here").copied().unwrap_or_default();
            prop_assert_eq!(counted, local_ready_addresses(Family::V4, &slices, place));
        }
    }
}

#[test]
fn each_endpoint_that_is_left_out_has_its_reason() {
    use Reason::{BeyondLimit, HintedElsewhere, NotReady, OtherNode, Repeated, Terminating};
    use TrafficPolicy::{Cluster, Local};
    let missing = |without, ready| Ignored::Missing { without, ready };
    let all = |without, ready, zone| HintUse::Ignored {
        node: missing(without, ready),
        zone,
    };
    let zone_a = HintUse::ForZone("a".into());
    type Row<'a> = (
        &'a [&'a str],
        TrafficPolicy,
        usize,
        &'a [(u8, Reason)],
        HintUse,
    );
    let rows: &[Row] = &[
        (
            &["1 r", "2"],
            Cluster,
            9,
            &[(2, NotReady)],
            all(1, 1, missing(1, 1)),
        ),
        (
            &["1 r", "2 s t"],
            Cluster,
            9,
            &[(2, Terminating)],
            all(1, 1, missing(1, 1)),
        ),
        (
            &["1", "2 s t"],
            Cluster,
            9,
            &[(1, NotReady)],
            HintUse::NotAsked,
        ),
        (
            &["1 r", "2 r l"],
            Local,
            9,
            &[(1, OtherNode)],
            HintUse::NotAsked,
        ),
        (
            &["1 r", "2 s t l"],
            Local,
            9,
            &[(1, OtherNode)],
            HintUse::NotAsked,
        ),
        (
            &["1 r", "1 s t"],
            Cluster,
            9,
            &[(1, Repeated)],
            all(1, 1, missing(1, 1)),
        ),
        (
            &["1 r zone=a", "2 r zone=b"],
            Cluster,
            9,
            &[(2, HintedElsewhere)],
            zone_a,
        ),
        (
            &["1 r zone=a", "2 r"],
            Cluster,
            9,
            &[],
            all(2, 2, missing(1, 2)),
        ),
        (
            &["1 r zone=b"],
            Cluster,
            9,
            &[],
            all(1, 1, Ignored::NoneForHere),
        ),
        (
            &["1 r node=here", "2 r node=there"],
            Cluster,
            9,
            &[(2, HintedElsewhere)],
            HintUse::ForNode,
        ),
    ];
    let place = Place {
        node: "here",
        zone: Some("a"),
    };
    for (specs, policy, limit, left_out, hints) in rows {
        let slices = slices(specs, false);
        let told = explain::of_slices(&port(), Family::V4, &slices, place, *policy, *limit);
        let of: Vec<(u8, Reason)> = told
            .left_out
            .iter()
            .map(|own| match own.endpoint.address {
                std::net::IpAddr::V4(ip) => (ip.octets()[3], own.reason),
                std::net::IpAddr::V6(_) => panic!("IPv4 it was"),
            })
            .collect();
        assert_eq!((&*of, &told.hints), (*left_out, hints), "{specs:?}");
    }
    let slices = slices(&["1 r", "2 r", "3 r"], false);
    let told = explain::of_slices(&port(), Family::V4, &slices, place, Cluster, 1);
    let beyond = told.left_out.iter().filter(|own| own.reason == BeyondLimit);
    assert_eq!((told.chosen.len(), beyond.count()), (1, 2));
    let nowhere = Place {
        zone: None,
        ..place
    };
    let told = explain::of_slices(&port(), Family::V4, &slices, nowhere, Cluster, 9);
    assert_eq!(told.hints, all(3, 3, Ignored::ZoneUnknown));
}
