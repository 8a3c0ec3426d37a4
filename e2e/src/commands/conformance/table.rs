//! The table: every Service that one cluster state holds at once, and the packets sent to it.

mod access;
mod extras;
mod policy;
mod selection;

use crate::conformance::case::{Breadth, Case, cases};
use crate::conformance::spec::{Endpoint, Service, State};

/// Everything that one run of the table needs.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) services: Vec<Service>,
    pub(crate) cases: Vec<Case>,
}

impl Table {
    pub(crate) fn new() -> Self {
        let mut table = Self::default();
        policy::add(&mut table);
        selection::add(&mut table);
        access::add(&mut table);
        extras::add(&mut table);
        table
    }

    /// The next Service, named `name`, which [`Table::add`] takes.
    fn service(&self, name: &str) -> Service {
        // 0 is the canary's, and randomised states have those from 200 on.
        let slot = u8::try_from(self.services.len() + 1).unwrap_or(u8::MAX);
        Service::new(name, slot)
    }

    /// Adds a Service, described by `description`, and its cases.
    fn add(&mut self, service: Service, description: &str, breadth: Breadth<'_>) {
        self.cases.extend(cases(&service, description, breadth));
        self.services.push(service);
    }
}

/// Ready endpoints: these pods, by their index in [`crate::conformance::spec::PODS`].
fn ready(pods: &[usize]) -> Vec<Endpoint> {
    in_state(State::Ready, pods)
}

fn in_state(state: State, pods: &[usize]) -> Vec<Endpoint> {
    pods.iter().map(|pod| Endpoint::new(*pod, state)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_and_every_slot_is_there_once() {
        let table = Table::new();
        let ids: BTreeSet<_> = table.cases.iter().map(|case| &case.id).collect();
        assert_eq!(ids.len(), table.cases.len());
        assert!(table.cases.len() >= 200);
        let slots: BTreeSet<_> = table.services.iter().map(|service| service.slot).collect();
        assert_eq!(slots.len(), table.services.len());
        assert!(slots.iter().all(|slot| (1..200).contains(slot)));
    }
}
