//! All rules of one family.

use super::content::Ruleset;
use super::lists;
use super::port::{Build, Port};
use super::top;
use crate::plan::{self, ServicePlan};
use crate::{Config, View};
use std::net::IpAddr;

/// With more endpoints than this in all, rules of endpoints carry no comments: upstream's
/// large-cluster mode.
const LARGE: usize = 1000;

/// The rules of `config`'s family as `view` has the cluster; `local_addresses` are those of the node's
/// interfaces, loopback ones among them. Costs what all Services have.
pub fn ruleset(config: &Config, view: View<'_>, local_addresses: &[IpAddr]) -> Ruleset {
    let entries = view.state.entries();
    let mut plans: Vec<_> = entries
        .filter_map(|(name, entry)| Some((name, plan::of_entry(config, view, entry)?)))
        .collect();
    plans.sort_unstable_by_key(|(name, _)| *name);
    let listed = |plan: &ServicePlan| plan.ports.iter().map(|port| port.listed).sum::<usize>();
    let build = Build {
        config,
        large: plans.iter().map(|(_, plan)| listed(plan)).sum::<usize>() > LARGE,
    };
    let mut out = Ruleset::new(config.family);
    top::first(config, &mut out);
    for (name, plan) in &plans {
        for port in &plan.ports {
            let port = Port::new(build, name, plan, port);
            port.add(&mut out);
            lists::add(&port, &mut out.nat);
        }
    }
    top::last(config, local_addresses, &mut out);
    out
}
