//! Forgets stale UDP flows after the rules changed; which ones, `rules`
//! decides ([`rules::flows`]).

use crate::metrics::Metrics;
use rules::flows::{Deleted, FlowTable, StaleFlows};
use rules::model::{Family, ObjectName};
use rules::{NodeportAddresses, State};
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Instant;

/// Collects what changed and cleans up, each family on its own.
pub struct FlowCleanup {
    table: Box<dyn FlowTable + Send>,
    families: Vec<OfFamily>,
    metrics: Metrics,
}

struct OfFamily {
    family: Family,
    stale: StaleFlows,
    /// The last pass failed, which has been logged.
    failing: bool,
}

impl FlowCleanup {
    /// Its first pass looks at every UDP frontend.
    pub fn new(table: Box<dyn FlowTable + Send>, families: &[Family], metrics: Metrics) -> Self {
        let of_family = |family: &Family| OfFamily {
            family: *family,
            stale: StaleFlows::new(*family),
            failing: false,
        };
        Self {
            table,
            families: families.iter().map(of_family).collect(),
            metrics,
        }
    }

    /// Notes what is different about these Services, before they are synced:
    /// so it is not forgotten if that fails.
    pub fn note(&mut self, state: &State, touched: &HashSet<ObjectName>) {
        for own in &mut self.families {
            own.stale.update(state, touched);
        }
    }

    /// Whether flows are left to clean up.
    pub fn is_pending(&self) -> bool {
        self.families.iter().any(|own| own.stale.is_pending())
    }

    /// Cleans up after a successful sync of the family: with the old rules
    /// still there, the same flows would come back. What fails stays pending.
    pub fn clean(
        &mut self,
        family: Family,
        state: &State,
        nodeports: &NodeportAddresses,
        local: &[IpAddr],
    ) {
        let Some(own) = self.families.iter_mut().find(|own| own.family == family) else {
            return;
        };
        let Some(suspects) = own.stale.suspects(state, nodeports, local) else {
            return;
        };
        let start = Instant::now();
        let mut tally = Deleted::default();
        let result = self.table.delete_stale(&suspects, &mut tally);
        let took = start.elapsed();
        self.metrics.flows_cleaned(family, took, tally.deleted);
        tracing::debug!(
            "{family}: deleted {} of {} UDP flows in {:.1} ms",
            tally.deleted,
            tally.listed,
            took.as_secs_f64() * 1000.0
        );
        match result {
            Ok(()) => {
                own.stale.cleaned();
                own.failing = false;
            }
            Err(error) if !own.failing => {
                own.failing = true;
                tracing::warn!(
                    "{family}: deleting stale UDP flows from conntrack: {error}; \
                     clients that keep their source port may reach an endpoint that is gone \
                     until a later attempt succeeds"
                );
            }
            Err(_) => {}
        }
    }
}
