//! Who serves, who does not and why, and who gets how much.

use super::data::{EndpointExplained, Health, NodeHealth};
use super::is_external;
use crate::Config;
use crate::model::{EndpointAddr, Family, Node, ObjectName, Service, ServicePort, TrafficPolicy};
use crate::select::{self, Explained, Reason};
use crate::state::View;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// From where a Service is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The cluster, as this node sees it.
    pub view: View<'a>,
    /// The settings of one family on this node.
    pub config: &'a Config,
    /// All Nodes, as far as they are known.
    pub nodes: &'a [&'a Node],
}

impl Place<'_> {
    /// Who serves a port by a policy, on a node.
    fn on(
        &self,
        node: &str,
        service: &ObjectName,
        port: &ServicePort,
        policy: TrafficPolicy,
    ) -> Option<Explained> {
        if *self.config.node_name == *node {
            return select::explain(self.config, self.view, service, port, policy);
        }
        let config = Config::new(self.config.family, node);
        let known = self.nodes.iter().find(|known| *known.name == *node);
        let unknown = Node::default();
        let view = self
            .view
            .state
            .view_from(known.copied().unwrap_or(&unknown));
        select::explain(&config, view, service, port, policy)
    }

    fn service(&self, name: &ObjectName) -> Option<&Service> {
        self.view.state.entry(name)?.service.as_deref()
    }

    /// The nodes that have an endpoint of the Service, in order.
    fn nodes_with_endpoints(&self, name: &ObjectName) -> BTreeSet<&str> {
        let entry = self.view.state.entry(name);
        let slices = entry.into_iter().flat_map(|entry| &entry.slices);
        let endpoints = slices.flat_map(|slice| &slice.endpoints);
        endpoints.filter_map(|own| own.node.as_deref()).collect()
    }
}

/// The endpoints of all ports in the family of `place`; `pods` names what is at an address.
pub fn endpoints(
    place: Place<'_>,
    name: &ObjectName,
    pods: &BTreeMap<IpAddr, String>,
) -> Vec<EndpointExplained> {
    let Some(service) = place.service(name) else {
        return Vec::new();
    };
    let ports = service.ports.iter();
    ports
        .flat_map(|port| of_port(place, service, port, pods))
        .collect()
}

/// What is known of an endpoint beside its address.
struct Row<'a> {
    endpoint: &'a crate::model::Endpoint,
    port: Option<u16>,
    reason: Option<Reason>,
}

fn of_port(
    place: Place<'_>,
    service: &Service,
    port: &ServicePort,
    pods: &BTreeMap<IpAddr, String>,
) -> Vec<EndpointExplained> {
    let here = &*place.config.node_name;
    let name = &service.name;
    let explain = |policy| place.on(here, name, port, policy);
    let Some(inside) = explain(service.internal_policy) else {
        return Vec::new();
    };
    let external = is_external(service);
    let outside = external.then(|| explain(service.external_policy)).flatten();
    let shares_outside = outside
        .as_ref()
        .map(|outside| shares_outside(place, service, port, outside));
    // Why somebody serves nobody is told by the policy that lets the most serve.
    let told = match (&outside, service.internal_policy) {
        (Some(outside), TrafficPolicy::Local) => outside,
        _ => &inside,
    };
    let family = place.config.family;
    let zone = |node: &str| {
        let known = place.nodes.iter().find(|known| *known.name == *node)?;
        known.zone.as_deref().map(str::to_owned)
    };
    rows(place, service, port, told)
        .into_iter()
        .filter(|row| Family::of(row.endpoint.address) == family)
        .map(|row| {
            let address = row.endpoint.address;
            let backend = row.port.map(|port| EndpointAddr { address, port });
            let counts = row.reason != Some(Reason::Repeated);
            let serves = |explained: &Explained| {
                counts && backend.is_some_and(|own| explained.chosen.binary_search(&own).is_ok())
            };
            let used_inside = serves(&inside);
            let used_outside = outside.as_ref().map(serves);
            let share_outside = shares_outside.as_ref().map(|shares| {
                let share = backend.and_then(|own| shares.get(&own));
                share.copied().filter(|_| counts).unwrap_or(0.0)
            });
            let nobody = !used_inside && used_outside != Some(true);
            EndpointExplained {
                port_name: port.name.to_string(),
                address,
                port: row.port,
                protocol: port.protocol.to_string(),
                pod: pods.get(&address).cloned(),
                node: row.endpoint.node.as_deref().map(str::to_owned),
                zone: row.endpoint.node.as_deref().and_then(zone),
                ready: row.endpoint.ready,
                serving: row.endpoint.serving,
                terminating: row.endpoint.terminating,
                used_inside,
                used_outside,
                left_out: row
                    .reason
                    .filter(|_| nobody)
                    .map(|reason| words(reason, told)),
                share_inside: if used_inside {
                    fraction(1, inside.chosen.len())
                } else {
                    0.0
                },
                share_outside,
            }
        })
        .collect()
}

