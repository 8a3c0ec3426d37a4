//! Whatever happens in whatever order, the tables end up as if they had been written from the last state
//! at once, and packets meet nothing else on the way.

mod cases;

use super::*;
use crate::histories::{Step, config, name, step};
use crate::iptables::memory::{Chains, Memory};
use crate::iptables::names::ChainName;
use crate::iptables::rule::{Match, Target};
use crate::iptables::ruleset;
use crate::model::{EndpointAddr, Family};
use crate::{Cause, HealthCheck, Pending as _, State};
use proptest::collection::vec;
use proptest::prelude::*;

/// What there is of ours, as [`ruleset`] has it: without canaries and built-in chains.
fn ours(chains: Chains) -> Chains {
    let is_ours = |own: &Object| {
        own.chain.as_str().starts_with("KUBE-") && own.chain != crate::iptables::setup::CANARY
    };
    chains.into_iter().filter(|(own, _)| is_ours(own)).collect()
}

/// What a state leads to at once.
fn expected(config: &Config, state: &State, local: &[IpAddr]) -> Chains {
    let rules = ruleset(config, state.view(), local);
    let tables = [(Table::Filter, rules.filter), (Table::Nat, rules.nat)];
    let mut chains = Chains::new();
    for (table, content) in tables {
        for (chain, rules) in content.by_chain() {
            let rules = rules.into_iter().cloned().collect();
            chains.insert(Object { table, chain }, rules);
        }
    }
    // Jumps lead there in any case.
    let firewall = Object {
        table: Table::Filter,
        chain: top::FIREWALL,
    };
    chains.entry(firewall).or_default();
    chains
}

/// The same without words.
fn mute(mut chains: Chains) -> Chains {
    for rules in chains.values_mut() {
        for rule in rules {
            rule.matches.retain(|own| !matches!(own, Match::Comment(_)));
        }
    }
    chains
}

/// The endpoints that a chain leads to.
fn reach(chains: &Chains, chain: ChainName) -> BTreeSet<EndpointAddr> {
    let table = Table::Nat;
    let rules = chains.get(&Object { table, chain });
    let rules = rules.unwrap_or_else(|| panic!("{chain} is not there"));
    let mut found = BTreeSet::new();
    for rule in rules {
        match &rule.target {
            Some(Target::Jump(next)) => found.extend(reach(chains, *next)),
            Some(Target::Dnat(endpoint)) => drop(found.insert(*endpoint)),
            _ => {}
        }
    }
    found
}

type Entry = (ChainName, BTreeSet<EndpointAddr>);

/// Where each rule leads that all packets meet, by what it matches.
fn entries(chains: &Chains) -> BTreeMap<String, Entry> {
    let tops = [top::SERVICES, top::NODEPORTS].map(|chain| Object {
        table: Table::Nat,
        chain,
    });
    let rules = tops.iter().filter_map(|top| chains.get(top)).flatten();
    let of_service = rules.filter_map(|rule| {
        let next = rule.leads_to().filter(ChainName::is_of_service)?;
        Some((frontend(rule), (next, reach(chains, next))))
    });
    of_service.collect()
}

/// What a rule matches, without words.
fn frontend(rule: &Rule) -> String {
    let matches = rule.matches.iter();
    let matches = matches.filter(|own| !matches!(own, Match::Comment(_)));
    matches.map(|own| format!("{own:?} ")).collect()
}

/// Applies it, and holds each state on the way to what was before and what is after.
fn apply(kernel: &mut Memory, pending: &Pending) -> Result<(), crate::iptables::Refusal> {
    let family = pending.transaction.family;
    let before = entries(&kernel.chains(family));
    let mut on_the_way = Vec::new();
    let result = kernel.apply_watched(&pending.transaction, &mut |chains| {
        on_the_way.push(entries(chains));
    });
    if result.is_err() && !pending.transaction.whole {
        // Nobody met a part of it.
        return result;
    }
    let chains = kernel.chains(family);
    let after = entries(&chains);
    for (frontend, (chain, now)) in on_the_way.into_iter().flatten() {
        let (Some((_, old)), Some((_, new))) = (before.get(&frontend), after.get(&frontend)) else {
            continue;
        };
        let words = format!("{frontend}to {chain}: {old:?}, {new:?}, on the way {now:?}");
        assert!(
            !now.is_empty() || old.is_empty() || new.is_empty(),
            "{words}"
        );
        let table = Table::Nat;
        if chains.contains_key(&Object { table, chain }) {
            // The frontend may move to another port.
            let mut known = reach(&chains, chain);
            known.extend(old.iter().chain(new));
            assert!(now.is_subset(&known), "{words}");
        }
    }
    result
}

/// What the health check servers were told.
type Told = BTreeMap<ObjectName, HealthCheck>;

fn tell(planner: &mut Planner, told: &mut Told) {
    for (name, check) in planner.health.take_changes() {
        let before = match check {
            Some(check) => told.insert(name, check),
            None => told.remove(&name),
        };
        assert_ne!(before, check, "told without need");
    }
}

/// A sync as whoever syncs does it: what differs is written anew.
fn sync(planner: &mut Planner, state: &mut State, kernel: &mut Memory, local: &[IpAddr]) {
    planner.agenda.mark(&state.take_dirty());
    while let Some(pending) = planner.prepare(state.view(), local) {
        let outcome = match pending.is_for_the_kernel() {
            true => apply(kernel, &pending),
            false => Ok(()),
        };
        match outcome {
            Ok(()) => return planner.commit(pending),
            Err(refusal) => {
                let whole = pending.replaces_all();
                assert!(!whole && refusal.cause == Cause::TableDiffers, "{refusal}");
                planner.agenda.distrust();
            }
        }
    }
}

