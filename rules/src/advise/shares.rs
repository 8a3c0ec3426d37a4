//! Who gets which share of the connections.

use super::site::{Out, Site};
use super::wishes::AddressKept;
use crate::model::TrafficPolicy;
use foldhash::HashMap;
use schemars::JsonSchema;
use serde::Serialize;
use std::net::IpAddr;

/// How connections spread over the nodes that take them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Balancer {
    /// Evenly: what balancers do that know nothing of pods.
    #[default]
    Nodes,
    /// By how many endpoints each has, which health check node ports tell in the header
    /// `X-Load-Balancing-Endpoint-Weight`. There are none under policy Cluster, where it is
    /// evenly.
    Endpoints,
    /// Evenly over zones, and in each evenly over its nodes: balancers that don't cross zones.
    Zones,
}

/// An endpoint that gets more than so many times its fair share is worth a finding.
pub(super) const UNFAIR: f64 = 2.0;

/// Sums of shares are this far from what they stand for.
const ROUNDING: f64 = 1e-9;

/// Expected shares, of 1, of all connections that a balancer sends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    /// Of each endpoint, in the order of the site.
    pub endpoints: Vec<f64>,
    /// What each node is sent, in the order of the site.
    pub nodes: Vec<f64>,
    /// Whether each node is sent anything, and answers it.
    pub serves: Vec<bool>,
    /// What crosses from one node to another.
    pub extra_hop: f64,
    /// What is sent to nodes where nobody answers.
    pub dropped: f64,
}

impl Shares {
    /// The shares of a policy under a balancer.
    pub fn new(site: &Site<'_>, policy: TrafficPolicy, balancer: Balancer) -> Self {
        let (taking, counted): (Vec<bool>, Option<&[usize]>) = match policy {
            TrafficPolicy::Cluster => (in_reach(site), None),
            TrafficPolicy::Local => (healthy(site), Some(&site.counted)),
        };
        let nodes = weights(site, &taking, balancer, counted);
        let mut shares = Self {
            endpoints: vec![0.0; site.pods.len()],
            serves: vec![false; nodes.len()],
            nodes,
            ..Self::default()
        };
        match policy {
            TrafficPolicy::Cluster => shares.over_all(site),
            TrafficPolicy::Local => shares.over_own(site),
        }
        shares
    }

    /// Each node sends to all that its list has.
    fn over_all(&mut self, site: &Site<'_>) {
        let mut sent = vec![0.0; site.lists.len()];
        for (at, share) in self.nodes.iter().enumerate() {
            let list = site.list_of[at];
            sent[list] += share;
            self.serves[at] = *share > 0.0 && !site.lists[list].is_empty();
        }
        for (number, (list, sent)) in site.lists.iter().zip(sent).enumerate() {
            if list.is_empty() {
                self.dropped += sent;
                continue;
            }
            let each = 1.0 / list.len() as f64;
            self.extra_hop += sent;
            for pod in list {
                self.endpoints[*pod] += sent * each;
                let at = site.pods[*pod].at;
                if let Some(at) = at.filter(|at| site.list_of[*at] == number) {
                    self.extra_hop -= self.nodes[at] * each;
                }
            }
        }
        if self.extra_hop < ROUNDING {
            self.extra_hop = 0.0;
        }
    }

    /// Each node sends to its own.
    fn over_own(&mut self, site: &Site<'_>) {
        for (at, share) in self.nodes.iter().enumerate() {
            let own = &site.local[at];
            self.serves[at] = *share > 0.0 && !own.is_empty();
            if own.is_empty() {
                self.dropped += share;
            }
            for pod in own {
                self.endpoints[*pod] += share / own.len() as f64;
            }
        }
        if !self.serves.contains(&true) {
            self.dropped = 1.0;
        }
    }

    /// How far apart they are.
    pub fn spread(&self, site: &Site<'_>) -> Spread {
        let any_ready = site.ready() > 0;
        let counts = site.pods.iter().zip(&self.endpoints);
        let counted: Vec<f64> = counts
            .filter(|(pod, _)| pod.ready || !any_ready)
            .map(|(_, share)| *share)
            .collect();
        let busiest = self.endpoints.iter().copied().fold(0.0, f64::max);
        let idlest = counted.iter().copied().fold(f64::INFINITY, f64::min);
        let idlest = if counted.is_empty() { 0.0 } else { idlest };
        let fair = match counted.len() {
            0 => 0.0,
            count => 1.0 / count as f64,
        };
        Spread {
            busiest,
            idlest,
            fair,
            ratio: (idlest > 0.0).then(|| tidy(busiest / idlest)),
            over_fair: if fair > 0.0 {
                tidy(busiest / fair)
            } else {
                0.0
            },
        }
    }
}

/// Without what rounding adds, so that 3 is 3.
fn tidy(value: f64) -> f64 {
    let rounded = value.round();
    if (value - rounded).abs() < ROUNDING * 10.0 {
        rounded
    } else {
        value
    }
}

fn in_reach(site: &Site<'_>) -> Vec<bool> {
    let all = 0..site.nodes.len();
    all.map(|at| site.is_in_reach(at)).collect()
}

/// The nodes that a balancer takes for healthy under policy Local: by the health check port, or
/// where there is none as if somebody looked whether the node answers. Where none is, most
/// balancers send to all.
fn healthy(site: &Site<'_>) -> Vec<bool> {
    let reach = in_reach(site);
    let is_healthy = |at: usize| match site.is_checked() {
        true => site.counted[at] > 0,
        false => !site.local[at].is_empty(),
    };
    let all = reach.iter().enumerate();
    let healthy: Vec<bool> = all.map(|(at, reach)| *reach && is_healthy(at)).collect();
    match healthy.contains(&true) {
        true => healthy,
        false => reach,
    }
}

