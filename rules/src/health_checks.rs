//! What `healthCheckNodePort`s answer, and which of them changed.

use crate::HealthCheck;
use crate::model::ObjectName;
use std::collections::{BTreeMap, BTreeSet};

/// The health checks of one family's Services.
#[derive(Debug, Default)]
pub(crate) struct HealthChecks {
    now: BTreeMap<ObjectName, HealthCheck>,
    /// Services whose health checks are others than they were told to be last.
    changed: BTreeSet<ObjectName>,
}

impl HealthChecks {
    /// By Service.
    pub(crate) fn now(&self) -> &BTreeMap<ObjectName, HealthCheck> {
        &self.now
    }

    /// These Services answer so from now on, `None` not at all; with `whole` no others do.
    pub(crate) fn planned<'a>(
        &mut self,
        whole: bool,
        services: impl IntoIterator<Item = (&'a ObjectName, Option<HealthCheck>)>,
    ) {
        let mut gone: BTreeSet<ObjectName> = match whole {
            true => self.now.keys().cloned().collect(),
            false => BTreeSet::new(),
        };
        for (name, check) in services {
            gone.remove(name);
            self.set(name, check);
        }
        for name in gone {
            self.set(&name, None);
        }
    }

    fn set(&mut self, name: &ObjectName, check: Option<HealthCheck>) {
        if self.now.get(name).copied() == check {
            return;
        }
        match check {
            Some(check) => self.now.insert(name.clone(), check),
            None => self.now.remove(name),
        };
        self.changed.insert(name.clone());
    }

    /// Those that changed since the last call; `None` where there is none any more.
    pub(crate) fn take_changes(&mut self) -> Vec<(ObjectName, Option<HealthCheck>)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let now = |name: ObjectName| {
            let check = self.now.get(&name).copied();
            (name, check)
        };
        changed.map(now).collect()
    }
}
