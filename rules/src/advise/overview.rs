//! All Services with an external policy, the worst imbalance first.

use super::other;
use super::shares::{Balancer, Shares, Spread};
use super::site::{Nodes, Site, distinct_ports};
use super::wishes::AddressKept;
use super::words::percent;
use crate::State;
use crate::finding::{Code, Finding, Severity};
use crate::model::{Family, ObjectName, Service};
use schemars::JsonSchema;
use serde::Serialize;

/// One Service in a few figures; of its ports the one with the worst spread.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The port's number.
    pub port: u16,
    /// `externalTrafficPolicy`.
    pub policy: String,
    /// How many endpoints are ready.
    pub endpoints: usize,
    /// How many nodes serve by that policy.
    pub nodes_serving: usize,
    /// How many nodes a balancer may send to.
    pub nodes: usize,
    /// How even it is.
    #[serde(flatten)]
    pub spread: Spread,
    /// Busiest by idlest under the other policy; `null` if an endpoint gets nothing there.
    pub other_ratio: Option<f64>,
    /// Whose address the pods see.
    pub client_address: AddressKept,
    /// The share of connections that cross from one node to another.
    pub extra_hop: f64,
}

impl Summary {
    /// What is wrong with it: an endpoint above twice its fair share.
    pub fn finding(&self) -> Option<Finding> {
        let object = format!("Service {}/{}", self.namespace, self.name);
        self.spread.is_unfair().then(|| {
            Finding::new(
                Code::UnequalShare,
                Severity::Warning,
                format!(
                    "an endpoint gets {} of the connections from outside, {:.1} times its fair \
                     share",
                    percent(self.spread.busiest),
                    self.spread.over_fair
                ),
                format!("kube-proxy advise {}/{}", self.namespace, self.name),
            )
            .about(object)
        })
    }
}

/// Whether clients outside the cluster have a way to a Service.
pub fn is_external(service: &Service) -> bool {
    let addresses = service.external_ips.len() + service.load_balancer_ips.len();
    service.kind.is_external() || addresses > 0
}

/// The family in which a Service is looked at: that of its first cluster IP.
pub fn primary_family(service: &Service) -> Family {
    let first = service.cluster_ips.first();
    first.map_or(Family::V4, |address| Family::of(*address))
}

/// A summary of each Service that clients outside have a way to, in the namespace if one is given.
pub fn overview(
    state: &State,
    nodes: &Nodes,
    balancer: Balancer,
    namespace: Option<&str>,
) -> Vec<Summary> {
    let names = state.entries().filter_map(|(name, entry)| {
        let service = entry.service.as_deref()?;
        let asked = namespace.is_none_or(|namespace| *name.namespace == *namespace);
        (asked && is_external(service)).then_some(name)
    });
    let mut found: Vec<Summary> = names
        .filter_map(|name| summary(state, name, nodes, balancer))
        .collect();
    found.sort_by(|left, right| {
        let worse = right.spread.over_fair.total_cmp(&left.spread.over_fair);
        worse
            .then_with(|| left.namespace.cmp(&right.namespace))
            .then_with(|| left.name.cmp(&right.name))
    });
    found
}

fn summary(state: &State, name: &ObjectName, nodes: &Nodes, balancer: Balancer) -> Option<Summary> {
    let service = state.entry(name)?.service.as_deref()?;
    let ports = distinct_ports(state, name);
    let each = ports.into_iter().filter_map(|port| {
        let site = Site::new(state, name, port, primary_family(service), nodes)?;
        Some(of_site(&site, balancer))
    });
    each.max_by(|left, right| left.spread.over_fair.total_cmp(&right.spread.over_fair))
}

fn of_site(site: &Site<'_>, balancer: Balancer) -> Summary {
    let service = site.service;
    let policy = service.external_policy;
    let now = Shares::new(site, policy, balancer);
    let then = Shares::new(site, other(policy), balancer);
    Summary {
        namespace: service.name.namespace.to_string(),
        name: service.name.name.to_string(),
        kind: service.kind.to_string(),
        port: site.port.port,
        policy: format!("{policy:?}"),
        endpoints: site.ready(),
        nodes_serving: now.serves.iter().filter(|serves| **serves).count(),
        nodes: site.nodes_in_reach(),
        spread: now.spread(site),
        other_ratio: then.spread(site).ratio,
        client_address: AddressKept::under(policy),
        extra_hop: now.extra_hop,
    }
}
