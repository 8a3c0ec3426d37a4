//! The cluster as this node sees it: what the changes added up to, and which
//! Services they touched.

pub(crate) mod claims;
mod conflicts;
mod crowds;
mod lists;
mod node;
mod problems;
mod slices;
mod view;

use crate::change::Change;
use crate::model::{EndpointSlice, Family, Frontend, Node, ObjectName, Service, ServiceCidr};
use claims::Claims;
pub use claims::Kind as FrontendKind;
use foldhash::HashMap;
use foldhash::fast::RandomState;
use indexmap::IndexMap;
use ipnet::IpNet;
use lists::Lists;
pub use node::NodeNotice;
use node::OwnNode;
pub use problems::{Problem, ProblemKind};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
pub use view::View;

/// A Service with the slices that name it; either may come first.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// Boxed, as a hash table has room for more entries than there are.
    pub(crate) service: Option<Box<Service>>,
    /// Sorted by name, so that the outcome never depends on arrival.
    pub(crate) slices: Vec<EndpointSlice>,
}

/// A change of endpoints that waits to be programmed, for the
/// network-programming latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The slice's family.
    pub family: Family,
    /// The slice's last-change-trigger-time, milliseconds since the epoch.
    pub at: i64,
}

/// What one change did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Something that the rules depend on is different now.
    pub changed: bool,
    /// What is wrong with Services that was not before.
    pub problems: Vec<Problem>,
    /// This node's object no longer tells what it told, or tells it again.
    pub node: Option<NodeNotice>,
}

/// All objects, and the Services touched since the last [`State::take_dirty`].
#[derive(Debug, Default)]
pub struct State {
    /// In the order in which they came, which is where they are in memory: a
    /// first sync reads all of them.
    services: IndexMap<ObjectName, Entry, RandomState>,
    /// Slice → the Service it names, to find it again when it moves or goes.
    slice_owner: HashMap<ObjectName, ObjectName>,
    node: OwnNode,
    cidrs: BTreeMap<Arc<str>, ServiceCidr>,
    claims: Claims,
    /// What was said about Services' external addresses, to say it once.
    conflicts: HashMap<ObjectName, Problem>,
    /// Services with more endpoints than are programmed, and what was said of it.
    crowds: HashMap<ObjectName, Problem>,
    /// `spec.externalIPs` count for nothing.
    no_external_ips: bool,
    dirty: HashSet<ObjectName>,
    triggers: Vec<Trigger>,
    lists: Lists,
}

impl State {
    /// An empty cluster.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty cluster in which `spec.externalIPs` are as if they were not set
    /// (feature gate `AllowServiceExternalIPs` off).
    pub fn without_external_ips() -> Self {
        Self {
            no_external_ips: true,
            ..Self::default()
        }
    }

    /// Whether Services and EndpointSlices have each been listed once: before
    /// that nothing may be programmed (docs/reference.md#sync-loop).
    pub fn is_listed(&self) -> bool {
        self.lists.services_done && self.lists.slices_done
    }

    /// This node as its object is now; `None` while there is no object.
    pub fn node(&self) -> Option<&Node> {
        self.node.now()
    }

    /// This node as its object was last seen, with the addresses and pods' ranges
    /// of a family that it told before and tells no longer.
    pub fn last_node(&self) -> Option<&Node> {
        self.node.last()
    }

    /// The Service ranges of one family, sorted, without repetitions.
    pub fn service_cidrs(&self, family: Family) -> Vec<IpNet> {
        let mut cidrs: Vec<IpNet> = self
            .cidrs
            .values()
            .flat_map(|object| &object.cidrs)
            .map(IpNet::trunc)
            .filter(|cidr| Family::of(cidr.addr()) == family)
            .collect();
        cidrs.sort_unstable();
        cidrs.dedup();
        cidrs
    }