/// All endpoints of a port, those that serve first, each with why it does not.
fn rows<'a>(
    place: Place<'a>,
    service: &Service,
    port: &ServicePort,
    told: &Explained,
) -> Vec<Row<'a>> {
    let mut left_out: BTreeMap<_, Vec<Reason>> = BTreeMap::new();
    for own in &told.left_out {
        let key = (own.endpoint.address, own.port, own.endpoint.ready);
        left_out.entry(key).or_default().push(own.reason);
    }
    let entry = place.view.state.entry(&service.name);
    let slices = entry.into_iter().flat_map(|entry| &entry.slices);
    let mut rows = Vec::new();
    for slice in slices {
        let mut numbers: Vec<Option<u16>> = slice.ports_of(port).map(Some).collect();
        if numbers.is_empty() {
            numbers.push(None);
        }
        for endpoint in &slice.endpoints {
            for port in &numbers {
                let key = (endpoint.address, *port, endpoint.ready);
                let reason = left_out.get_mut(&key).and_then(Vec::pop);
                rows.push(Row {
                    endpoint,
                    port: *port,
                    reason,
                });
            }
        }
    }
    rows.sort_by_key(|row| (row.reason.is_some(), row.endpoint.address, row.port));
    rows
}

/// What each endpoint gets of the connections from outside, over all nodes, where a balancer spreads
/// them evenly over the nodes that serve.
fn shares_outside(
    place: Place<'_>,
    service: &Service,
    port: &ServicePort,
    here: &Explained,
) -> BTreeMap<EndpointAddr, f64> {
    if service.external_policy == TrafficPolicy::Cluster {
        let each = fraction(1, here.chosen.len());
        return here.chosen.iter().map(|own| (*own, each)).collect();
    }
    let nodes = place.nodes_with_endpoints(&service.name).into_iter();
    let chosen = nodes.filter_map(|node| {
        let explained = place.on(node, &service.name, port, TrafficPolicy::Local)?;
        (!explained.chosen.is_empty()).then_some(explained.chosen)
    });
    let chosen: Vec<Vec<EndpointAddr>> = chosen.collect();
    let mut shares = BTreeMap::new();
    for own in &chosen {
        let each = fraction(1, chosen.len() * own.len());
        for backend in own {
            *shares.entry(*backend).or_insert(0.0) += each;
        }
    }
    shares
}

/// What each of those that get something from outside would get, if all got the same; `endpoints`
/// are those of one port and family.
pub fn fair_share(endpoints: &[EndpointExplained]) -> f64 {
    let served = endpoints.iter().filter(|own| own.share_outside > Some(0.0));
    fraction(1, served.count())
}

#[expect(clippy::cast_precision_loss, reason = "there are fewer endpoints")]
fn fraction(of: usize, all: usize) -> f64 {
    if all == 0 {
        return 0.0;
    }
    of as f64 / all as f64
}

fn words(reason: Reason, told: &Explained) -> String {
    match reason {
        Reason::OtherFamily => "its EndpointSlice is of the other family".to_owned(),
        Reason::NoSuchPort => "its EndpointSlice has no port of that name and protocol".to_owned(),
        Reason::Repeated => "another entry with the same address counts".to_owned(),
        Reason::OtherNode => "runs on another node, and the policy is Local".to_owned(),
        Reason::NotReady => "is not ready".to_owned(),
        Reason::Terminating => "terminates, and others are ready".to_owned(),
        Reason::HintedElsewhere => match &told.hints {
            select::HintUse::ForZone(zone) => {
                format!("its hint is for another zone than {zone}")
            }
            _ => "its hint is for another node".to_owned(),
        },
        Reason::BeyondLimit => {
            "there are more endpoints than are programmed, and this node has others".to_owned()
        }
    }
}

/// What the health check node port answers on each of the Nodes; `None` if the Service has none.
/// It counts ready endpoints of the family, by their addresses
/// (docs/reference.md#health-check-node-ports).
pub fn health(place: Place<'_>, name: &ObjectName) -> Option<Health> {
    let service = place.service(name)?;
    let port = service.health_check_node_port?;
    let entry = place.view.state.entry(name)?;
    let count = |node: &str| {
        let here = select::Place { node, zone: None };
        select::local_ready_addresses(place.config.family, &entry.slices, here)
    };
    let nodes = place.nodes.iter().map(|node| {
        let local_endpoints = count(&node.name);
        NodeHealth {
            node: node.name.to_string(),
            addresses: node.addresses.clone(),
            local_endpoints,
            expected: if local_endpoints > 0 { 200 } else { 503 },
            answered: None,
            error: None,
        }
    });
    Some(Health {
        port,
        nodes: nodes.collect(),
    })
}
