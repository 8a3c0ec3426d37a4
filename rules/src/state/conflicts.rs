//! External addresses that are somebody else's by their nature: inside a
//! ServiceCIDR, where the API server gives them out as cluster IPs, or this
//! node's own, where the node itself listens. They are served, as upstream
//! does, until a Service gets the address as its cluster IP; an administrator
//! should know of them (CVE-2020-8554).

use super::problems::{NAMED, Problem, ProblemKind, first_few};
use crate::model::{Node, Service, ServiceCidr};
use ipnet::IpNet;
use std::net::IpAddr;

/// What is to be said about a Service's external addresses; nothing about nearly
/// all Services. A load-balancer IP on the node is none of it: that is what
/// load balancers without an address of their own announce.
pub(super) fn of_service<'a>(
    service: &Service,
    cidrs: impl Iterator<Item = &'a ServiceCidr> + Clone,
    node: Option<&Node>,
) -> Option<Problem> {
    if service.external_ips.is_empty() && service.load_balancer_ips.is_empty() {
        return None;
    }
    let range = |ip: &IpAddr| {
        let mut ranges = cidrs.clone().flat_map(|own| &own.cidrs);
        ranges
            .find(|range| range.contains(ip))
            .map(|range| range.trunc())
    };
    let on_node = |ip: &IpAddr| node.is_some_and(|node| node.addresses.contains(ip));
    let own = |ip: &&IpAddr| !service.cluster_ips.contains(ip);
    let external = service.external_ips.iter().filter(own).filter_map(|ip| {
        let in_range = range(ip).map(|range| (ip, Conflict::ExternalIpInRange(range)));
        in_range.or_else(|| on_node(ip).then_some((ip, Conflict::ExternalIpOnNode)))
    });
    let balancer = service.load_balancer_ips.iter().filter(own);
    let balancer = balancer
        .filter_map(|ip| range(ip).map(|range| (ip, Conflict::LoadBalancerIpInRange(range))));
    let mut conflicts = external.chain(balancer);
    let first: Vec<String> = conflicts
        .by_ref()
        .take(NAMED)
        .map(|(ip, conflict)| conflict.describe(ip))
        .collect();
    if first.is_empty() {
        return None;
    }
    let all = first.len() + conflicts.count();
    let note = format!(
        "{}; connections to it go to this Service, unless it is the cluster IP of another one",
        first_few(first, all)
    );
    let origin = service.origin.as_ref();
    let origin = origin.map_or(String::new(), |origin| format!(" ({origin})"));
    Some(Problem {
        service: service.name.clone(),
        kind: ProblemKind::ExternalIpConflict,
        text: format!("Service {}{origin}: {note}", service.name),
        note,
    })
}

/// What is odd about an address.
enum Conflict {
    ExternalIpInRange(IpNet),
    ExternalIpOnNode,
    LoadBalancerIpInRange(IpNet),
}

impl Conflict {
    fn describe(&self, ip: &IpAddr) -> String {
        match self {
            Self::ExternalIpInRange(range) => {
                format!("external IP {ip} is in the ServiceCIDR {range}")
            }
            Self::ExternalIpOnNode => format!("external IP {ip} is an address of this node"),
            Self::LoadBalancerIpInRange(range) => {
                format!("load-balancer IP {ip} is in the ServiceCIDR {range}")
            }
        }
    }
}
