//! Whatever happens in whatever order, the table ends up as if it had been
//! built from the last state at once.

mod cases;

use super::*;
use crate::histories::{Step, config, ip, name, step};
use crate::model::{
    Endpoint, EndpointAddr, EndpointPort, EndpointSlice, Family, Frontend, Hints, Protocol,
    Service, ServicePort,
};
use crate::nft::Kernel;
use crate::nft::ruleset::{AffinitySet, Chain, Op, SetId, SourceSet, Statement, Value, Verdict};
use crate::nft::table::Table;
use crate::{Change, ObjectKind};
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
