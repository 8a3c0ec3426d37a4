//! Whatever happens in whatever order, the table ends up as if it had been
//! built from the last state at once.

mod cases;

use super::*;
use crate::model::{
    Endpoint, EndpointAddr, EndpointPort, EndpointSlice, Family, Frontend, Hints, Protocol,
    Service, ServicePort, TrafficPolicy,
};
use crate::nft::Kernel;
use crate::nft::ruleset::{AffinitySet, Chain, Op, SetId, SourceSet, Statement, Value, Verdict};
use crate::nft::table::Table;
use crate::{Change, LocalDetector, ObjectKind};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

type Comment = Option<std::sync::Arc<str>>;

/// What packets and readers meet: chains by frontend, backends by frontend as sets.
#[derive(Debug, Default, PartialEq, Eq)]
struct Meaning {
    /// With comments, as are those without a value.
    verdicts: BTreeMap<(SetId, Key), (Value, Comment)>,
    backends: BTreeMap<(SetId, Frontend), BTreeSet<(EndpointAddr, Comment)>>,
    plain: BTreeMap<(SetId, Key), Comment>,
    chains: BTreeSet<ChainId>,
    clients: BTreeSet<AffinitySet>,
    /// Where a port's own chains go, in whatever order.
    own: BTreeMap<ChainId, BTreeSet<ChainId>>,
    /// What those pick from that have a list of their own.
    lists: BTreeMap<ChainId, BTreeSet<EndpointAddr>>,
}

/// Reads a table, and checks on the way that list positions have no holes.
fn meaning(kernel: &Table) -> Meaning {
    let mut found = Meaning::default();
    let mut positions: BTreeMap<(SetId, Frontend), BTreeSet<u32>> = BTreeMap::new();
    for (set, elements) in kernel.sets() {
        for element in elements.values() {
            let comment = element.comment.clone();
            match (element.key, element.value.clone()) {
                (Key::Indexed(frontend, index), Some(Value::Endpoint(backend))) => {
                    positions.entry((set, frontend)).or_default().insert(index);
                    found
                        .backends
                        .entry((set, frontend))
                        .or_default()
                        .insert((backend, comment));
                }
                // Where it is says nothing.
                (Key::Listed(_), _) => {}
                (key, Some(value)) => {
                    found.verdicts.insert((set, key), (value, comment));
                }
                (key, None) => {
                    found.plain.insert((set, key), comment);
                }
            }
        }
    }
    for (list, positions) in positions {
        let holes = (0u32..).zip(&positions).any(|(want, have)| want != *have);
        assert!(!holes, "{list:?} has holes: {positions:?}");
    }
    found.chains = kernel.chains().keys().cloned().collect();
    let with_sources = kernel.chains().keys().filter_map(|chain| match chain {
        ChainId::Sources(set) if set.is_set() => Some(set.clone()),
        _ => None,
    });
    let with_sources: BTreeSet<SourceSet> = with_sources.collect();
    assert_eq!(with_sources, kernel.parts().source_sets);
    found.clients = kernel.affinity_sets().keys().cloned().collect();
    for (id, chain) in kernel.chains() {
        let ChainId::Port(_) = id else { continue };
        let statements = chain.rules.iter().flat_map(|rule| &rule.statements);
        let next = statements.filter_map(|statement| match statement {
            Statement::Verdict(Verdict::Goto(next)) => Some(next.clone()),
            _ => None,
        });
        let next: BTreeSet<ChainId> = next.collect();
        if let Some(list) = list(kernel, chain) {
            found.lists.insert(id.clone(), list);
        }
        found.own.insert(id.clone(), next);
    }
    let listed: usize = found.lists.values().map(BTreeSet::len).sum();
    assert_eq!(listed, kernel.elements(SetId::PortEndpoints).len());
    found
}

/// The endpoints that a chain picks from, each once.
fn list(kernel: &Table, chain: &Chain) -> Option<BTreeSet<EndpointAddr>> {
    let mut statements = chain.rules.iter().flat_map(|rule| &rule.statements);
    let (first, count) = statements.find_map(|own| match own {
        Statement::DnatListed { first, count, .. } => Some((*first, *count)),
        _ => None,
    })?;
    let elements = kernel.elements(SetId::PortEndpoints);
    let backend = |index| match elements[&Key::Listed(index)].value {
        Some(Value::Endpoint(backend)) => backend,
        _ => panic!("{index} is no endpoint"),
    };
    let list: BTreeSet<EndpointAddr> = (first..first + count).map(backend).collect();
    assert_eq!(list.len(), count as usize);
    Some(list)
}