/// A sync that is refused at the last of the chains that it fills, or not at all.
fn refused(planner: &mut Planner, state: &mut State, kernel: &mut Memory, local: &[IpAddr]) {
    planner.agenda.mark(&state.take_dirty());
    let Some(pending) = planner.prepare(state.view(), local) else {
        return;
    };
    let mut last = None;
    pending.transaction.steps.for_each_step(&mut |step| {
        if let crate::iptables::Step::Fill { chain, .. } = step {
            last = Some(chain);
        }
    });
    kernel.poisoned.extend(last);
    if last.is_some() {
        apply(kernel, &pending).expect_err("it is poisoned");
    }
    kernel.poisoned.clear();
}

/// The rules that there are, as upstream counts them.
fn lines(chains: &Chains) -> (usize, usize) {
    let of = |table: Table| {
        let own = chains.iter().filter(|(own, _)| own.table == table);
        own.map(|(_, rules)| rules.len()).sum()
    };
    (of(Table::Filter), of(Table::Nat))
}

/// Other settings, and other addresses of the node.
fn node() -> impl Strategy<Value = (Config, Vec<IpAddr>)> {
    let local = vec(0u8..4, 0..4).prop_map(|own| {
        let of_family = |last| {
            [
                [192, 0, 2, last].into(),
                [0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)].into(),
            ]
        };
        own.into_iter().flat_map(of_family).collect()
    });
    let listed = prop::option::of(prop_oneof![Just(31u8), Just(24)]);
    (listed, any::<[bool; 2]>(), local).prop_map(|(listed, [all, invalid], local)| {
        let ranges = |length: u8| {
            let ranges = [
                format!("192.0.2.0/{length}"),
                format!("2001:db8::/{}", 96 + length),
            ];
            NodeportAddresses::Within(ranges.map(|own| own.parse().expect("a range")).into())
        };
        let config = Config {
            nodeport_addresses: listed.map_or(NodeportAddresses::All, ranges),
            masquerade_all: all,
            drop_invalid: invalid,
            ..config(Family::V4)
        };
        (config, local)
    })
}

/// The same settings for another family. That node ports answer on loopback addresses leaves a rule behind
/// in the kubelet's chain, and is never taken back.
fn of_family(config: &Config, family: Family, localhost_nodeports: bool) -> Config {
    Config {
        family,
        localhost_nodeports,
        local_detector: crate::histories::config(family).local_detector,
        ..config.clone()
    }
}

proptest! {
    #[test]
    fn any_history_ends_like_a_fresh_start(
        steps in vec((step(), prop::option::weighted(0.1, node())), 1..60),
        v6: bool,
        localhost: bool,
        large_beyond in prop_oneof![Just(0), Just(4), Just(LARGE)],
        largest_change in prop_oneof![Just(8), Just(LARGEST_CHANGE)],
    ) {
        let family = if v6 { Family::V6 } else { Family::V4 };
        let mut config = of_family(&config(family), family, localhost);
        let mut local = Vec::new();
        let mut state = State::new();
        let mut planner = Planner {
            large_beyond,
            largest_change,
            ..Planner::new(config.clone())
        };
        let mut kernel = Memory::new();
        let mut told = Told::new();
        for (step, node) in steps {
            if let Some((other, addresses)) = node {
                (config, local) = (of_family(&other, family, localhost), addresses);
                planner.configure(config.clone());
            }
            match step {
                Step::Change(change) => { state.apply(change); }
                Step::Sync => {
                    sync(&mut planner, &mut state, &mut kernel, &local);
                    tell(&mut planner, &mut told);
                }
                Step::Refused => refused(&mut planner, &mut state, &mut kernel, &local),
            }
        }
        sync(&mut planner, &mut state, &mut kernel, &local);
        tell(&mut planner, &mut told);
        let now = ours(kernel.chains(family));
        let expected = expected(&config, &state, &local);
        prop_assert_eq!(mute(now.clone()), mute(expected.clone()));

        let mut fresh_kernel = Memory::new();
        let mut fresh = Planner { large_beyond, ..Planner::new(config) };
        sync(&mut fresh, &mut state, &mut fresh_kernel, &local);
        let at_once = ours(fresh_kernel.chains(family));
        if large_beyond == LARGE {
            prop_assert_eq!(&at_once, &expected);
            prop_assert_eq!(&now, &at_once);
        }
        let known = planner.summary().lines.expect("lines");
        prop_assert_eq!((known.filter, known.nat), lines(&now));
        let summaries = [&planner, &fresh].map(|own| {
            let own = own.summary();
            (own.no_local_internal, own.no_local_external)
        });
        prop_assert_eq!(summaries[0], summaries[1]);
        prop_assert_eq!(planner.listed, fresh.listed);
        prop_assert_eq!(&told, fresh.health.now(), "as they were told one by one");

        // Written anew over whatever is there, it is the same again.
        planner.agenda.distrust();
        sync(&mut planner, &mut state, &mut kernel, &local);
        prop_assert_eq!(ours(kernel.chains(family)), at_once);
        prop_assert_eq!(planner.summary(), fresh.summary());
    }
}