    /// The Services that ask for a frontend, the one that has it first.
    pub fn asking_for(&self, frontend: &Frontend) -> Vec<&ObjectName> {
        self.claims.asking_for(frontend)
    }

    /// Takes in one change.
    pub fn apply(&mut self, change: Change) -> Applied {
        let mut applied = Applied::default();
        match change {
            Change::Service(service) => self.set_service(service, &mut applied),
            Change::ServiceGone(name) => self.remove_service(&name, &mut applied),
            Change::Slice(slice) => {
                let service = slice.service.clone();
                applied.changed = self.set_slice(slice);
                applied.problems.extend(self.note_crowd(&service));
            }
            Change::SliceGone(name) => applied.changed = self.remove_slice(&name),
            Change::Node(node) => self.set_node(node, &mut applied),
            Change::NodeGone => self.remove_node(&mut applied),
            Change::ServiceCidr(cidr) => self.set_cidr(cidr, &mut applied),
            Change::ServiceCidrGone(name) => applied.changed = self.cidrs.remove(&name).is_some(),
            Change::ListBegin(kind) => self.begin_list(kind),
            Change::ListEnd(kind) => self.end_list(kind, &mut applied),
        }
        applied
    }

    /// The Services touched since the last call.
    pub fn take_dirty(&mut self) -> HashSet<ObjectName> {
        std::mem::take(&mut self.dirty)
    }

    /// The endpoint changes that arrived since the last call; as upstream counts,
    /// a change that names no new trigger is one more of the trigger it names.
    pub fn take_triggers(&mut self) -> Vec<Trigger> {
        std::mem::take(&mut self.triggers)
    }

    /// How many Services wait in the dirty set.
    pub fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    /// A Service, unless it is headless or an ExternalName: those never come here.
    pub fn service(&self, name: &ObjectName) -> Option<&Service> {
        self.entry(name)?.service.as_deref()
    }

