//! What else is on a node that has to do with its packets: chains of others on the hooks that
//! Services' packets pass, whose they are, and what is wrong with that; and what is to be said of a
//! node before a proxy runs there, or another one.

mod chain;
mod drops;
mod facts;
mod fate;
mod hook;
mod iptables;
mod neighbours;
mod node;
mod owner;
mod report;
mod switch;

pub use chain::ForeignChain;
pub use drops::foreign_drops;
pub use facts::{
    Conntrack, Counted, DifferingSetting, Facts, Feature, Iptables, Ipvs, Kernel, LocalhostFlows,
    Others, ProxyTable, Rights, Seen,
};
pub use fate::{DropKind, DroppingRule, Fate, RuleDigest, Rules, Step, fate};
pub use hook::{ChainFamily, Hook, Sees};
pub use owner::{
    Kind, Owner, OwnerCensus, is_of_a_service, is_of_services, is_proxy_chain, is_proxy_entry,
};
pub use report::{Group, Item, Status};
pub use switch::{Cluster, From};

use crate::finding::Finding;
use iptables::mode_iptables;

/// What is to be said of a node: groups of checks, and what was found. Without a cluster what a
/// switch changes for its Services is not said.
pub fn check(
    facts: &Facts,
    cluster: Option<&Cluster<'_>>,
    from: Option<From>,
) -> (Vec<Group>, Vec<Finding>) {
    let mut report = report::Report::default();
    node::kernel(&mut report, &facts.kernel, facts.rights.own_namespace);
    if let Some(iptables) = &facts.iptables {
        mode_iptables(&mut report, iptables);
    }
    node::rights(&mut report, facts);
    node::sysctls(&mut report, facts);
    node::conntrack(&mut report, facts);
    neighbours::proxies(&mut report, facts, from);
    neighbours::firewalls(&mut report, facts);
    neighbours::plugins(&mut report, facts);
    switch::localhost(&mut report, facts, cluster, from);
    if let (Some(cluster), Some(from)) = (cluster, from) {
        switch::switch(&mut report, facts, cluster, from);
    }
    (report.groups, report.findings)
}

#[cfg(test)]
mod tests;
