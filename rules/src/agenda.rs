//! What the next sync of a family is about: all Services or those that changed, but for those that
//! are left out.

use crate::model::ObjectName;
use std::collections::{BTreeSet, HashSet};

/// What is to be planned.
#[derive(Debug)]
pub(crate) struct Agenda {
    /// All rules are replaced.
    whole: bool,
    dirty: HashSet<ObjectName>,
    /// Services that are planned as if they were not there.
    left_out: BTreeSet<ObjectName>,
}

impl Agenda {
    /// Everything.
    pub(crate) fn new() -> Self {
        Self {
            whole: true,
            dirty: HashSet::new(),
            left_out: BTreeSet::new(),
        }
    }

    /// Adds Services, unless all are planned. One that is left out and changes may be accepted
    /// now.
    pub(crate) fn mark<'a>(&mut self, services: impl IntoIterator<Item = &'a ObjectName>) {
        if self.whole && self.left_out.is_empty() {
            return;
        }
        for name in services {
            self.left_out.remove(name);
            if !self.whole {
                self.dirty.insert(name.clone());
            }
        }
    }

    /// The rules are not, or may not be, what the last sync left: all are planned.
    pub(crate) fn distrust(&mut self) {
        self.whole = true;
    }

    /// Whether all Services are planned.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Those to plan if it is not all, in the order of their names.
    pub(crate) fn dirty(&self) -> Vec<&ObjectName> {
        let mut names: Vec<_> = self.dirty.iter().collect();
        names.sort_unstable();
        names
    }

    /// What was planned is in the kernel, or was there before.
    pub(crate) fn done(&mut self) {
        self.whole = false;
        self.dirty.clear();
    }

    /// From now on these are planned as if they were not there, until they change or are
    /// [taken back](Self::take_back).
    pub(crate) fn leave_out(&mut self, services: impl IntoIterator<Item = ObjectName>) {
        for name in services {
            self.dirty.insert(name.clone());
            self.left_out.insert(name);
        }
    }

    /// These are planned again.
    pub(crate) fn take_back<'a>(&mut self, services: impl IntoIterator<Item = &'a ObjectName>) {
        for name in services {
            if let Some(name) = self.left_out.take(name) {
                self.dirty.insert(name);
            }
        }
    }

    /// Those that are left out.
    pub(crate) fn left_out(&self) -> &BTreeSet<ObjectName> {
        &self.left_out
    }
}
