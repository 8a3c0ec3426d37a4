//! The nftables backend behind the seam: what every backend has to do, on tables in memory.

use rules::model::{Family, ObjectName, Protocol, Service, ServicePort};
use rules::nft::table::Poisoned;
use rules::nft::{NftBackend, Table};
use rules::{Backend, Cause, Change, Config, HealthCheck, Pending, State};
use std::net::IpAddr;

const NODE: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))];

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

type Nft = NftBackend<Poisoned>;

fn backend() -> Nft {
    Nft::new(Config::new(Family::V4, "node-1"))
}

/// A state with Services at these addresses, and their names.
fn state(addresses: &[&str]) -> (State, Vec<ObjectName>) {
    let mut state = State::new();
    let mut names = Vec::new();
    for (number, address) in addresses.iter().enumerate() {
        let service = Service {
            name: ObjectName::new("default", format!("s{number}")),
            cluster_ips: vec![ip(address)],
            ports: vec![ServicePort {
                name: "http".into(),
                protocol: Protocol::Tcp,
                port: 80,
                node_port: None,
            }],
            health_check_node_port: Some(32_000),
            ..Service::default()
        };
        names.push(service.name.clone());
        state.apply(Change::Service(service));
    }
    (state, names)
}

/// What is planned, which is something.
fn prepare(backend: &mut Nft, state: &State) -> rules::nft::Pending {
    let pending = backend.prepare(state.view(), &NODE, Default::default);
    pending.expect("something to do")
}

#[test]
fn a_sync_is_prepared_applied_and_committed() {
    let (state, names) = state(&["10.96.0.1"]);
    let (mut backend, mut kernel) = (backend(), Poisoned::default());
    let pending = prepare(&mut backend, &state);
    assert!(pending.replaces_all() && pending.is_for_the_kernel());
    assert_eq!((pending.service_count(), pending.why_all()), (1, None));
    assert_eq!(pending.services().collect::<Vec<_>>(), [&names[0]]);
    assert_eq!(backend.apply(&mut kernel, &pending), Ok(()));
    let check = HealthCheck {
        port: 32_000,
        local_endpoints: 0,
    };
    backend.commit(pending);
    assert_eq!(
        backend.take_health_changes(),
        [(names[0].clone(), Some(check))]
    );
    let again = backend.prepare(state.view(), &NODE, Default::default);
    assert!(again.is_none(), "nothing is left to do");

    backend.distrust();
    let pending = prepare(&mut backend, &state);
    assert!(pending.replaces_all());
    assert_eq!(backend.apply(&mut kernel, &pending), Ok(()));
    backend.commit(pending);
    assert_eq!(backend.take_health_changes(), [], "the same checks");
}

#[test]
fn a_refusal_names_the_services_and_leaves_the_old_rules() {
    let (state, names) = state(&["10.96.0.1", "10.96.0.2"]);
    let mut kernel = Poisoned {
        addresses: [ip("10.96.0.2")].into(),
        names: true,
        ..Poisoned::default()
    };
    let mut backend = backend();
    let pending = prepare(&mut backend, &state);
    let refusal = backend.apply(&mut kernel, &pending).expect_err("poisoned");
    assert_eq!(refusal.refused, [names[1].clone()]);
    assert_eq!(
        (refusal.family, refusal.cause),
        (Family::V4, Cause::Invalid)
    );
    assert!(kernel.tables.is_empty(), "not a step of it");

    backend.leave_out([names[1].clone()]);
    let pending = prepare(&mut backend, &state);
    assert_eq!(backend.apply(&mut kernel, &pending), Ok(()));
    backend.commit(pending);
    assert_eq!(backend.left_out(), &[names[1].clone()].into());

    // It is taken back when somebody says so, or when it changes.
    kernel.addresses.clear();
    backend.take_back(&names);
    let pending = prepare(&mut backend, &state);
    assert_eq!(pending.services().collect::<Vec<_>>(), [&names[1]]);
    assert!(!pending.replaces_all() && backend.left_out().is_empty());
}

#[test]
fn a_trial_changes_nothing() {
    let (state, _) = state(&["10.96.0.1"]);
    let (mut backend, mut kernel) = (backend(), Poisoned::default());
    let pending = prepare(&mut backend, &state);
    assert!(backend.would_take(&mut kernel, pending));
    assert_eq!(kernel.tables[&Family::V4], Table::new());

    kernel.addresses.insert(ip("10.96.0.1"));
    let pending = prepare(&mut backend, &state);
    assert!(!backend.would_take(&mut kernel, pending));
}

#[test]
fn cleaning_up_takes_the_table_with_all_that_is_in_it() {
    let (state, _) = state(&["10.96.0.1"]);
    let (mut backend, mut kernel) = (backend(), Poisoned::default());
    assert!(!Nft::clean_up(&mut kernel, Family::V4).expect("no table"));
    let pending = prepare(&mut backend, &state);
    assert_eq!(backend.apply(&mut kernel, &pending), Ok(()));
    assert!(Nft::clean_up(&mut kernel, Family::V4).expect("a table"));
    assert!(kernel.tables[&Family::V4].chains().is_empty());
    assert!(!Nft::clean_up(&mut kernel, Family::V4).expect("no table any more"));
}
