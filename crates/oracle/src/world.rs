//! What the model knows: the objects and the settings, nothing derived.

use rules::model::{EndpointSlice, Family, Node, ObjectName, Service, ServiceCidr, ServicePort};
use rules::{Change, Config};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A cluster and a node of it, in one family.
#[derive(Clone, Debug)]
pub struct World {
    /// The settings, whose family is the one that is judged.
    pub config: Config,
    /// At most one here, which is enough.
    pub cidrs: Vec<ServiceCidr>,
    /// What the node has on its interfaces, of both families.
    pub addresses: Vec<IpAddr>,
    /// This node's object.
    pub node: Option<Node>,
    /// Services by their names.
    pub services: BTreeMap<ObjectName, Service>,
    /// Slices by their names.
    pub slices: BTreeMap<ObjectName, EndpointSlice>,
}

impl World {
    /// Takes one change; lists that are read anew are none that it knows.
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
            other => unreachable!("{other:?} is not among the changes of a history"),
        }
    }

    /// The family that is judged.
    pub fn family(&self) -> Family {
        self.config.family
    }

    /// Whether an address is of that family.
    pub fn is_of_family(&self, address: &IpAddr) -> bool {
        Family::of(*address) == self.family()
    }

    /// `fib type local`.
    pub(crate) fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.contains(&address)
    }

    /// Services that get rules in this family at all: those with a cluster IP
    /// of it (docs/reference.md#services-and-slices). The oldest first, then by name, as
    /// they take precedence over a frontend that several of them list as the
    /// same kind of address (docs/ruleset.md).
    pub(crate) fn served(&self) -> Vec<&Service> {
        let mut served: Vec<&Service> = self.services.values().collect();
        served.retain(|service| service.cluster_ips.iter().any(|ip| self.is_of_family(ip)));
        served.sort_by_key(|service| (service.created, &service.name));
        served
    }

    /// Every port of the Services that get rules, in their order.
    pub fn ports(&self) -> impl Iterator<Item = (&Service, &ServicePort)> {
        let served = self.served().into_iter();
        served.flat_map(|service| service.ports.iter().map(move |port| (service, port)))
    }
}