fn config(family: Family) -> Config {
    let pods = match family {
        Family::V4 => "10.244.0.0/16",
        Family::V6 => "fd00:10:244::/64",
    };
    Config {
        local_detector: LocalDetector::Source(pods.parse().expect("a CIDR")),
        node_ip: Some(ip("192.0.2.1")),
        ..Config::new(family, "n1")
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn name(n: u8) -> ObjectName {
    ObjectName::new("default", format!("s{n}"))
}

prop_compose! {
    fn port()(n in 0u8..2, udp: bool, node_port in prop::option::of(30000u16..30003)) -> ServicePort {
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        ServicePort { name: format!("p{n}").into(), protocol, port: 80 + u16::from(n), node_port }
    }
}

prop_compose! {
    fn service()(
        n in 0u8..4,
        created in 0i64..3,
        ports in vec(port(), 1..3),
        external in vec(1u8..6, 0..6),
        balancer in vec(1u8..4, 0..2),
        policies in (any::<bool>(), any::<bool>()),
        dual: bool,
        health in prop::option::of(32000u16..32002),
        session_affinity in prop::option::weighted(0.3, 60u32..62),
        ranges in vec(prop_oneof![
            8 => Just("203.0.113.0/24"), 8 => Just("203.0.0.0/16"), 8 => Just("2001:db8::/32"),
            8 => Just("192.0.2.1/32"), 1 => Just("0.0.0.0/0"),
        ], 0..3),
    ) -> Service {
        let policy = |local| if local { TrafficPolicy::Local } else { TrafficPolicy::Cluster };
        let mut cluster_ips = vec![ip(&format!("10.96.0.{}", n + 1))];
        if dual {
            cluster_ips.push(ip(&format!("fd00:10:96::{}", n + 1)));
        }
        Service {
            name: name(n),
            origin: None,
            created,
            cluster_ips,
            external_ips: external.iter().map(|last| ip(&format!("198.51.100.{last}"))).collect(),
            load_balancer_ips: balancer
                .iter()
                .flat_map(|last| [ip(&format!("198.51.100.{last}")), ip(&format!("2001:db8::{last}"))])
                .collect(),
            ports,
            internal_policy: policy(policies.0),
            external_policy: policy(policies.1),
            health_check_node_port: health,
            kind: crate::model::ServiceType::NodePort,
            session_affinity,
            source_ranges: ranges.iter().map(|range| range.parse().expect("a range")).collect(),
        }
    }
}

prop_compose! {
    fn endpoint(family: Family)(
        last in 1u8..6,
        node in prop::option::of(1u8..3),
        conditions in (any::<bool>(), any::<bool>(), any::<bool>()),
        zone in prop::option::of(0u8..2),
    ) -> Endpoint {
        let address = match family {
            Family::V4 => ip(&format!("10.244.0.{last}")),
            Family::V6 => ip(&format!("fd00:10:244::{last}")),
        };
        Endpoint {
            address,
            node: node.map(|n| format!("n{n}").into()),
            ready: conditions.0,
            serving: conditions.1,
            terminating: conditions.2,
            hints: Hints::new(zone.map(|z| -> std::sync::Arc<str> { format!("z{z}").into() }), []),
        }
    }
}

fn slice() -> impl Strategy<Value = EndpointSlice> {
    let family = prop_oneof![3 => Just(Family::V4), 1 => Just(Family::V6)];
    (0u8..6, 0u8..4, family).prop_flat_map(|(n, service, family)| {
        vec(endpoint(family), 0..5).prop_map(move |endpoints| {
            let port = |n: u8, protocol| EndpointPort {
                name: format!("p{n}").into(),
                protocol,
                port: 8080 + u16::from(n),
            };
            EndpointSlice {
                name: name(n),
                service: name(service),
                family,
                ports: vec![
                    port(0, Protocol::Tcp),
                    port(1, Protocol::Tcp),
                    port(0, Protocol::Udp),
                ],
                endpoints,
                last_change_trigger: None,
            }
        })
    })
}

#[derive(Clone, Debug)]
enum Step {
    Change(Change),
    Sync,
    /// A sync that the kernel refuses.
    Refused,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => service().prop_map(|s| Step::Change(Change::Service(s))),
        1 => (0u8..4).prop_map(|n| Step::Change(Change::ServiceGone(name(n)))),
        6 => slice().prop_map(|s| Step::Change(Change::Slice(s))),
        1 => (0u8..6).prop_map(|n| Step::Change(Change::SliceGone(name(n)))),
        1 => prop::option::of(0u8..2).prop_map(|zone| Step::Change(Change::Node(crate::model::Node {
            name: "n1".into(),
            zone: zone.map(|z| format!("z{z}").into()),
            eligible: true,
            ..Default::default()
        }))),
        4 => Just(Step::Sync),
        1 => Just(Step::Refused),
    ]
}

/// What the health check servers were told.
type Told = BTreeMap<ObjectName, HealthCheck>;

fn tell(planner: &mut Planner, told: &mut Told) {
    for (name, check) in planner.take_health_changes() {
        let before = match check {
            Some(check) => told.insert(name, check),
            None => told.remove(&name),
        };
        assert_ne!(before, check, "told without need");
    }
}

fn sync(planner: &mut Planner, state: &mut State, kernel: &mut Table) {
    let dirty = state.take_dirty();
    planner.mark(&dirty);
    let family = planner.config().family;
    let clients = || kernel.clients(family).expect("the table can list");
    let Some(pending) = planner.prepare(state, &[], clients) else {
        return;
    };
    kernel
        .apply(&pending.transaction)
        .expect("the table takes it");
    planner.commit(pending);
    for (set, elements) in kernel.sets() {
        assert_eq!(planner.room.count(set), elements.len(), "{set}");
    }
    let idle = planner
        .chains
        .iter()
        .filter(|chain| !planner.ledger.uses(chain));
    assert_eq!(
        planner.idle,
        idle.cloned().collect(),
        "chains without a user"
    );
}

/// A sync whose transaction the kernel refuses at its very end: the table stays as it is.
fn refused(planner: &mut Planner, state: &mut State, kernel: &mut Table) {
    let dirty = state.take_dirty();
    planner.mark(&dirty);
    let family = planner.config().family;
    let clients = || kernel.clients(family).expect("the table can list");
    let Some(mut pending) = planner.prepare(state, &[], clients) else {
        return;
    };
    let before = kernel.clone();
    let missing = Op::DeleteChain(ChainId::Fixed("missing"));
    pending.transaction.ops.push(missing);
    kernel
        .apply(&pending.transaction)
        .expect_err("there is no such chain");
    assert_eq!(*kernel, before);
    planner.distrust();
}

proptest! {
    #[test]
    fn any_history_ends_like_a_fresh_start(
        steps in vec(step(), 1..60),
        v6: bool,
        large in prop_oneof![Just(1), Just(3), Just(room::LARGE)],
        used_up: bool,
    ) {
        let family = if v6 { Family::V6 } else { Family::V4 };
        let mut state = State::new();
        // The table in memory refuses what does not fit into a set.
        let mut planner = Planner { large, ..Planner::new(config(family)) };
        let mut kernel = Table::new();
        let mut told = Told::new();
        for step in steps {
            match step {
                Step::Change(change) => { state.apply(change); }
                Step::Sync => {
                    sync(&mut planner, &mut state, &mut kernel);
                    tell(&mut planner, &mut told);
                    if used_up {
                        planner.rows.use_up();
                    }
                }
                Step::Refused => refused(&mut planner, &mut state, &mut kernel),
            }
        }
        sync(&mut planner, &mut state, &mut kernel);
        // Chains that lost their last user stay for one sync more, whatever that is about.
        planner.mark(&[name(0)]);
        sync(&mut planner, &mut state, &mut kernel);
        prop_assert!(state.claims().counts_are_right());

        let mut fresh_kernel = Table::new();
        let mut fresh = Planner::new(config(family));
        sync(&mut fresh, &mut state, &mut fresh_kernel);
        tell(&mut planner, &mut told);
        prop_assert_eq!(meaning(&kernel), meaning(&fresh_kernel));
        prop_assert_eq!(planner.summary(), fresh.summary());
        prop_assert_eq!(&told, fresh.health(), "as they were told one by one");
    }
}
