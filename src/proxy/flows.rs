//! Forgets one family's stale UDP flows after its rules changed; which ones, `rules` decides
//! ([`rules::flows`]).

use super::outcome::FlowsCleaned;
use crate::clock;
use rules::flows::{Deleted, FlowTable, StaleFlows};
use rules::model::{Family, ObjectName};
use rules::{NodeportAddresses, State};
use std::collections::HashSet;
use std::net::IpAddr;

/// Collects what changed, and cleans up.
pub(super) struct FlowCleanup {
    family: Family,
    stale: StaleFlows,
    /// The last pass failed, which has been logged.
    failing: bool,
}

impl FlowCleanup {
    /// Its first pass looks at every UDP frontend.
    pub(super) fn new(family: Family) -> Self {
        Self {
            family,
            stale: StaleFlows::new(family),
            failing: false,
        }
    }

    /// Notes what is different about these Services, before they are synced:
    /// so it is not forgotten if that fails.
    pub(super) fn note(&mut self, state: &State, touched: &HashSet<ObjectName>) {
        self.stale.update(state, touched);
    }

    /// Whether flows are left to clean up.
    pub(super) fn is_pending(&self) -> bool {
        self.stale.is_pending()
    }

    /// Cleans up after a successful sync: with the old rules still there, the same flows would
    /// come back. What fails stays pending. `None` if there was nothing to look for.
    pub(super) fn clean(
        &mut self,
        table: &mut dyn FlowTable,
        state: &State,
        nodeports: &NodeportAddresses,
        local: &[IpAddr],
    ) -> Option<FlowsCleaned> {
        let suspects = self.stale.suspects(state, nodeports, local)?;
        let start = clock::now();
        let mut tally = Deleted::default();
        let result = table.delete_stale(&suspects, &mut tally);
        let took = clock::now() - start;
        let family = self.family;
        tracing::debug!(
            "{family}: deleted {} of {} UDP flows in {:.1} ms",
            tally.deleted,
            tally.listed,
            took.as_secs_f64() * 1000.0
        );
        match result {
            Ok(()) => {
                self.stale.cleaned();
                self.failing = false;
            }
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::warn!(
                    "{family}: deleting stale UDP flows from conntrack: {error}; \
                     clients that keep their source port may reach an endpoint that is gone \
                     until a later attempt succeeds"
                );
            }
            Err(_) => {}
        }
        Some(FlowsCleaned {
            took,
            deleted: tally.deleted,
        })
    }
}
