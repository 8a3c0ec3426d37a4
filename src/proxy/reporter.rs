//! Tells metrics, health, events and the health check servers what the proxy did.

use super::outcome::{Counted, Drift, Outcome, Taken};
use crate::events::Event;
use crate::health::Moment;
use crate::http::{HealthUpdate, ServiceHealth};
use crate::localhost::{LocalhostProxy, LocalhostUpdate};
use crate::telemetry::Telemetry;
use rules::NodeNotice;
use rules::model::Family;

/// Where all of it goes.
pub(super) struct Reporter {
    telemetry: Telemetry,
    service_health: ServiceHealth,
    localhost: Option<LocalhostProxy>,
}

impl Reporter {
    /// Nothing is told yet.
    pub(super) fn new(telemetry: Telemetry, service_health: ServiceHealth) -> Self {
        Self {
            telemetry,
            service_health,
            localhost: None,
        }
    }

    /// Tells a proxy of node ports on loopback addresses, if there is one.
    pub(super) fn with_localhost(self, localhost: Option<LocalhostProxy>) -> Self {
        Self { localhost, ..self }
    }

    /// The loop begins: the family has a status from here on, and a sync is wanted.
    pub(super) fn begun(&self, family: Family) {
        self.telemetry.health.updated(family, Moment::now());
        self.telemetry.metrics.queued(family);
    }

    /// Each family needs a sync.
    pub(super) fn queued(&self, families: impl Iterator<Item = Family>) {
        for family in families {
            self.telemetry.health.queued(family, Moment::now());
            self.telemetry.metrics.queued(family);
        }
    }

    /// A change of the cluster was taken in, for these families.
    pub(super) fn taken(&self, taken: Taken, families: impl Iterator<Item = Family> + Clone) {
        let metrics = &self.telemetry.metrics;
        match taken.counted {
            // Upstream counts a Service event once for each family's proxier.
            Some(Counted::Service) => metrics.service_changes(families.clone().count()),
            Some(Counted::EndpointSlice) => metrics.endpoint_change(),
            None => {}
        }
        for problem in taken.problems {
            tracing::warn!("{problem}");
            self.telemetry.events.record(Event::from(problem));
        }
        match taken.notice {
            Some(NodeNotice::Kept(text)) => {
                tracing::warn!("{text}");
                let event = Event::node_warning("NodeIncomplete", text);
                self.telemetry.events.record(event);
            }
            Some(NodeNotice::Restored) => {
                tracing::info!("this node's Node object tells its addresses and ranges again");
            }
            None => {}
        }
        if let Some(eligible) = taken.eligible {
            self.telemetry.health.node_eligible(eligible);
        }
        if taken.changed {
            metrics.service_changes_pending(taken.pending_services);
            self.queued(families);
        }
    }

    /// Somebody else changed the ruleset.
    pub(super) fn drifted(&self, drift: Drift) {
        for family in drift.touched {
            self.telemetry.metrics.drift(family);
        }
        if let Some(note) = drift.contested {
            self.telemetry.events.record(Event::contested(note));
        }
    }

    /// A sync ended.
    pub(super) fn synced(&mut self, outcomes: Vec<Outcome>) {
        self.telemetry.metrics.changes_taken();
        let mut updates = Vec::new();
        for outcome in outcomes {
            self.family_synced(&outcome);
            for (service, note) in outcome.newly_left_out {
                self.telemetry.events.record(Event::left_out(service, note));
            }
            if let Some(proxy) = &self.localhost {
                proxy.update(LocalhostUpdate {
                    family: outcome.family,
                    ports: outcome.localhost,
                });
            }
            updates.push(HealthUpdate {
                family: outcome.family,
                addresses: outcome.health_addresses,
                checks: outcome.health_checks,
            });
        }
        self.service_health.update(updates);
    }

    fn family_synced(&self, outcome: &Outcome) {
        let Telemetry {
            metrics, health, ..
        } = &self.telemetry;
        let family = outcome.family;
        for attempt in &outcome.attempts {
            metrics.sync_finished(family, attempt.full, attempt.took, attempt.succeeded);
        }
        for _ in 0..outcome.found_different {
            metrics.drift(family);
        }
        if let Some(summary) = outcome.summary {
            let (internal, external) = (summary.no_local_internal, summary.no_local_external);
            metrics.no_local_endpoints(family, internal, external);
            if let Some(lines) = summary.lines {
                metrics.rule_lines(family, lines);
            }
            for waited in &outcome.programmed {
                metrics.network_programming(family, *waited);
            }
            health.updated(family, Moment::now());
        }
        if outcome.rested {
            return;
        }
        if outcome.refusal.is_some() {
            // Whoever asks for health has to see that something waits, also when no change
            // was queued: the first sync, or a table to mend.
            health.queued(family, Moment::now());
        }
        metrics.services_left_out(family, outcome.left_out);
        if let Some(flows) = outcome.flows {
            metrics.flows_cleaned(family, flows.took, flows.deleted);
        }
    }
}
