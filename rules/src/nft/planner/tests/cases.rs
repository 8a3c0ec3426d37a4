//! Single cases: what a change does to the table.

use super::*;

fn web(endpoints: std::ops::Range<u8>) -> EndpointSlice {
    EndpointSlice {
        name: name(0),
        service: name(0),
        family: Family::V4,
        ports: vec![EndpointPort {
            name: "p0".into(),
            protocol: Protocol::Tcp,
            port: 8080,
        }],
        endpoints: endpoints
            .map(|last| Endpoint {
                address: ip(&format!("10.244.0.{last}")),
                node: None,
                ready: true,
                serving: true,
                terminating: false,
                hints: Hints::default(),
            })
            .collect(),
        last_change_trigger: None,
    }
}

fn web_service(n: u8, created: i64) -> Service {
    Service {
        name: name(n),
        created,
        cluster_ips: vec![ip(&format!("10.96.0.{}", n + 1))],
        external_ips: vec![ip("198.51.100.1")],
        ports: vec![ServicePort {
            name: "p0".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
        }],
        ..Service::default()
    }
}

/// What a first sync of Service 0 with three endpoints, and of whatever else
/// came with it, leads to.
fn first_sync(
    mut planner: Planner,
    others: impl IntoIterator<Item = Change>,
) -> (State, Planner, Table) {
    let mut state = State::new();
    let mut kernel = Table::new();
    let web = [Change::Service(web_service(0, 0)), Change::Slice(web(1..4))];
    for event in web.into_iter().chain(others) {
        state.apply(event);
    }
    sync(&mut planner, &mut state, &mut kernel);
    (state, planner, kernel)
}

/// Lets the first set of clients there is remember one; returns the set, and
/// what it is to hold from then on.
fn remember(kernel: &mut Table) -> (AffinitySet, BTreeMap<IpAddr, u64>) {
    let client = ip("203.0.113.7");
    let set = kernel.affinity_sets().keys().next().expect("a set").clone();
    kernel.edit(|parts| {
        let clients = parts.affinity_sets.get_mut(&set).expect("it is there");
        clients.insert(client, 42_000);
    });
    (set, BTreeMap::from([(client, 42_000)]))
}

#[test]
fn one_replaced_endpoint_touches_data_elements_only() {
    let (mut state, mut planner, _) = first_sync(Planner::new(config(Family::V4)), []);

    state.apply(Change::Slice(web(2..5)));
    planner.mark(&state.take_dirty());
    let pending = planner
        .prepare(&state, &[], Default::default)
        .expect("a change");
    // One position in the lists of the cluster IP and of the external IP.
    let sizes: Vec<(SetId, usize)> = pending
        .transaction
        .ops
        .iter()
        .map(|op| match op {
            Op::AddElements(set, elements) | Op::DeleteElements(set, elements) => {
                (*set, elements.len())
            }
            _ => panic!("{op:?} for a replaced endpoint"),
        })
        .collect();
    assert_eq!(sizes, [(SetId::Endpoints, 2), (SetId::Endpoints, 2)]);
}

#[test]
fn a_set_that_is_full_makes_the_table_anew() {
    let mut sticky = web_service(1, 0);
    sticky.session_affinity = Some(60);
    sticky.external_ips.clear();
    let mut slice = web(1..2);
    (slice.name, slice.service) = (name(1), name(1));
    let planner = Planner {
        large: 2,
        ..Planner::new(config(Family::V4))
    };
    let others = [Change::Service(sticky), Change::Slice(slice)];
    let (mut state, mut planner, mut kernel) = first_sync(planner, others);
    // Three endpoints behind two frontends.
    assert_eq!(kernel.parts().sets[&SetId::Endpoints].size, Some(12));
    let (set, kept) = remember(&mut kernel);

    for (endpoints, outgrown) in [(6, None), (7, Some((SetId::Endpoints, 12))), (1, None)] {
        state.apply(Change::Slice(web(1..endpoints + 1)));
        planner.mark(&state.take_dirty());
        let clients = || kernel.clients(Family::V4).expect("the table can list");
        let pending = planner.prepare(&state, &[], clients).expect("a change");
        assert_eq!(pending.outgrown, outgrown, "{endpoints} endpoints");
        assert_eq!(pending.full, outgrown.is_some());
        let applied = kernel.apply(&pending.transaction);
        applied.expect("the table takes it");
        planner.commit(pending);
        let all = kernel.elements(SetId::Endpoints);
        assert_eq!(all.len(), 2 * usize::from(endpoints));
    }
    assert_eq!(kernel.parts().sets[&SetId::Endpoints].size, Some(24));
    assert_eq!(kernel.affinity_sets()[&set], kept);
}

