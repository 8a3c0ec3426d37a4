//! Who answers an address and a port (docs/reference.md#traffic-policies,
//! docs/reference.md#node-port-addresses, docs/reference.md#services-and-slices).

use crate::world::World;
use ipnet::IpNet;
use rules::NodeportAddresses;
use rules::model::{Protocol, Service, ServicePort};
use std::net::IpAddr;

/// What kind of IP it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cluster,
    External,
    LoadBalancer,
}

pub(crate) type Port<'a> = (&'a Service, &'a ServicePort);

impl World {
    /// The Service port behind an address that belongs to Services. Of several
    /// that list it, one with a better kind has it, and then the older one.
    pub(crate) fn by_address(
        &self,
        to: IpAddr,
        protocol: Protocol,
        port: u16,
    ) -> Option<(Port<'_>, Kind)> {
        let lists = |service: &Service, kind| match kind {
            Kind::Cluster => service.cluster_ips.contains(&to),
            Kind::External => service.external_ips.contains(&to),
            Kind::LoadBalancer => service.load_balancer_ips.contains(&to),
        };
        [Kind::Cluster, Kind::LoadBalancer, Kind::External]
            .into_iter()
            .find_map(|kind| {
                let mut all = self.ports();
                let matching = all.find(|(service, listed)| {
                    listed.protocol == protocol && listed.port == port && lists(service, kind)
                });
                matching.map(|port| (port, kind))
            })
    }

    /// The Service port behind a node port.
    pub(crate) fn by_node_port(
        &self,
        to: IpAddr,
        protocol: Protocol,
        port: u16,
    ) -> Option<Port<'_>> {
        let answers = !to.is_loopback() && self.is_for_node_ports(to);
        let found = || self.any_node_port(to, protocol, port);
        answers.then(found).flatten()
    }

    /// The same, whether or not the address is one for node ports.
    pub(crate) fn any_node_port(
        &self,
        to: IpAddr,
        protocol: Protocol,
        port: u16,
    ) -> Option<Port<'_>> {
        let matching =
            |(_, listed): &Port<'_>| listed.protocol == protocol && listed.node_port == Some(port);
        let found = || self.ports().find(matching);
        self.is_local(to).then(found).flatten()
    }

    /// Whether node ports answer on one of the node's addresses, loopback ones apart.
    pub(crate) fn is_for_node_ports(&self, to: IpAddr) -> bool {
        match &self.config.nodeport_addresses {
            NodeportAddresses::All => true,
            NodeportAddresses::Within(ranges) => ranges.iter().any(|range| range.contains(&to)),
        }
    }

    pub(crate) fn is_cluster_ip(&self, address: IpAddr) -> bool {
        let mut served = self.served().into_iter();
        served.any(|service| service.cluster_ips.contains(&address))
    }

    pub(crate) fn is_in_service_cidr(&self, address: IpAddr) -> bool {
        let mut ranges = self.cidrs.iter().flat_map(|object| &object.cidrs);
        ranges.any(|range| range.contains(&address))
    }

    /// Whether loadBalancerSourceRanges of the Service keep a source away.
    /// They guard load-balancer IPs alone.
    pub(crate) fn keeps_away(&self, service: &Service, to: IpAddr, source: IpAddr) -> bool {
        let ranges = self.ranges(service);
        let holds = |address: &IpAddr| ranges.iter().any(|range| range.contains(address));
        // A node that may connect may also do so from a load-balancer IP.
        let of_node = self.config.node_ip.as_ref().is_some_and(holds)
            && service.load_balancer_ips.contains(&source);
        let guards = service.load_balancer_ips.contains(&to) && self.has_ranges(service);
        guards && !holds(&source) && !of_node
    }

    /// Whether source ranges keep anybody away in this family.
    pub(crate) fn has_ranges(&self, service: &Service) -> bool {
        let ranges = self.ranges(service);
        !ranges.is_empty() && ranges.iter().all(|range| range.prefix_len() != 0)
    }

    fn ranges<'a>(&self, service: &'a Service) -> Vec<&'a IpNet> {
        let ranges = service.source_ranges.iter();
        ranges.filter(|r| self.is_of_family(&r.addr())).collect()
    }
}
