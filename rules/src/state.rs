//! The cluster as this node sees it: what the events added up to, and which
//! Services they touched.

pub(crate) mod claims;

use crate::event::{Event, ObjectKind};
use crate::model::{EndpointSlice, Family, Node, ObjectName, Service, ServiceCidr};
use claims::Claims;
use foldhash::HashMap;
use foldhash::fast::RandomState;
use indexmap::IndexMap;
use ipnet::IpNet;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

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

/// What one event did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Something that the rules depend on is different now.
    pub changed: bool,
    /// Conflicts that the event brought.
    pub problems: Vec<Problem>,
}

/// Why a part of a Service is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The Service.
    pub service: ObjectName,
    /// One readable line, which names the Service too.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// All objects, and the Services touched since the last [`State::take_dirty`].
#[derive(Debug, Default)]
pub struct State {
    /// In the order in which they came, which is where they are in memory: a
    /// first sync reads all of them.
    services: IndexMap<ObjectName, Entry, RandomState>,
    /// Slice → the Service it names, to find it again when it moves or goes.
    slice_owner: HashMap<ObjectName, ObjectName>,
    node: Option<Node>,
    cidrs: BTreeMap<Arc<str>, ServiceCidr>,
    claims: Claims,
    dirty: HashSet<ObjectName>,
    triggers: Vec<Trigger>,
    lists: Lists,
}

/// Progress of complete lists.
#[derive(Debug, Default)]
struct Lists {
    services_done: bool,
    slices_done: bool,
    /// While a list is under way: the objects that it has not named so far.
    unseen_services: HashSet<ObjectName>,
    unseen_slices: HashSet<ObjectName>,
    unseen_cidrs: HashSet<Arc<str>>,
    node_seen: bool,
}

impl State {
    /// An empty cluster.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether Services and EndpointSlices have each been listed once: before
    /// that nothing may be programmed (reference: section 8, start gate).
    pub fn is_listed(&self) -> bool {
        self.lists.services_done && self.lists.slices_done
    }

