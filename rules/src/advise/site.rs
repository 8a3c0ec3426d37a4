//! A Service, the nodes, and who serves where: what shares are reckoned from.

use crate::State;
use crate::model::{
    EndpointAddr, EndpointSlice, Family, ObjectName, Service, ServicePort, ServiceType,
};
use crate::select::{Place, everywhere, ready_addresses};
use foldhash::HashMap;
use schemars::JsonSchema;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;

/// Why a balancer sends nothing to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Out {
    /// Label `node.kubernetes.io/exclude-from-external-load-balancers`; cloud providers' balancers
    /// leave the node out (the service controller's `nodeIncludedPredicate`).
    Excluded,
    /// It is deleted, or the cluster autoscaler is about to remove it; left out likewise
    /// (`nodeNotDeletedPredicate`, `nodeUnTaintedPredicate`).
    Leaving,
    /// Condition `Ready` is not true: it is assumed that nothing answers there.
    NotReady,
}

/// What is known of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// Label `topology.kubernetes.io/zone`.
    pub zone: Option<Arc<str>>,
    /// Why no balancer sends anything there.
    pub out: Option<Out>,
    /// Pods without tolerations may come up there: it is not cordoned, and no taint keeps them out.
    pub takes_pods: bool,
}

/// All nodes, by position and by name.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    list: Vec<NodeFacts>,
    positions: HashMap<Arc<str>, usize>,
}

impl Nodes {
    /// These nodes, sorted by name; of two of one name the first counts.
    pub fn new(mut list: Vec<NodeFacts>) -> Self {
        list.sort_by(|left, right| left.name.cmp(&right.name));
        list.dedup_by(|later, first| later.name == first.name);
        let positions = list.iter().enumerate();
        let positions = positions
            .map(|(at, node)| (node.name.clone(), at))
            .collect();
        Self { list, positions }
    }

    /// With the nodes that EndpointSlices name and no object is known of, and how many those are.
    #[must_use]
    pub fn with_those_of(self, state: &State) -> (Self, usize) {
        let entries = state.entries().map(|(_, entry)| entry);
        let endpoints = entries
            .flat_map(|entry| &entry.slices)
            .flat_map(|slice| &slice.endpoints);
        let mut found: Vec<Arc<str>> = endpoints
            .filter_map(|endpoint| endpoint.node.as_ref())
            .filter(|name| !self.positions.contains_key(*name))
            .cloned()
            .collect();
        found.sort_unstable();
        found.dedup();
        let count = found.len();
        if count == 0 {
            return (self, 0);
        }
        let found = found.into_iter().map(|name| NodeFacts {
            name,
            zone: None,
            out: None,
            takes_pods: true,
        });
        (
            Self::new(self.list.into_iter().chain(found).collect()),
            count,
        )
    }

    /// The nodes, sorted by name.
    pub fn list(&self) -> &[NodeFacts] {
        &self.list
    }
}

/// An endpoint that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) backend: EndpointAddr,
    /// `nodeName`.
    pub(super) node: Option<Arc<str>>,
    /// Where that node is among all.
    pub(super) at: Option<usize>,
    pub(super) ready: bool,
}

/// One port of a Service in one family, with all nodes.
#[derive(Clone, Debug)]
pub struct Site<'a> {
    /// The Service.
    pub service: &'a Service,
    /// Its port.
    pub port: &'a ServicePort,
    /// The family.
    pub family: Family,
    /// All nodes.
    pub nodes: &'a [NodeFacts],
    pub(super) slices: &'a [EndpointSlice],
    pub(super) all: &'a Nodes,
    pub(super) pods: Vec<Pod>,
    /// Positions among `pods`: see [`everywhere`].
    pub(super) lists: Vec<Vec<usize>>,
    pub(super) list_of: Vec<usize>,
    /// For each node, who serves there by policy Local.
    pub(super) local: Vec<Vec<usize>>,
    /// For each node, what its health check node port counts.
    pub(super) counted: Vec<usize>,
}

impl<'a> Site<'a> {
    /// A port of a Service as the objects have it; `None` if the Service is not there.
    pub fn new(
        state: &'a State,
        service: &ObjectName,
        port: &'a ServicePort,
        family: Family,
        nodes: &'a Nodes,
    ) -> Option<Self> {
        let entry = state.entry(service)?;
        let service = entry.service.as_deref()?;
        Some(Self::of_slices(service, &entry.slices, port, family, nodes))
    }

    pub(super) fn of_slices(
        service: &'a Service,
        slices: &'a [EndpointSlice],
        port: &'a ServicePort,
        family: Family,
        nodes: &'a Nodes,
    ) -> Self {
        let places: Vec<Place<'_>> = nodes
            .list
            .iter()
            .map(|node| Place {
                node: &node.name,
                zone: node.zone.as_deref(),
            })
            .collect();
        let served = everywhere(port, family, slices, &places);
        let position = |node: &Arc<str>| nodes.positions.get(node).copied();
        let pods = served.endpoints.into_iter().map(|own| Pod {
            at: own.node.as_ref().and_then(position),
            backend: own.backend,
            node: own.node,
            ready: own.ready,
        });
        let mut counted = vec![0; nodes.list.len()];
        for (name, count) in ready_addresses(family, slices) {
            if let Some(at) = nodes.positions.get(name) {
                counted[*at] = count;
            }
        }
        let mut site = Self {
            service,
            port,
            family,
            nodes: &nodes.list,
            slices,
            all: nodes,
            pods: pods.collect(),
            lists: served.lists,
            list_of: served.list_of,
            local: Vec::new(),
            counted,
        };
        site.find_local();
        site
    }