    /// All Services that are not headless or ExternalNames, in no order.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        let entries = self.services.values();
        entries.filter_map(|entry| entry.service.as_deref())
    }

    pub(crate) fn entry(&self, name: &ObjectName) -> Option<&Entry> {
        self.services.get(name)
    }

    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = (&ObjectName, &Entry)> {
        self.services.iter()
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    fn set_service(&mut self, mut service: Service, applied: &mut Applied) {
        if self.no_external_ips {
            service.external_ips.clear();
        }
        let too_many = [
            crowds::cut_frontends(&mut service),
            crowds::cut_sources(&mut service),
        ];
        let name = service.name.clone();
        self.lists.unseen_services.remove(&name);
        let entry = self.services.entry(name.clone()).or_default();
        if entry.service.as_deref() == Some(&service) {
            return;
        }
        let old = entry.service.replace(Box::new(service));
        let new = self
            .services
            .get(&name)
            .and_then(|entry| entry.service.as_deref());
        let outcome = self.claims.change(old.as_deref(), new);
        applied
            .problems
            .extend(outcome.contests.into_problems(|own| self.label(own)));
        applied
            .problems
            .extend(new.and_then(problems::repeated_ports));
        applied.problems.extend(too_many.into_iter().flatten());
        applied.problems.extend(self.note_crowd(&name));
        self.dirty.extend(outcome.touched);
        applied.problems.extend(self.note_conflict(&name));
        self.dirty.insert(name);
        applied.changed = true;
    }

    fn remove_service(&mut self, name: &ObjectName, applied: &mut Applied) {
        self.lists.unseen_services.remove(name);
        let Some(entry) = self.services.get_mut(name) else {
            return;
        };
        let Some(old) = entry.service.take() else {
            return;
        };
        self.conflicts.remove(name);
        self.crowds.remove(name);
        let outcome = self.claims.change(Some(&old), None);
        self.dirty.insert(name.clone());
        self.dirty.extend(outcome.touched);
        applied.changed = true;
        self.forget_if_empty(name);
    }

    /// A Service for the log, with the manifest that it stands in.
    fn label(&self, name: &ObjectName) -> String {
        let service = self.services.get(name);
        let service = service.and_then(|entry| entry.service.as_deref());
        match service.and_then(|service| service.origin.as_ref()) {
            Some(origin) => format!("{name} ({origin})"),
            None => name.to_string(),
        }
    }

    /// Looks at a Service's external addresses; yields what was not said yet.
    fn note_conflict(&mut self, name: &ObjectName) -> Option<Problem> {
        let service = self.services.get(name)?.service.as_deref()?;
        let found = conflicts::of_service(service, self.cidrs.values(), self.node.last());
        let Some(problem) = found else {
            self.conflicts.remove(name);
            return None;
        };
        let before = self.conflicts.insert(name.clone(), problem.clone());
        (before.as_ref() != Some(&problem)).then_some(problem)
    }

    /// Looks at a Service's endpoints; yields what was not said yet.
    fn note_crowd(&mut self, name: &ObjectName) -> Option<Problem> {
        let entry = self.services.get(name)?;
        let service = entry.service.as_deref()?;
        let Some(problem) = crowds::of_endpoints(service, &entry.slices) else {
            self.crowds.remove(name);
            return None;
        };
        // The numbers change with each endpoint, and one word of it is enough.
        let is_new = self.crowds.insert(name.clone(), problem.clone()).is_none();
        is_new.then_some(problem)
    }

    /// The same for all, as there is another range or another address of this node.
    fn note_conflicts(&mut self, applied: &mut Applied) {
        let is_exposed = |service: &Service| {
            !service.external_ips.is_empty() || !service.load_balancer_ips.is_empty()
        };
        let exposed = self.services.iter().filter(|(_, entry)| {
            let service = entry.service.as_deref();
            service.is_some_and(is_exposed)
        });
        let exposed: Vec<ObjectName> = exposed.map(|(name, _)| name.clone()).collect();
        for name in exposed {
            applied.problems.extend(self.note_conflict(&name));
        }
    }

    fn set_cidr(&mut self, cidr: ServiceCidr, applied: &mut Applied) {
        self.lists.unseen_cidrs.remove(&cidr.name);
        if self.cidrs.get(&cidr.name) == Some(&cidr) {
            return;
        }
        self.cidrs.insert(cidr.name.clone(), cidr);
        self.note_conflicts(applied);
        applied.changed = true;
    }

    fn forget_if_empty(&mut self, name: &ObjectName) {
        let empty = |entry: &Entry| entry.service.is_none() && entry.slices.is_empty();
        if self.services.get(name).is_some_and(empty) {
            self.services.swap_remove(name);
        }
    }

    fn set_node(&mut self, node: Node, applied: &mut Applied) {
        self.lists.node_seen = true;
        self.change_node(Some(node), applied);
    }

    fn remove_node(&mut self, applied: &mut Applied) {
        self.change_node(None, applied);
    }

    fn change_node(&mut self, node: Option<Node>, applied: &mut Applied) {
        let addresses = |node: Option<&Node>| node.map(|node| node.addresses.clone());
        let before = addresses(self.node.last());
        let old = self.node.replace(node, &mut applied.node);
        self.note_zone(old.as_ref());
        if before != addresses(self.node.last()) {
            self.note_conflicts(applied);
        }
        applied.changed |= old.as_ref() != self.node.now();
    }

    /// In another zone, or in none any more, zone hints of any Service may
    /// mean something else.
    fn note_zone(&mut self, old: Option<&Node>) {
        let zone = |node: &Node| node.zone.clone();
        if old.and_then(zone) == self.node.now().and_then(zone) {
            return;
        }
        let with_service =
            |(name, entry): (&ObjectName, &Entry)| entry.service.is_some().then(|| name.clone());
        self.dirty
            .extend(self.services.iter().filter_map(with_service));
    }
}

#[cfg(test)]
mod tests;