#[test]
fn the_older_service_keeps_a_frontend_in_any_order() {
    for order in [[0u8, 1], [1, 0]] {
        let mut state = State::new();
        let mut planner = Planner::new(config(Family::V4));
        let mut kernel = Table::new();
        let mut problems = Vec::new();
        for n in order {
            // Service 1 is the older one.
            let event = Change::Service(web_service(n, 10 - i64::from(n)));
            problems.extend(state.apply(event).problems);
            sync(&mut planner, &mut state, &mut kernel);
        }
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].text.starts_with(
                "Service default/s0: not served: external IP 198.51.100.1 tcp port 80"
            )
        );
        let frontend = Frontend {
            address: Some(ip("198.51.100.1")),
            protocol: Protocol::Tcp,
            port: 80,
        };
        let owner = |kernel: &Table| {
            kernel.elements(SetId::NoEndpoints)[&Key::Frontend(frontend)]
                .comment
                .clone()
        };
        assert_eq!(owner(&kernel).as_deref(), Some("default/s1:p0"));

        state.apply(Change::ServiceGone(name(1)));
        sync(&mut planner, &mut state, &mut kernel);
        assert_eq!(owner(&kernel).as_deref(), Some("default/s0:p0"));
    }
}

#[test]
fn a_list_removes_what_it_does_not_name() {
    let (mut state, mut planner, mut kernel) = first_sync(Planner::new(config(Family::V4)), []);
    assert!(!kernel.elements(SetId::Services).is_empty());

    state.apply(Change::ListBegin(ObjectKind::Service));
    state.apply(Change::ListEnd(ObjectKind::Service));
    sync(&mut planner, &mut state, &mut kernel);
    for (set, elements) in kernel.sets() {
        assert!(elements.is_empty(), "{set} still holds {elements:?}");
    }
}

#[test]
fn clients_are_carried_over_when_the_table_is_replaced() {
    let mut state = State::new();
    let mut kernel = Table::new();
    let service = Service {
        session_affinity: Some(60),
        ..web_service(0, 0)
    };
    state.apply(Change::Service(service));
    state.apply(Change::Slice(web(1..3)));
    sync(
        &mut Planner::new(config(Family::V4)),
        &mut state,
        &mut kernel,
    );
    let (set, kept) = remember(&mut kernel);

    let mut restarted = Planner::new(config(Family::V4));
    assert!(restarted.replaces());
    sync(&mut restarted, &mut state, &mut kernel);
    assert_eq!(kernel.affinity_sets()[&set], kept);
    assert!(!restarted.replaces());
}

#[test]
fn leftover_chains_go_at_the_next_sync() {
    let mut state = State::new();
    let mut planner = Planner::new(config(Family::V4));
    let mut kernel = Table::new();
    state.apply(Change::Service(web_service(0, 0)));
    let three = ChainId::Cluster {
        endpoints: 3,
        masquerade: false,
        nodeport: false,
    };
    for (endpoints, there) in [(1..4, true), (1..3, true), (2..4, false)] {
        state.apply(Change::Slice(web(endpoints)));
        sync(&mut planner, &mut state, &mut kernel);
        assert_eq!(kernel.chains().contains_key(&three), there);
    }
}

#[test]
fn health_checks_are_told_of_as_they_change_however_many_there_are() {
    let checked = |n: u8| {
        let mut service = web_service(n, 0);
        service.external_ips.clear();
        service.health_check_node_port = Some(32000 + u16::from(n));
        Change::Service(service)
    };
    let (mut state, mut planner, mut kernel) =
        first_sync(Planner::new(config(Family::V4)), (0..50).map(checked));
    assert_eq!(planner.take_health_changes().len(), 50);
    assert_eq!(planner.take_health_changes(), []);

    // Of one the endpoints change, one is asked no more, one is gone.
    let mut slice = web(1..4);
    slice.endpoints[0].node = Some("n1".into());
    state.apply(Change::Slice(slice));
    state.apply(Change::Service(web_service(1, 0)));
    state.apply(Change::ServiceGone(name(2)));
    sync(&mut planner, &mut state, &mut kernel);
    let check = |port, local_endpoints| {
        Some(HealthCheck {
            port,
            local_endpoints,
        })
    };
    assert_eq!(
        planner.take_health_changes(),
        [(name(0), check(32000, 1)), (name(1), None), (name(2), None)]
    );
}

/// However many shared chains there are, a sync looks at those that it uses and at those that lost
/// their last user.
#[test]
fn a_sync_looks_at_few_of_many_shared_chains() {
    let others = (1..60).flat_map(|n: u8| {
        let mut service = web_service(n, 0);
        service.external_ips.clear();
        let mut slice = web(1..n + 4);
        (slice.name, slice.service) = (name(n), name(n));
        [Change::Service(service), Change::Slice(slice)]
    });
    let (mut state, mut planner, mut kernel) = first_sync(Planner::new(config(Family::V4)), others);
    assert!(planner.chains.len() > 59 && planner.idle.is_empty());
    state.apply(Change::Slice(web(1..3)));
    sync(&mut planner, &mut state, &mut kernel);
    let before = planner.chains.len();
    let idle: Vec<_> = planner.idle.iter().map(ToString::to_string).collect();
    assert!((1..=2).contains(&idle.len()), "{idle:?}");
    state.apply(Change::Slice(web(1..2)));
    planner.mark(&state.take_dirty());
    let pending = planner.prepare(&state, &[], Default::default);
    let pending = pending.expect("a change");
    assert_eq!(pending.stale, planner.idle, "what the last sync left");
    assert!(pending.fresh.len() <= 2 && pending.services.services.len() == 1);
    planner.commit(pending);
    assert!(planner.chains.len() <= before + 2 - idle.len());
}
