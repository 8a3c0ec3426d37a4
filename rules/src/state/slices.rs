//! EndpointSlices, each with the Service that it names.

use super::{State, Trigger};
use crate::model::{EndpointSlice, ObjectName};

impl State {
    pub(super) fn set_slice(&mut self, mut slice: EndpointSlice) -> bool {
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

    pub(super) fn remove_slice(&mut self, name: &ObjectName) -> bool {
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
}