    /// The nodes' own ready endpoints, or for want of them those that terminate.
    fn find_local(&mut self) {
        let mut local = vec![Vec::new(); self.nodes.len()];
        for wants_ready in [true, false] {
            let mut found: Vec<(usize, usize)> = Vec::new();
            for (number, pod) in self.pods.iter().enumerate() {
                if let Some(at) = pod.at.filter(|_| pod.ready == wants_ready)
                    && (wants_ready || local[at].is_empty())
                {
                    found.push((at, number));
                }
            }
            found
                .into_iter()
                .for_each(|(at, number)| local[at].push(number));
        }
        self.local = local;
    }

    /// What the EndpointSlices say when all pods of a node have been evicted, and none has come up
    /// elsewhere. The node itself stays, as `kubectl drain` leaves it: balancers go on sending to
    /// it.
    pub(super) fn slices_without(&self, node: &str) -> Vec<EndpointSlice> {
        let mut slices = self.slices.to_vec();
        for slice in &mut slices {
            slice
                .endpoints
                .retain(|endpoint| endpoint.node.as_deref() != Some(node));
        }
        slices
    }

    /// Whether a balancer may send anything to a node. What only cloud providers' balancers heed
    /// says nothing of those who connect to node ports by themselves.
    pub fn is_in_reach(&self, at: usize) -> bool {
        match self.nodes[at].out {
            None => true,
            Some(Out::NotReady) => false,
            Some(Out::Excluded | Out::Leaving) => self.service.kind != ServiceType::LoadBalancer,
        }
    }

    /// Whether each node has a health check port under policy Local
    /// (docs/reference.md#health-check-node-ports).
    pub fn is_checked(&self) -> bool {
        self.service.kind == ServiceType::LoadBalancer
    }

    /// Endpoints that are ready, or for want of those all that serve.
    pub(super) fn counts(&self, pod: &Pod) -> bool {
        pod.ready || !self.pods.iter().any(|pod| pod.ready)
    }

    /// How many endpoints serve anywhere by either policy.
    pub fn endpoints(&self) -> usize {
        self.pods.len()
    }

    /// Whether the endpoint of that number is ready; if not, it serves while it terminates.
    pub fn is_ready(&self, number: usize) -> bool {
        self.pods[number].ready
    }

    /// The address of the endpoint of that number.
    pub fn address(&self, number: usize) -> IpAddr {
        self.pods[number].backend.address
    }

    /// Which of the nodes runs the endpoint of that number, if it is known.
    pub fn node_of(&self, number: usize) -> Option<usize> {
        self.pods[number].at
    }

    /// How many endpoints serve on the node of that number by policy Local.
    pub fn pods_on(&self, at: usize) -> usize {
        self.local[at].len()
    }

    /// How many nodes have an endpoint that is ready.
    pub fn nodes_with_endpoints(&self) -> usize {
        let has_ready = |local: &&Vec<usize>| local.iter().any(|number| self.pods[*number].ready);
        self.local.iter().filter(has_ready).count()
    }

    /// How many nodes a balancer may send to.
    pub fn nodes_in_reach(&self) -> usize {
        let all = 0..self.nodes.len();
        all.filter(|at| self.is_in_reach(*at)).count()
    }

    /// How many of those pods may come up on.
    pub fn nodes_for_pods(&self) -> usize {
        let all = 0..self.nodes.len();
        all.filter(|at| self.is_for_pods(*at)).count()
    }

    /// Where pods are found by balancers, and may come up. A node that runs some takes pods,
    /// whatever its taints say.
    fn is_for_pods(&self, at: usize) -> bool {
        self.is_in_reach(at) && (self.nodes[at].takes_pods || !self.local[at].is_empty())
    }

    /// How many zones those are in.
    pub fn zones_for_pods(&self) -> usize {
        let all = (0..self.nodes.len()).filter(|at| self.is_for_pods(*at));
        let mut zones: Vec<&str> = all
            .filter_map(|at| self.nodes[at].zone.as_deref())
            .collect();
        zones.sort_unstable();
        zones.dedup();
        zones.len()
    }

    /// How many endpoints are ready.
    pub fn ready(&self) -> usize {
        self.pods.iter().filter(|pod| pod.ready).count()
    }

    /// Whether topology hints make nodes differ under policy Cluster.
    pub fn is_hinted(&self) -> bool {
        self.lists.len() > 1 || self.lists.iter().any(|list| list.len() < self.ready())
    }
}

/// Ports of a Service that differ in who serves them, the first of each kind. Most Services have
/// one: a port differs where its target port has a name that pods give to different numbers.
pub fn distinct_ports<'a>(state: &'a State, service: &ObjectName) -> Vec<&'a ServicePort> {
    let Some(entry) = state.entry(service) else {
        return Vec::new();
    };
    let ports = entry.service.iter().flat_map(|service| &service.ports);
    let mut seen: Vec<Vec<usize>> = Vec::new();
    let mut distinct = Vec::new();
    for port in ports {
        let slices = entry.slices.iter().enumerate();
        let places: Vec<usize> = slices
            .filter(|(_, slice)| slice.ports_of(port).next().is_some())
            .map(|(at, _)| at)
            .collect();
        if !seen.contains(&places) {
            seen.push(places);
            distinct.push(port);
        }
    }
    distinct
}
