//! What every backend has to do behind the seam, on tables and chains in memory.

use rules::iptables::names::PortChains;
use rules::iptables::{IptablesBackend, Memory};
use rules::model::{
    Endpoint, EndpointPort, EndpointSlice, Family, Hints, ObjectName, Protocol, Service,
    ServicePort,
};
use rules::nft::NftBackend;
use rules::nft::table::Poisoned;
use rules::{Backend, Cause, Change, Config, HealthCheck, Pending, State};
use std::net::IpAddr;

const NODE: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))];

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A backend whose kernel can be told what to refuse.
trait Rig: Backend {
    /// An empty kernel.
    fn kernel() -> Self::Kernel;
    /// From now on it refuses one Service's objects, and says which.
    fn poison(kernel: &mut Self::Kernel, service: &Service);
    /// It refuses nothing any more.
    fn cure(kernel: &mut Self::Kernel);
    /// Whether no packet meets a rule.
    fn serves_nothing(kernel: &Self::Kernel) -> bool;
    /// Whether there is nothing at all.
    fn is_empty(kernel: &Self::Kernel) -> bool;
}

impl Rig for NftBackend<Poisoned> {
    fn kernel() -> Poisoned {
        Poisoned {
            names: true,
            ..Poisoned::default()
        }
    }

    fn poison(kernel: &mut Poisoned, service: &Service) {
        kernel.addresses.extend(&service.cluster_ips);
    }

    fn cure(kernel: &mut Poisoned) {
        kernel.addresses.clear();
    }

    fn serves_nothing(kernel: &Poisoned) -> bool {
        Self::is_empty(kernel)
    }

    fn is_empty(kernel: &Poisoned) -> bool {
        kernel
            .tables
            .values()
            .all(|table| table.chains().is_empty())
    }
}

impl Rig for IptablesBackend<Memory> {
    fn kernel() -> Memory {
        Memory::new()
    }

    fn poison(kernel: &mut Memory, service: &Service) {
        let name = format!("{}:http", service.name);
        let chains = PortChains::of(&name, Protocol::Tcp);
        kernel.poisoned.insert(chains.cluster);
    }

    fn cure(kernel: &mut Memory) {
        kernel.poisoned.clear();
    }

    /// Chains of Services may be there, which nothing leads to.
    fn serves_nothing(kernel: &Memory) -> bool {
        let chains = kernel.chains(Family::V4);
        let of_service = |chain: &&rules::iptables::Object| !chain.chain.is_of_service();
        let others = chains.keys().filter(of_service);
        others.map(|own| chains[own].len()).sum::<usize>() == 0
    }

    fn is_empty(kernel: &Memory) -> bool {
        let of_others = ["INPUT", "OUTPUT", "FORWARD", "PREROUTING", "POSTROUTING"];
        let chains = kernel.chains(Family::V4);
        let ours = |own: &&rules::iptables::Object| {
            !of_others.contains(&own.chain.as_str()) && own.chain.as_str() != "KUBE-FIREWALL"
        };
        chains.keys().filter(ours).count() == 0
    }
}

fn backend<B: Rig>() -> B {
    B::new(Config::new(Family::V4, "node-1"))
}

fn service(number: u8) -> Service {
    Service {
        name: ObjectName::new("default", format!("s{number}")),
        cluster_ips: vec![[10, 96, 0, number + 1].into()],
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
        }],
        health_check_node_port: Some(32_000),
        ..Service::default()
    }
}

/// A state with so many Services of one endpoint each, and their names.
fn state(count: u8) -> (State, Vec<ObjectName>) {
    let mut state = State::new();
    for number in 0..count {
        let service = service(number);
        state.apply(Change::Slice(EndpointSlice {
            name: service.name.clone(),
            service: service.name.clone(),
            family: Family::V4,
            ports: vec![EndpointPort {
                name: "http".into(),
                protocol: Protocol::Tcp,
                port: 8080,
            }],
            endpoints: vec![Endpoint {
                address: ip("10.244.0.1"),
                node: None,
                ready: true,
                serving: true,
                terminating: false,
                hints: Hints::default(),
            }],
            last_change_trigger: None,
        }));
        state.apply(Change::Service(service));
    }
    (state, (0..count).map(|own| service(own).name).collect())
}