    /// This node, once seen.
    pub fn node(&self) -> Option<&Node> {
        self.node.as_ref()
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

    /// Takes in one event.
    pub fn apply(&mut self, event: Event) -> Applied {
        let mut applied = Applied::default();
        match event {
            Event::Service(service) => self.set_service(service, &mut applied),
            Event::ServiceGone(name) => self.remove_service(&name, &mut applied),
            Event::Slice(slice) => applied.changed = self.set_slice(slice),
            Event::SliceGone(name) => applied.changed = self.remove_slice(&name),
            Event::Node(node) => applied.changed = self.set_node(node),
            Event::NodeGone => applied.changed = self.remove_node(),
            Event::ServiceCidr(cidr) => {
                self.lists.unseen_cidrs.remove(&cidr.name);
                let old = self.cidrs.insert(cidr.name.clone(), cidr.clone());
                applied.changed = old.as_ref() != Some(&cidr);
            }
            Event::ServiceCidrGone(name) => applied.changed = self.cidrs.remove(&name).is_some(),
            Event::ListBegin(kind) => self.begin_list(kind),
            Event::ListEnd(kind) => self.end_list(kind, &mut applied),
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

    pub(crate) fn entry(&self, name: &ObjectName) -> Option<&Entry> {
        self.services.get(name)
    }

    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = (&ObjectName, &Entry)> {
        self.services.iter()
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    fn set_service(&mut self, service: Service, applied: &mut Applied) {
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
        self.dirty.insert(name);
        self.dirty.extend(outcome.touched);
        applied.problems = outcome.problems;
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
        let outcome = self.claims.change(Some(&old), None);
        self.dirty.insert(name.clone());
        self.dirty.extend(outcome.touched);
        applied.changed = true;
        self.forget_if_empty(name);
    }

    fn set_slice(&mut self, mut slice: EndpointSlice) -> bool {
        self.lists.unseen_slices.remove(&slice.name);
        // One copy of the Service's name serves all that mention it.
        if let Some((name, _)) = self.services.get_key_value(&slice.service) {
            slice.service = name.clone();
        }
        let moved = self
            .slice_owner
            .get(&slice.name)
            .is_some_and(|owner| *owner != slice.service);
        if moved {
            self.remove_slice(&slice.name);
        }
        let service = slice.service.clone();
        let entry = self.services.entry(service.clone()).or_default();
        let trigger = slice.last_change_trigger.map(|at| Trigger {
            family: slice.family,
            at,
        });
        match entry
            .slices
            .binary_search_by(|own| own.name.cmp(&slice.name))
        {
            Ok(at) if entry.slices[at] == slice => return false,
            Ok(at) => {
                entry.slices[at] = slice;
                self.triggers.extend(trigger);
            }
            Err(at) => {
                self.slice_owner.insert(slice.name.clone(), service.clone());
                // Nearly every Service has one slice of each family for ever.
                entry.slices.reserve_exact(1);
                entry.slices.insert(at, slice);
                self.triggers.extend(trigger);
            }
        }
        if entry.service.is_some() {
            self.dirty.insert(service);
        }
        true
    }

    fn remove_slice(&mut self, name: &ObjectName) -> bool {
        self.lists.unseen_slices.remove(name);
        let Some(service) = self.slice_owner.remove(name) else {
            return false;
        };
        if let Some(entry) = self.services.get_mut(&service) {
            entry.slices.retain(|slice| slice.name != *name);
            if entry.service.is_some() {
                self.dirty.insert(service.clone());
            }
        }
        self.forget_if_empty(&service);
        true
    }

    fn forget_if_empty(&mut self, name: &ObjectName) {
        let empty = |entry: &Entry| entry.service.is_none() && entry.slices.is_empty();
        if self.services.get(name).is_some_and(empty) {
            self.services.swap_remove(name);
        }
    }

    fn set_node(&mut self, node: Node) -> bool {
        self.lists.node_seen = true;
        let old = self.node.replace(node);
        self.note_zone(old.as_ref());
        old != self.node
    }

    fn remove_node(&mut self) -> bool {
        let old = self.node.take();
        self.note_zone(old.as_ref());
        old.is_some()
    }

    /// In another zone, or in none any more, zone hints of any Service may
    /// mean something else.
    fn note_zone(&mut self, old: Option<&Node>) {
        let zone = |node: &Node| node.zone.clone();
        if old.and_then(zone) == self.node.as_ref().and_then(zone) {
            return;
        }
        let with_service =
            |(name, entry): (&ObjectName, &Entry)| entry.service.is_some().then(|| name.clone());
        self.dirty
            .extend(self.services.iter().filter_map(with_service));
    }

    fn begin_list(&mut self, kind: ObjectKind) {
        match kind {
            ObjectKind::Service => {
                let named = self
                    .services
                    .iter()
                    .filter(|(_, entry)| entry.service.is_some());
                self.lists.unseen_services = named.map(|(name, _)| name.clone()).collect();
            }
            ObjectKind::EndpointSlice => {
                self.lists.unseen_slices = self.slice_owner.keys().cloned().collect();
            }
            ObjectKind::ServiceCidr => {
                self.lists.unseen_cidrs = self.cidrs.keys().cloned().collect();
            }
            ObjectKind::Node => self.lists.node_seen = false,
        }
    }

    fn end_list(&mut self, kind: ObjectKind, applied: &mut Applied) {
        match kind {
            ObjectKind::Service => {
                for name in std::mem::take(&mut self.lists.unseen_services) {
                    self.remove_service(&name, applied);
                }
                self.lists.services_done = true;
            }
            ObjectKind::EndpointSlice => {
                for name in std::mem::take(&mut self.lists.unseen_slices) {
                    applied.changed |= self.remove_slice(&name);
                }
                self.lists.slices_done = true;
            }
            ObjectKind::ServiceCidr => {
                for name in std::mem::take(&mut self.lists.unseen_cidrs) {
                    applied.changed |= self.cidrs.remove(&name).is_some();
                }
            }
            ObjectKind::Node => {
                if !self.lists.node_seen {
                    applied.changed = self.remove_node();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
