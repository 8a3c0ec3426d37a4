//! Complete lists: what one does not name is gone.

use super::{Applied, State};
use crate::change::ObjectKind;
use crate::model::ObjectName;
use std::collections::HashSet;
use std::sync::Arc;

/// Progress of complete lists.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) services_done: bool,
    pub(super) slices_done: bool,
    /// While a list is under way: the objects that it has not named so far.
    pub(super) unseen_services: HashSet<ObjectName>,
    pub(super) unseen_slices: HashSet<ObjectName>,
    pub(super) unseen_cidrs: HashSet<Arc<str>>,
    pub(super) node_seen: bool,
}

impl State {
    pub(super) fn begin_list(&mut self, kind: ObjectKind) {
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

    pub(super) fn end_list(&mut self, kind: ObjectKind, applied: &mut Applied) {
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
                    self.remove_node(applied);
                }
            }
        }
    }
}
