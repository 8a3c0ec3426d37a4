//! loadBalancerSourceRanges: who may reach the load-balancer IPs of a Service
//! (docs/reference.md#source-ranges). Node ports, external and cluster IPs stay open.

use crate::config::Config;
use crate::model::{Family, Frontend, Service};
use crate::state::claims::{self, Claims};
use foldhash::HashSet;
use ipnet::IpNet;
use std::sync::Arc;

/// The checked frontends of a Service, and the sources that they let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Each with its port's name.
    pub frontends: Box<[(Frontend, Arc<str>)]>,
    /// Ranges of the family, in any order; they may overlap.
    pub allowed: Vec<IpNet>,
}

impl Sources {
    /// `None` if every source may reach every frontend.
    pub(crate) fn of(config: &Config, claims: &Claims, service: &Service) -> Option<Self> {
        let family = config.family;
        // Each family by itself, as upstream has it: ranges of IPv4 alone leave
        // IPv6 open, and ::/0 opens IPv6 only.
        let of_family = |range: &&IpNet| Family::of(range.addr()) == family;
        let ranges = service.source_ranges.iter().filter(of_family);
        let mut allowed: Vec<IpNet> = ranges.map(IpNet::trunc).collect();
        if allowed.is_empty() || allowed.iter().any(|range| range.prefix_len() == 0) {
            return None;
        }
        let mut seen = HashSet::default();
        let frontends: Box<[_]> = service
            .ports
            .iter()
            .flat_map(|port| {
                claims::load_balancer(service, port).map(|own| (own, port.name.clone()))
            })
            .filter(|(own, _)| own.address.is_some_and(|ip| Family::of(ip) == family))
            .filter(|(own, _)| claims.owns(&service.name, own) && seen.insert(*own))
            .collect();
        if frontends.is_empty() {
            return None;
        }
        // A node that may connect may do so from the addresses themselves,
        // which it has if the load balancer puts them on an interface.
        let holds_node = |ip| allowed.iter().any(|range| range.contains(&ip));
        if config.node_ip.is_some_and(holds_node) {
            let own = service.load_balancer_ips.iter().copied();
            allowed.extend(own.filter(|ip| Family::of(*ip) == family).map(IpNet::from));
        }
        Some(Self { frontends, allowed })
    }
}
