//! The chains that all Services share.

use crate::iptables::content::{Content, Ruleset};
use crate::iptables::kernel::Object;
use crate::iptables::port::{Build, Port};
use crate::iptables::rule::{Rule, Table};
use crate::iptables::top;
use crate::model::ObjectName;
use crate::plan::ServicePlan;
use std::collections::BTreeMap;

/// Chains with their rules, in an order in which each comes after what it leads to.
pub(super) type SharedChains = BTreeMap<Object, Vec<Rule>>;

/// Those of them that are `wanted`, whole: what they have of these Services, and what they have
/// whatever Services there are. `node_ports` are the rules that lead to node ports.
pub(super) fn chains<'a>(
    build: Build<'_>,
    services: impl IntoIterator<Item = (&'a ObjectName, &'a ServicePlan)>,
    node_ports: &[Rule],
    wanted: impl Fn(Object) -> bool,
) -> SharedChains {
    let mut out = Ruleset::new(build.config.family);
    top::first(build.config, &mut out);
    let mut chains = SharedChains::new();
    for (table, content) in tables(&mut out) {
        let names = content.chains.drain(..);
        let names = names.map(|chain| Object { table, chain });
        chains.extend(
            names
                .filter(|own| wanted(*own))
                .map(|own| (own, Vec::new())),
        );
    }
    move_rules(&mut out, &mut chains);
    for (name, plan) in services {
        add(build, name, plan, &mut out);
        move_rules(&mut out, &mut chains);
    }
    top::last(build.config, node_ports.to_vec(), &mut out);
    move_rules(&mut out, &mut chains);
    chains
}

/// What one Service has in them.
pub(super) fn of_service(build: Build<'_>, name: &ObjectName, plan: &ServicePlan) -> SharedChains {
    let mut out = Ruleset::new(build.config.family);
    add(build, name, plan, &mut out);
    let mut chains = SharedChains::new();
    for (table, content) in tables(&mut out) {
        for (chain, rule) in content.rules.drain(..) {
            let object = Object { table, chain };
            chains.entry(object).or_default().push(rule);
        }
    }
    chains
}

/// The chains that differ in what one Service has there.
pub(super) fn different<'a>(
    old: &'a SharedChains,
    new: &'a SharedChains,
) -> impl Iterator<Item = Object> {
    let all = old.keys().chain(new.keys());
    let differs = |own: &&Object| old.get(*own) != new.get(*own);
    all.filter(differs).copied()
}

fn add(build: Build<'_>, name: &ObjectName, plan: &ServicePlan, out: &mut Ruleset) {
    for port in &plan.ports {
        Port::new(build, name, plan, port).add_shared(out);
    }
}

/// Moves rules to where their chains are; those of other chains go.
fn move_rules(from: &mut Ruleset, to: &mut SharedChains) {
    for (table, content) in tables(from) {
        for (chain, rule) in content.rules.drain(..) {
            if let Some(rules) = to.get_mut(&Object { table, chain }) {
                rules.push(rule);
            }
        }
    }
}

fn tables(of: &mut Ruleset) -> [(Table, &mut Content); 2] {
    [(Table::Filter, &mut of.filter), (Table::Nat, &mut of.nat)]
}
