//! Who owns a frontend when several Services ask for it.
//!
//! The API server keeps cluster IPs and node ports unique, but not external or
//! load-balancer IPs, and manifests keep nothing unique. The oldest Service
//! keeps a frontend (then the first by name), whatever the order of arrival,
//! so a newcomer can never take an address over.

use super::Problem;
use crate::model::{Frontend, ObjectName, Service, ServicePort};
use foldhash::HashMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// One Service's wish for a frontend. Ordered by precedence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    created: i64,
    service: ObjectName,
    origin: Option<Arc<str>>,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service {}", self.service)?;
        self.origin
            .as_ref()
            .map_or(Ok(()), |origin| write!(f, " ({origin})"))
    }
}

/// The claims on one frontend, nearly always a single one.
#[derive(Debug)]
enum Claimants {
    One(Claim),
    /// Boxed because it is rare and the table of claims is large.
    #[expect(clippy::box_collection, reason = "keeps the common variant small")]
    Many(Box<BTreeSet<Claim>>),
}

impl Claimants {
    fn owner(&self) -> Option<&Claim> {
        match self {
            Self::One(claim) => Some(claim),
            Self::Many(claims) => claims.first(),
        }
    }
}

/// All frontends and who asks for them.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    by_frontend: HashMap<Frontend, Claimants>,
    /// How many frontends have several claims: mostly none.
    contested: usize,
}

/// What a change of claims led to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Other Services that gained or lost a frontend.
    pub(crate) touched: Vec<ObjectName>,
    /// Conflicts that came with the change.
    pub(crate) problems: Vec<Problem>,
}

impl Claims {
    /// Whether `service` is the one to serve `frontend`, for which it asks.
    pub(crate) fn owns(&self, service: &ObjectName, frontend: &Frontend) -> bool {
        // A first sync asks for every frontend there is.
        if self.contested == 0 {
            debug_assert!(self.is_claimed(frontend), "{service} asks for {frontend:?}");
            return true;
        }
        let owner = self.by_frontend.get(frontend).and_then(Claimants::owner);
        owner.is_some_and(|claim| claim.service == *service)
    }

    #[cfg(test)]
    pub(crate) fn counts_are_right(&self) -> bool {
        let all = self.by_frontend.values();
        let many = all.filter(|own| matches!(own, Claimants::Many(_)));
        many.count() == self.contested
    }

    /// Whether any Service asks for `frontend`.
    pub(crate) fn is_claimed(&self, frontend: &Frontend) -> bool {
        self.by_frontend.contains_key(frontend)
    }

    /// Replaces the claims of one Service.
    pub(crate) fn change(&mut self, old: Option<&Service>, new: Option<&Service>) -> Outcome {
        let mut outcome = Outcome::default();
        let wanted: BTreeSet<Frontend> = new.into_iter().flat_map(frontends_of).collect();
        let same_age = old.map(|service| service.created) == new.map(|service| service.created);
        let had: BTreeSet<Frontend> = old.into_iter().flat_map(frontends_of).collect();
        if let Some(service) = old {
            let gone = had
                .iter()
                .filter(|frontend| !(same_age && wanted.contains(frontend)));
            gone.for_each(|frontend| self.release(service, frontend, &mut outcome));
        }
        if let Some(service) = new {
            let fresh = wanted
                .iter()
                .filter(|frontend| !(same_age && had.contains(frontend)));
            fresh.for_each(|frontend| self.claim(service, *frontend, &mut outcome));
            outcome.problems.extend(repeated_ports(service));
        }
        outcome
    }