/// What is planned, which is something.
fn prepare<B: Rig>(backend: &mut B, state: &State) -> B::Pending {
    let pending = backend.prepare(state.view(), &NODE, Default::default);
    pending.expect("something to do")
}

fn a_sync_is_prepared_applied_and_committed<B: Rig>() {
    let (state, names) = state(1);
    let (mut backend, mut kernel) = (backend::<B>(), B::kernel());
    let pending = prepare(&mut backend, &state);
    assert!(pending.replaces_all() && pending.is_for_the_kernel() && pending.restores_jumps());
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

fn a_refusal_names_the_services_and_leaves_the_old_rules<B: Rig>() {
    let (state, names) = state(2);
    let (mut backend, mut kernel) = (backend::<B>(), B::kernel());
    B::poison(&mut kernel, &service(1));
    let pending = prepare(&mut backend, &state);
    let refusal = backend.apply(&mut kernel, &pending).expect_err("poisoned");
    assert_eq!(refusal.refused, [names[1].clone()]);
    assert_eq!(
        (refusal.family, refusal.cause),
        (Family::V4, Cause::Invalid)
    );
    assert!(B::serves_nothing(&kernel), "not a step of it");

    backend.leave_out([names[1].clone()]);
    let pending = prepare(&mut backend, &state);
    assert_eq!(backend.apply(&mut kernel, &pending), Ok(()));
    backend.commit(pending);
    assert_eq!(backend.left_out(), &[names[1].clone()].into());

    // It is taken back when somebody says so, or when it changes.
    B::cure(&mut kernel);
    backend.take_back(&names);
    let pending = prepare(&mut backend, &state);
    assert_eq!(pending.services().collect::<Vec<_>>(), [&names[1]]);
    assert!(!pending.replaces_all() && backend.left_out().is_empty());
    assert_eq!(backend.apply(&mut kernel, &pending), Ok(()));
    backend.commit(pending);
    backend.leave_out([names[0].clone()]);
    let pending = prepare(&mut backend, &state);
    assert_eq!(pending.services().count(), 0, "it goes");
    assert_eq!(backend.apply(&mut kernel, &pending), Ok(()));
    backend.commit(pending);
    backend.mark(&names[..1]);
    let pending = prepare(&mut backend, &state);
    assert_eq!(pending.services().collect::<Vec<_>>(), [&names[0]]);
}

fn a_trial_changes_nothing<B: Rig>() {
    let (state, _) = state(1);
    let (mut backend, mut kernel) = (backend::<B>(), B::kernel());
    let pending = prepare(&mut backend, &state);
    assert!(backend.would_take(&mut kernel, pending));
    assert!(B::is_empty(&kernel));

    B::poison(&mut kernel, &service(0));
    let pending = prepare(&mut backend, &state);
    assert!(!backend.would_take(&mut kernel, pending));
}

fn cleaning_up_takes_all_that_is_there<B: Rig>() {
    let (state, _) = state(1);
    let (mut backend, mut kernel) = (backend::<B>(), B::kernel());
    assert!(!B::clean_up(&mut kernel, Family::V4).expect("nothing"));
    let pending = prepare(&mut backend, &state);
    assert_eq!(backend.apply(&mut kernel, &pending), Ok(()));
    assert!(!B::is_empty(&kernel));
    assert!(B::clean_up(&mut kernel, Family::V4).expect("something"));
    assert!(B::is_empty(&kernel));
    assert!(!B::clean_up(&mut kernel, Family::V4).expect("nothing any more"));
}

/// The tests, for one kind of rules.
macro_rules! holds {
    ($kind:ident, $backend:ty: $($test:ident),+ $(,)?) => {
        mod $kind {
            use super::*;
            $(#[test]
            fn $test() {
                super::$test::<$backend>();
            })+
        }
    };
}

holds!(nft, NftBackend<Poisoned>:
    a_sync_is_prepared_applied_and_committed,
    a_refusal_names_the_services_and_leaves_the_old_rules,
    a_trial_changes_nothing,
    cleaning_up_takes_all_that_is_there,
);
holds!(iptables, IptablesBackend<Memory>:
    a_sync_is_prepared_applied_and_committed,
    a_refusal_names_the_services_and_leaves_the_old_rules,
    a_trial_changes_nothing,
    cleaning_up_takes_all_that_is_there,
);
