//! Where a Service wants to be reached.

use super::data::FrontendKind;
use crate::model::{Family, Frontend, Service};
use crate::state::claims;
use std::collections::HashSet;

/// A frontend of one of the Service's ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What clients connect to.
    pub frontend: Frontend,
    /// What it is; an address that is two things is the first one.
    pub kind: FrontendKind,
    /// The name of the Service's port, empty if it has none.
    pub port_name: String,
}

/// The frontends that a Service asks for in a family, whether it has them or another one; none if it
/// has no cluster IP of the family, as then it is not served there.
pub fn wanted(service: &Service, family: Family) -> Vec<Wanted> {
    let of_family = |frontend: &Frontend| {
        let address = frontend.address;
        address.is_none_or(|address| Family::of(address) == family)
    };
    let mut cluster_ips = service.cluster_ips.iter();
    if !cluster_ips.any(|ip| Family::of(*ip) == family) {
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for port in &service.ports {
        let mut add = |frontend: Frontend, kind| {
            if of_family(&frontend) && seen.insert(frontend) {
                all.push(Wanted {
                    frontend,
                    kind,
                    port_name: port.name.to_string(),
                });
            }
        };
        claims::internal(service, port).for_each(|own| add(own, FrontendKind::ClusterIp));
        claims::load_balancer(service, port).for_each(|own| add(own, FrontendKind::LoadBalancerIp));
        claims::external_ips(service, port).for_each(|own| add(own, FrontendKind::ExternalIp));
        claims::node_port(port)
            .into_iter()
            .for_each(|own| add(own, FrontendKind::NodePort));
    }
    all
}
