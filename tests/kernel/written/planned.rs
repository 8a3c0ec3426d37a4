//! Histories of a few Services, as the backend writes them: the kernel, the chains in memory and what the
//! last state leads to at once are the same after each sync.

use super::rig::Rig;
use crate::build::{endpoints, service};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rules::iptables::{IptablesBackend, Kernel, Memory, Refusal, Transaction, ruleset};
use rules::model::{Family, ObjectName, Service, TrafficPolicy};
use rules::{Backend, Change, Config, LocalDetector, Pending, State};
use std::cell::RefCell;

/// The kernel, and chains in memory beside it.
struct Both {
    rig: Rig,
    memory: Memory,
}

impl Kernel for Both {
    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        let real = self.rig.apply(transaction);
        let memory = self.memory.apply(transaction);
        assert_eq!(real.is_ok(), memory.is_ok(), "{real:?} {memory:?}");
        real
    }

    fn would_take(&mut self, transaction: &Transaction) -> bool {
        self.rig.kernel.would_take(transaction)
    }

    fn clean_up(&mut self, family: Family) -> std::io::Result<bool> {
        self.rig.kernel.clean_up(family)
    }
}

/// One of three Services, as it may be.
fn any_service() -> impl Strategy<Value = Service> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let flags = any::<[bool; 6]>();
    (name, flags).prop_map(
        |(name, [external, local, sticky, balanced, guarded, inside])| {
            let mut own = service(name);
            let number = name.as_bytes()[0];
            own.cluster_ips = vec![
                [10, 96, 0, number].into(),
                format!("fd00:10:96::{number}").parse().expect("an address"),
            ];
            if external {
                own.ports[0].node_port = Some(30_000 + u16::from(number));
            }
            if local {
                own.external_policy = TrafficPolicy::Local;
                own.health_check_node_port = Some(31_000 + u16::from(number));
            }
            if balanced {
                let balancer = format!("2001:db8:100::{number}");
                let balancer = balancer.parse().expect("an address");
                own.load_balancer_ips = vec![[198, 51, 100, number].into(), balancer];
            }
            if guarded {
                let ranges = ["203.0.113.0/24", "2001:db8:113::/64"];
                own.source_ranges = ranges.map(|range| range.parse().expect("a range")).into();
            }
            if inside {
                own.internal_policy = TrafficPolicy::Local;
            }
            own.session_affinity = sticky.then_some(60);
            own
        },
    )
}

fn any_change() -> impl Strategy<Value = Vec<Change>> {
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    let nodes = vec(prop::sample::select(vec!["n1", "n2"]), 0..4);
    prop_oneof![
        3 => any_service().prop_map(|own| vec![Change::Service(own)]),
        4 => (name(), nodes).prop_map(|(name, nodes)| {
            endpoints(name, &nodes).into_iter().map(Change::Slice).collect()
        }),
        1 => name().prop_map(|own| vec![Change::ServiceGone(ObjectName::new("default", own))]),
    ]
}

/// A sync; whatever is refused is the table's fault, and all is written then.
fn sync(backend: &mut IptablesBackend<Both>, state: &mut State, both: &mut Both) {
    backend.mark(&state.take_dirty());
    let Some(pending) = backend.prepare(state.view(), &[], Default::default) else {
        return;
    };
    if pending.is_for_the_kernel() {
        backend.apply(both, &pending).expect("it takes it");
    }
    backend.commit(pending);
}

#[test]
fn whatever_happens_the_kernel_has_what_the_last_state_leads_to() {
    for family in Family::ALL {
        let both = RefCell::new(Both {
            rig: Rig::new(family),
            memory: Memory::new(),
        });
        let pods = match family {
            Family::V4 => "10.244.0.0/16",
            Family::V6 => "fd00:10:244::/48",
        };
        let config = Config {
            local_detector: LocalDetector::Source(pods.parse().expect("a range")),
            drop_invalid: true,
            ..Config::new(family, "n1")
        };
        let histories = vec(vec(any_change(), 1..4), 1..6);
        let settings = ProptestConfig {
            cases: 12,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let outcome = TestRunner::new(settings).run(&histories, |history| {
            let mut both = both.borrow_mut();
            let mut state = State::new();
            // Its first sync takes over what the last history left.
            let mut backend = IptablesBackend::new(config.clone());
            for changes in history {
                for change in changes.into_iter().flatten() {
                    state.apply(change);
                }
                sync(&mut backend, &mut state, &mut both);
                both.rig.is(&ruleset(&config, state.view(), &[]));
            }
            let lines = backend.summary().lines.expect("lines");
            let expected = ruleset(&config, state.view(), &[]);
            let counts = [expected.filter.rules.len(), expected.nat.rules.len()];
            prop_assert_eq!([lines.filter, lines.nat], counts);
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{family}: {error}"));
    }
}
