//! Node ports on `127.0.0.1` and `::1` where nftables serves: which of them a proxy in this process
//! listens on, and who serves them (KEP-6032).
//!
//! [`LocalhostPorts`] follows the Services of one family and tells what is different since it was
//! asked last; [`Choice`] picks the endpoint of one connection.

mod choice;

pub use choice::{Choice, SHUNNED};

use crate::config::{Config, Localhost};
use crate::model::{EndpointAddr, Family, ObjectName, Protocol};
use crate::plan::{self, FrontendKind, PortPlan, Serving};
use crate::state::{Entry, View};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Where the proxy of a family listens; on other loopback addresses it does not (upstream's issue
/// kubernetes/kubernetes#142129 asks for that).
pub fn address(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    }
}

/// One TCP node port with endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Whose it is.
    pub service: ObjectName,
    /// The endpoints, sorted; there is one at least.
    pub endpoints: Arc<[EndpointAddr]>,
    /// `sessionAffinity: ClientIP` with this `timeoutSeconds`.
    pub affinity: Option<u32>,
}

/// The node ports of one family that the proxy serves. A change costs what changed.
#[derive(Debug, Default)]
pub struct LocalhostPorts {
    /// Of the last [`take`](Self::take).
    config: Option<Config>,
    served: BTreeMap<u16, Served>,
    ports_of: HashMap<ObjectName, Box<[u16]>>,
    dirty: HashSet<ObjectName>,
}

impl LocalhostPorts {
    /// Notes that these Services, or their endpoints, are different.
    pub fn note(&mut self, touched: &HashSet<ObjectName>) {
        // Otherwise the next look is at all of them.
        if self.config.as_ref().is_some_and(serves) {
            self.dirty.extend(touched.iter().cloned());
        }
    }

    /// What is different since the last call, by node port; `None` for those that are to be closed.
    pub fn take(&mut self, config: &Config, view: View<'_>) -> BTreeMap<u16, Option<Served>> {
        if self.config.as_ref() != Some(config) {
            self.dirty.extend(self.ports_of.keys().cloned());
            if serves(config) {
                let all = view.state.entries();
                self.dirty.extend(all.map(|(name, _)| name.clone()));
            }
            self.config = Some(config.clone());
        }
        let (mut changes, mut come) = (BTreeMap::new(), BTreeMap::new());
        for name in std::mem::take(&mut self.dirty) {
            let entry = view.state.entry(&name).filter(|_| serves(config));
            let now = entry.map_or_else(Vec::new, |entry| of_service(config, view, &name, entry));
            for port in self.ports_of.remove(&name).unwrap_or_default() {
                // What another Service got since then is that one's.
                if self
                    .served
                    .get(&port)
                    .is_some_and(|own| own.service == name)
                {
                    changes.insert(port, None);
                }
            }
            if !now.is_empty() {
                let ports = now.iter().map(|(port, _)| *port);
                self.ports_of.insert(name, ports.collect());
                come.extend(now);
            }
        }
        for (port, served) in come {
            changes.insert(port, Some(served));
        }
        changes.retain(|port, change| self.served.get(port) != change.as_ref());
        for (port, change) in &changes {
            match change {
                Some(served) => drop(self.served.insert(*port, served.clone())),
                None => drop(self.served.remove(port)),
            }
        }
        changes
    }
}

fn serves(config: &Config) -> bool {
    matches!(config.localhost, Localhost::Proxied { .. })
}

/// The TCP node ports of a Service that have endpoints.
fn of_service(
    config: &Config,
    view: View<'_>,
    name: &ObjectName,
    entry: &Entry,
) -> Vec<(u16, Served)> {
    // Most have none, and planning is work.
    let Some(service) = &entry.service else {
        return Vec::new();
    };
    if service.ports.iter().all(|port| port.node_port.is_none()) {
        return Vec::new();
    }
    let plan = plan::of_entry(config, view, entry);
    let ports = plan.into_iter().flat_map(|plan| plan.ports);
    ports
        .filter(|port| port.protocol == Protocol::Tcp)
        .flat_map(|port| {
            let own = port.of_kind(FrontendKind::NodePort);
            let own = own.filter_map(|(frontend, serving)| {
                // One on a loopback address could lead back to the proxy; the API server refuses
                // those, manifests may have them.
                let endpoints = endpoints(config, &port, serving).iter().copied();
                let endpoints = endpoints.filter(|own| !own.address.is_loopback());
                let served = Served {
                    service: name.clone(),
                    endpoints: endpoints.collect(),
                    affinity: port.affinity,
                };
                (!served.endpoints.is_empty()).then_some((frontend.port, served))
            });
            own.collect::<Vec<_>>()
        })
        .collect()
}

fn endpoints<'a>(config: &Config, port: &'a PortPlan, serving: Serving) -> &'a [EndpointAddr] {
    let serves_all = Localhost::Proxied {
        local_policy_serves_all: true,
    };
    match serving {
        Serving::Cluster { .. } => &port.cluster,
        Serving::ExternalLocal if config.localhost == serves_all => &port.cluster,
        Serving::ExternalLocal | Serving::Local => &port.local,
        Serving::Reject | Serving::Drop => &[],
    }
}

#[cfg(test)]
mod tests;