/// The share of each node; all are 0 if none takes anything.
fn weights(
    site: &Site<'_>,
    taking: &[bool],
    balancer: Balancer,
    counted: Option<&[usize]>,
) -> Vec<f64> {
    let taking = || taking.iter().enumerate().filter(|(_, own)| **own);
    let mut weights = vec![0.0; site.nodes.len()];
    match (balancer, counted) {
        (Balancer::Endpoints, Some(counted)) if taking().any(|(at, _)| counted[at] > 0) => {
            taking().for_each(|(at, _)| weights[at] = counted[at] as f64);
        }
        (Balancer::Zones, _) => {
            let zone = |at: usize| site.nodes[at].zone.as_deref().unwrap_or_default();
            let mut in_zone: HashMap<&str, f64> = HashMap::default();
            taking().for_each(|(at, _)| *in_zone.entry(zone(at)).or_default() += 1.0);
            taking().for_each(|(at, _)| weights[at] = 1.0 / in_zone[zone(at)]);
        }
        _ => taking().for_each(|(at, _)| weights[at] = 1.0),
    }
    let sum: f64 = weights.iter().sum();
    if sum > 0.0 {
        weights.iter_mut().for_each(|weight| *weight /= sum);
    }
    weights
}

/// How far apart the shares of endpoints are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// The largest share.
    pub busiest: f64,
    /// The smallest share of an endpoint that is ready.
    pub idlest: f64,
    /// What each would get if all got the same.
    pub fair: f64,
    /// Busiest by idlest; `null` if an endpoint gets nothing.
    pub ratio: Option<f64>,
    /// Busiest by fair; 0 without endpoints.
    pub over_fair: f64,
}

impl Spread {
    /// An endpoint gets more than twice its fair share.
    pub fn is_unfair(&self) -> bool {
        self.over_fair > UNFAIR + ROUNDING
    }

    /// The busiest and the idlest are alike, but for a tenth.
    pub fn is_even(&self) -> bool {
        self.ratio.is_some_and(|ratio| ratio <= 1.1)
    }
}

/// What one policy means for a Service.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outlook {
    /// Endpoints that are ready, and those that serve for want of others, by address.
    pub endpoints: Vec<EndpointShare>,
    /// All nodes, by name.
    pub nodes: Vec<NodeShare>,
    /// Whose address the pod sees.
    pub client_address: AddressKept,
    /// How even it is.
    #[serde(flatten)]
    pub spread: Spread,
    /// How many nodes serve.
    pub nodes_serving: usize,
    /// The share of connections that cross from one node to another.
    pub extra_hop: f64,
    /// The share of connections sent to nodes where nobody answers.
    pub dropped: f64,
    /// The share of connections that would go to such nodes if the balancer did not check nodes'
    /// health.
    pub dropped_unchecked: f64,
}

/// An endpoint's part.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointShare {
    /// The pod's address.
    pub address: IpAddr,
    /// The pod's port.
    pub port: u16,
    /// Where it runs; `null` if its slice does not tell.
    pub node: Option<String>,
    /// It is ready; if not, it serves while it terminates.
    pub ready: bool,
    /// Of 1, of all connections from outside.
    pub share: f64,
}

/// A node's part.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeShare {
    /// Its name.
    pub name: String,
    /// `topology.kubernetes.io/zone`.
    pub zone: Option<String>,
    /// The balancer sends to it, and it answers.
    pub serves: bool,
    /// What the balancer sends to it, of 1.
    pub share: f64,
    /// How many endpoints run there.
    pub endpoints: usize,
    /// What its health check node port answers, where it has one: 200 or 503.
    pub health_port: Option<u16>,
    /// Why no balancer sends anything to it.
    pub out: Option<Out>,
}

/// The outlook under a policy and a balancer.
pub fn outlook(site: &Site<'_>, policy: TrafficPolicy, balancer: Balancer) -> Outlook {
    let shares = Shares::new(site, policy, balancer);
    let local = policy == TrafficPolicy::Local;
    let pods = site.pods.iter().zip(&shares.endpoints);
    let endpoints = pods
        .filter(|(pod, share)| site.counts(pod) || **share > 0.0)
        .map(|(pod, share)| EndpointShare {
            address: pod.backend.address,
            port: pod.backend.port,
            node: pod.node.as_deref().map(str::to_owned),
            ready: pod.ready,
            share: *share,
        });
    let nodes = site.nodes.iter().enumerate().map(|(at, node)| NodeShare {
        name: node.name.to_string(),
        zone: node.zone.as_deref().map(str::to_owned),
        serves: shares.serves[at],
        share: shares.nodes[at],
        endpoints: site.local[at].len(),
        health_port: (local && site.is_checked()).then(|| match site.counted[at] {
            0 => 503,
            _ => 200,
        }),
        out: node.out.filter(|_| !site.is_in_reach(at)),
    });
    Outlook {
        endpoints: endpoints.collect(),
        nodes: nodes.collect(),
        client_address: AddressKept::under(policy),
        spread: shares.spread(site),
        nodes_serving: shares.serves.iter().filter(|serves| **serves).count(),
        extra_hop: shares.extra_hop,
        dropped: shares.dropped,
        dropped_unchecked: match local {
            true => unanswered(site),
            false => shares.dropped,
        },
    }
}

/// Of the nodes in reach, the part that has no endpoint of its own.
fn unanswered(site: &Site<'_>) -> f64 {
    let reach = (0..site.nodes.len()).filter(|at| site.is_in_reach(*at));
    let (mut all, mut without) = (0usize, 0usize);
    for at in reach {
        all += 1;
        without += usize::from(site.local[at].is_empty());
    }
    match all {
        0 => 1.0,
        all => without as f64 / all as f64,
    }
}
