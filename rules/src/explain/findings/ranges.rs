//! Addresses: KP203, KP204, KP205, KP207.

use super::{Case, some};
use crate::explain::data::{FrontendExplained, FrontendKind};
use crate::finding::{Code, Finding, Severity};
use crate::model::Family;
use ipnet::IpNet;
use std::net::IpAddr;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(nobody_let_in(case));
    found.extend(contested(case));
    found.extend(node_ports(case));
    found.extend(inside_service_cidr(case));
    found
}

/// KP203.
fn nobody_let_in(case: &Case<'_>) -> Option<Finding> {
    let service = case.service;
    Family::ALL.into_iter().find_map(|family| {
        let of_family = |ip: &&IpAddr| Family::of(**ip) == family;
        service.load_balancer_ips.iter().find(of_family)?;
        let ranges = service.source_ranges.iter();
        let ranges = ranges.filter(|range| Family::of(range.addr()) == family);
        let ranges: Vec<&IpNet> = ranges.collect();
        if ranges.is_empty() || ranges.iter().any(|range| holds_clients(range)) {
            return None;
        }
        let shown: Vec<String> = case.told.source_ranges.clone();
        let finding = Finding::new(
            Code::SourceRangeAdmitsNobody,
            Severity::Error,
            format!(
                "loadBalancerSourceRanges ({}) lets no {family} client in",
                some(shown).join(", ")
            ),
            "write the clients' ranges, as 203.0.113.0/24; 0.0.0.0/0 and ::/0 let everybody in",
        );
        let mut finding = finding.about(case.object());
        let problems = case.known.problems.iter();
        let about_ranges = problems.filter(|text| text.contains("loadBalancerSourceRanges"));
        finding.evidence = some(about_ranges.cloned().collect());
        Some(finding)
    })
}

/// Whether a client could have an address in a range: not unspecified, loopback, multicast or
/// broadcast ones alone.
fn holds_clients(range: &IpNet) -> bool {
    let nobodys = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => {
            ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_broadcast()
        }
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_loopback() || ip.is_multicast(),
    };
    let (first, last) = (range.network(), range.broadcast());
    // A range that begins and ends with such addresses has others between if it is a wide one.
    !(nobodys(first) && nobodys(last)) || range.prefix_len() < 4
}

/// KP204.
fn contested(case: &Case<'_>) -> Vec<Finding> {
    let lost = case.told.frontends.iter().filter_map(|own| {
        let holder = own.held_by.as_ref()?;
        let finding = Finding::new(
            Code::FrontendContested,
            Severity::Error,
            format!(
                "Service {holder} has {}: connections to it go there",
                frontend(own)
            ),
            "take the address out of one of the two; cluster IPs come before load-balancer IPs, \
             those before external IPs, then the older Service",
        );
        Some(finding.about(case.object()))
    });
    let kept = case.known.losers.iter().map(|(frontend, loser)| {
        let finding = Finding::new(
            Code::FrontendContested,
            Severity::Warning,
            format!("Service {loser} asks for {frontend} too, and does not get it"),
            format!("take the address out of Service {loser}, or of this one"),
        );
        finding.about(case.object())
    });
    lost.chain(kept).collect()
}

fn frontend(own: &FrontendExplained) -> String {
    match own.address {
        Some(IpAddr::V6(ip)) => format!("[{ip}]:{}/{}", own.port, own.protocol),
        Some(ip) => format!("{ip}:{}/{}", own.port, own.protocol),
        None => format!("node port {}/{}", own.port, own.protocol),
    }
}

/// KP205.
fn node_ports(case: &Case<'_>) -> Vec<Finding> {
    let addresses = case.known.nodeport_addresses.iter();
    let nowhere = addresses.filter(|(_, chosen)| chosen.as_ref().is_some_and(Vec::is_empty));
    let found = nowhere.filter_map(|(family, _)| {
        let mut frontends = case.told.frontends.iter();
        let own = frontends
            .find(|own| own.kind == FrontendKind::NodePort && own.family == family.label())?;
        let finding = Finding::new(
            Code::NodePortOnNoAddress,
            Severity::Error,
            format!(
                "no {family} address of this node is in --nodeport-addresses: {} is answered nowhere here",
                frontend(own)
            ),
            "compare nodePortAddresses with the node's addresses (ip address)",
        );
        Some(finding.about(case.object()).on(case.node()))
    });
    found.collect()
}

/// KP207.
fn inside_service_cidr(case: &Case<'_>) -> Vec<Finding> {
    let service = case.service;
    let external = service.external_ips.iter().map(|ip| (ip, "external IP"));
    let balancer = service
        .load_balancer_ips
        .iter()
        .map(|ip| (ip, "load-balancer IP"));
    let all = external.chain(balancer);
    let others = all.filter(|(ip, _)| !service.cluster_ips.contains(ip));
    let found = others.filter_map(|(ip, kind)| {
        let state = case.places.first()?.view.state;
        let ranges = state.service_cidrs(Family::of(*ip)).into_iter();
        let range = { ranges }.find(|range| range.contains(ip))?;
        let finding = Finding::new(
            Code::ExternalIpInServiceCidr,
            Severity::Warning,
            format!(
                "{kind} {ip} is in the ServiceCIDR {range}: a Service that gets it as its cluster IP \
                 takes it over"
            ),
            "use an address outside the ranges of Services",
        );
        Some(finding.about(case.object()))
    });
    found.collect()
}
