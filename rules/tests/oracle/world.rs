//! What the model knows: the objects and the settings, nothing derived.

use rules::model::{EndpointSlice, Family, Node, ObjectName, Service, ServiceCidr, ServicePort};
use rules::{Change, Config};
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Clone, Debug)]
pub struct World {
    pub config: Config,
    pub cidrs: Vec<ServiceCidr>,
    /// What the node has on its interfaces, of both families.
    pub addresses: Vec<IpAddr>,
    pub node: Option<Node>,
    pub services: BTreeMap<ObjectName, Service>,
    pub slices: BTreeMap<ObjectName, EndpointSlice>,
}

impl World {
    pub fn apply(&mut self, event: &Change) {
        match event.clone() {
            Change::Service(service) => {
                self.services.insert(service.name.clone(), service);
            }
            Change::ServiceGone(name) => {
                self.services.remove(&name);
            }
            Change::Slice(slice) => {
                self.slices.insert(slice.name.clone(), slice);
            }
            Change::SliceGone(name) => {
                self.slices.remove(&name);
            }
            Change::Node(node) => self.node = Some(node),
            Change::NodeGone => self.node = None,
            Change::ServiceCidr(cidr) => self.cidrs = vec![cidr],
            Change::ServiceCidrGone(_) => self.cidrs.clear(),
            other => unreachable!("{other:?} is not among the random events"),
        }
    }

    pub fn family(&self) -> Family {
        self.config.family
    }

    pub fn is_of_family(&self, address: &IpAddr) -> bool {
        Family::of(*address) == self.family()
    }

    /// `fib type local`.
    pub fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.contains(&address)
    }

    /// Services that get rules in this family at all: those with a cluster IP
    /// of it (docs/reference.md#services-and-slices). The oldest first, then by name, as
    /// they take precedence over a frontend that several of them list as the
    /// same kind of address (docs/ruleset.md).
    pub fn served(&self) -> Vec<&Service> {
        let mut served: Vec<&Service> = self.services.values().collect();
        served.retain(|own| own.cluster_ips.iter().any(|ip| self.is_of_family(ip)));
        served.sort_by_key(|own| (own.created, &own.name));
        served
    }

    pub fn ports(&self) -> impl Iterator<Item = (&Service, &ServicePort)> {
        let served = self.served().into_iter();
        served.flat_map(|service| service.ports.iter().map(move |port| (service, port)))
    }
}
