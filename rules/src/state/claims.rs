//! Who owns a frontend when several Services ask for it.
//!
//! The API server keeps cluster IPs and node ports unique, a controller writes
//! load-balancer IPs, and anybody who may write a Service lists external IPs
//! as he likes; manifests keep nothing unique. So the kind decides first: a
//! cluster IP comes before a load-balancer IP, and that before an external IP.
//! Within a kind the oldest Service has it, then the first by name, whatever
//! the order of arrival. Nobody takes an address over by listing it, neither
//! before nor after its owner was given it.

mod contests;

use crate::model::{Frontend, ObjectName, Service, ServicePort};
use contests::{Contest, Contests};
use foldhash::HashMap;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What a frontend is to the Service that asks for it. Ordered by precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `spec.clusterIPs`, given out by the API server.
    ClusterIp,
    /// `spec.ports[].nodePort`, which meets nothing but other node ports.
    NodePort,
    /// `status.loadBalancer.ingress[].ip`, written by a controller.
    LoadBalancerIp,
    /// `spec.externalIPs`, written by the Service's owner.
    ExternalIp,
}

/// One Service's wish for a frontend. Ordered by precedence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    pub(super) kind: Kind,
    created: i64,
    pub(super) service: ObjectName,
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
    /// Services that gained or lost a frontend.
    pub(crate) touched: HashSet<ObjectName>,
    /// Who lost which frontend to whom.
    pub(super) contests: Contests,
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

    /// Who serves `frontend`.
    pub(crate) fn owner(&self, frontend: &Frontend) -> Option<&ObjectName> {
        let owner = self.by_frontend.get(frontend)?.owner()?;
        Some(&owner.service)
    }

    /// The Services that ask for `frontend`, the one that has it first.
    pub(crate) fn asking_for(&self, frontend: &Frontend) -> Vec<&ObjectName> {
        match self.by_frontend.get(frontend) {
            None => Vec::new(),
            Some(Claimants::One(claim)) => vec![&claim.service],
            Some(Claimants::Many(claims)) => claims.iter().map(|claim| &claim.service).collect(),
        }
    }

    /// Replaces the claims of one Service.
    pub(crate) fn change(&mut self, old: Option<&Service>, new: Option<&Service>) -> Outcome {
        let mut outcome = Outcome::default();
        let had: BTreeMap<Frontend, Kind> = old.map(wishes).unwrap_or_default();
        let wanted: BTreeMap<Frontend, Kind> = new.map(wishes).unwrap_or_default();
        let same_age = old.map(|service| service.created) == new.map(|service| service.created);
        let stays = |there: &BTreeMap<Frontend, Kind>, frontend: &Frontend, kind: &Kind| {
            same_age && there.get(frontend) == Some(kind)
        };
        if let Some(service) = old {
            for (frontend, kind) in &had {
                if !stays(&wanted, frontend, kind) {
                    self.release(service, frontend, &mut outcome);
                }
            }
        }
        if let Some(service) = new {
            for (frontend, kind) in &wanted {
                if !stays(&had, frontend, kind) {
                    self.claim(service, *frontend, *kind, &mut outcome);
                }
            }
        }
        outcome
    }

    fn claim(&mut self, service: &Service, frontend: Frontend, kind: Kind, outcome: &mut Outcome) {
        let claim = Claim {
            kind,
            created: service.created,
            service: service.name.clone(),
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
        *claimants = Claimants::Many(claims);
        let Some(before) = before else {
            return;
        };
        let (owner, loser) = if claim < before {
            (claim, before)
        } else {
            (before, claim)
        };
        outcome.touched.insert(owner.service.clone());
        outcome.touched.insert(loser.service.clone());
        outcome.contests.add(Contest {
            frontend,
            owner,
            loser,
        });
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

/// The frontends of a Service, each with the best kind that it is of. Without a
/// cluster IP of a family it gets no rules there (docs/reference.md#services-and-slices), so
/// it does not ask for addresses of that family either, and nobody has to
/// stand back for it.
fn wishes(service: &Service) -> BTreeMap<Frontend, Kind> {
    let is_served = |frontend: &Frontend| {
        frontend.address.is_none_or(|address| {
            let mut cluster_ips = service.cluster_ips.iter();
            cluster_ips.any(|ip| ip.is_ipv4() == address.is_ipv4())
        })
    };
    let mut wishes: BTreeMap<Frontend, Kind> = BTreeMap::new();
    let mut wish = |frontend, kind: Kind| {
        if is_served(&frontend) {
            let known = wishes.entry(frontend).or_insert(kind);
            *known = kind.min(*known);
        }
    };
    for port in &service.ports {
        frontends(service, port).for_each(|(own, kind)| wish(own, kind));
    }
    wishes
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
    external_ips(service, port).chain(load_balancer(service, port))
}

/// All frontends of a port with what they are to the Service: cluster IPs, external IPs,
/// load-balancer IPs, the node port.
pub(crate) fn frontends(
    service: &Service,
    port: &ServicePort,
) -> impl Iterator<Item = (Frontend, Kind)> {
    let of = |kind| move |frontend| (frontend, kind);
    internal(service, port)
        .map(of(Kind::ClusterIp))
        .chain(external_ips(service, port).map(of(Kind::ExternalIp)))
        .chain(load_balancer(service, port).map(of(Kind::LoadBalancerIp)))
        .chain(node_port(port).map(of(Kind::NodePort)))
}

/// The external IPs of a port.
pub(crate) fn external_ips(
    service: &Service,
    port: &ServicePort,
) -> impl Iterator<Item = Frontend> {
    let (protocol, port) = (port.protocol, port.port);
    service.external_ips.iter().map(move |ip| Frontend {
        address: Some(*ip),
        protocol,
        port,
    })
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

#[cfg(test)]
mod tests;