    fn claim(&mut self, service: &Service, frontend: Frontend, outcome: &mut Outcome) {
        let claim = Claim {
            created: service.created,
            service: service.name.clone(),
            origin: service.origin.clone(),
        };
        let Some(claimants) = self.by_frontend.get_mut(&frontend) else {
            self.by_frontend.insert(frontend, Claimants::One(claim));
            return;
        };
        let mut claims = match std::mem::replace(claimants, Claimants::One(claim.clone())) {
            Claimants::One(other) => {
                self.contested += 1;
                Box::new(BTreeSet::from([other]))
            }
            Claimants::Many(others) => others,
        };
        let before = claims.first().cloned();
        claims.insert(claim.clone());
        let (owner, loser) = match before {
            Some(before) if claim < before => (claim, before),
            Some(before) => (before, claim),
            None => return,
        };
        outcome
            .touched
            .extend([owner.service.clone(), loser.service.clone()]);
        outcome.problems.push(Problem {
            service: loser.service.clone(),
            text: format!(
                "{loser}: {} is served by {owner} already, which is older or comes first by \
                 name; it is left out here",
                describe(&frontend),
            ),
        });
        outcome.touched.extend([owner.service, loser.service]);
        *claimants = Claimants::Many(claims);
    }

    fn release(&mut self, service: &Service, frontend: &Frontend, outcome: &mut Outcome) {
        let Some(claimants) = self.by_frontend.get_mut(frontend) else {
            return;
        };
        if let Claimants::Many(claims) = claimants {
            claims.retain(|claim| claim.service != service.name);
            let owner = claims.first().cloned();
            let touched = owner.as_ref().map(|owner| owner.service.clone());
            outcome.touched.extend(touched);
            if claims.len() > 1 {
                return;
            }
            self.contested -= 1;
            if let Some(owner) = owner {
                *claimants = Claimants::One(owner);
                return;
            }
        }
        self.by_frontend.remove(frontend);
    }
}

/// A frontend as messages name it.
fn describe(frontend: &Frontend) -> String {
    let Frontend {
        address,
        protocol,
        port,
    } = frontend;
    match address {
        Some(address) => format!("{address} {protocol} port {port}"),
        None => format!("{protocol} node port {port}"),
    }
}

/// Every frontend of a Service; some may repeat. Without a cluster IP of a
/// family it gets no rules there (reference: section 5.10), so it does not ask
/// for addresses of that family either, and nobody has to stand back for it.
fn frontends_of(service: &Service) -> impl Iterator<Item = Frontend> {
    let is_served = |frontend: &Frontend| {
        frontend.address.is_none_or(|address| {
            let mut cluster_ips = service.cluster_ips.iter();
            cluster_ips.any(|ip| ip.is_ipv4() == address.is_ipv4())
        })
    };
    service.ports.iter().flat_map(move |port| {
        internal(service, port)
            .chain(external(service, port))
            .chain(node_port(port))
            .filter(is_served)
    })
}

/// The cluster IPs of a port.
pub(crate) fn internal(service: &Service, port: &ServicePort) -> impl Iterator<Item = Frontend> {
    let (protocol, port) = (port.protocol, port.port);
    service.cluster_ips.iter().map(move |ip| Frontend {
        address: Some(*ip),
        protocol,
        port,
    })
}

/// The external and load-balancer IPs of a port.
pub(crate) fn external(service: &Service, port: &ServicePort) -> impl Iterator<Item = Frontend> {
    let (protocol, number) = (port.protocol, port.port);
    let own = service.external_ips.iter().map(move |ip| Frontend {
        address: Some(*ip),
        protocol,
        port: number,
    });
    own.chain(load_balancer(service, port))
}

/// The load-balancer IPs of a port.
pub(crate) fn load_balancer(
    service: &Service,
    port: &ServicePort,
) -> impl Iterator<Item = Frontend> {
    let (protocol, port) = (port.protocol, port.port);
    service.load_balancer_ips.iter().map(move |ip| Frontend {
        address: Some(*ip),
        protocol,
        port,
    })
}

/// The node port of a port.
pub(crate) fn node_port(port: &ServicePort) -> Option<Frontend> {
    let protocol = port.protocol;
    port.node_port.map(|port| Frontend {
        address: None,
        protocol,
        port,
    })
}

/// Ports of one Service that ask for the same protocol and number; the API
/// server refuses them, manifests may hold them. The first one is served.
fn repeated_ports(service: &Service) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let repeated = service
        .ports
        .iter()
        .filter(|port| !seen.insert((port.protocol, port.port)));
    repeated
        .map(|port| Problem {
            service: service.name.clone(),
            text: format!(
                "Service {}: port {} {} is there twice; only the first one is served",
                service.name, port.port, port.protocol
            ),
        })
        .collect()
}
