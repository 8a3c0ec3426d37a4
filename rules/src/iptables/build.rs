//! All rules of one family.

use super::content::Ruleset;
use super::lists;
use super::port::{Build, LARGE, Port};
use super::top;
use crate::plan;
use crate::{Config, View};
use std::net::IpAddr;

/// The rules of `config`'s family as `view` has the cluster; `local_addresses` are those of the node's
/// interfaces, loopback ones among them. Costs what all Services have.
pub fn ruleset(config: &Config, view: View<'_>, local_addresses: &[IpAddr]) -> Ruleset {
    let entries = view.state.entries();
    let mut plans: Vec<_> = entries
        .filter_map(|(name, entry)| Some((name, plan::of_entry(config, view, entry)?)))
        .collect();
    plans.sort_unstable_by_key(|(name, _)| *name);
    let listed: usize = plans.iter().map(|(_, plan)| plan.listed()).sum();
    let build = Build {
        config,
        large: listed > LARGE,
    };
    let mut out = Ruleset::new(config.family);
    top::first(config, &mut out);
    for (name, plan) in &plans {
        for port in &plan.ports {
            let port = Port::new(build, name, plan, port);
            port.add_shared(&mut out);
            port.add_own(&mut out.nat);
            lists::add(&port, &mut out.nat);
        }
    }
    let node_ports = top::to_node_ports(config, local_addresses);
    top::last(config, node_ports, &mut out);
    out
}
