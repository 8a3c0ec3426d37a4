//! One sync: plan what is dirty, send it to the kernel, and let health servers
//! and metrics follow from what was applied.

mod attempt;
mod family;
mod search;
mod watch;

use crate::events::{Events, Report};
use crate::health::{Health, Moment};
use crate::http::{ServiceHealth, ServiceHealthCheck};
use crate::metrics::Metrics;
use crate::netlink::interfaces::Interfaces;
use crate::proxy::flows::FlowCleanup;
use crate::world::World;
use family::OfFamily;
use jiff::Timestamp;
use rules::model::{Family, ObjectName};
use rules::nft::{Kernel, Refusal};
use rules::{Change, NodeNotice, State, Trigger};
use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the syncs tell the outside.
#[derive(Clone, Debug)]
pub struct Reports {
    /// Prometheus metrics.
    pub metrics: Metrics,
    /// The state behind `/healthz` and `/livez`.
    pub health: Arc<Health>,
    /// Events of the API server.
    pub events: Events,
}

/// The state, a planner per family, and the kernel that they program.
pub struct Syncer<K> {
    world: World,
    families: Vec<OfFamily>,
    kernel: K,
    reports: Reports,
    service_health: ServiceHealth,
    flows: FlowCleanup,
    interfaces: Interfaces,
    /// The interfaces' addresses as they were listed last.
    local: Vec<IpAddr>,
    /// They are still that, as far as anybody told.
    local_is_known: bool,
    /// Endpoint changes that are not in the kernel yet.
    triggers: Vec<Trigger>,
    /// What was warned about last, to say it once.
    warned: BTreeSet<String>,
    /// Services that changed since the last sync.
    changed_services: HashSet<ObjectName>,
    /// When this syncer was made: what was triggered before is no measure of it.
    started: i64,
}

impl<K: Kernel> Syncer<K> {
    /// A syncer whose first sync takes over whatever table there is.
    pub fn new(
        world: World,
        families: &[Family],
        kernel: K,
        reports: Reports,
        service_health: ServiceHealth,
        flows: FlowCleanup,
    ) -> Self {
        let of_family = |family: &Family| OfFamily::new(world.here().config(*family));
        let families = families.iter().map(of_family).collect();
        Self {
            world,
            families,
            kernel,
            reports,
            service_health,
            flows,
            local: Vec::new(),
            interfaces: Interfaces::default(),
            local_is_known: false,
            triggers: Vec::new(),
            warned: BTreeSet::new(),
            changed_services: HashSet::new(),
            started: Timestamp::now().as_millisecond(),
        }
    }

    /// After failures in a row it is tried again this long after the last one at the most.
    pub fn retry_within(mut self, longest_pause: Duration) -> Self {
        for own in &mut self.families {
            own.trouble.retry_within(longest_pause);
        }
        self
    }

    /// Tells that the loop begins: from here on each family has a status, and
    /// syncs are wanted.
    pub fn begin(&self) {
        for own in &self.families {
            let family = own.family();
            self.reports.health.updated(family, Moment::now());
            self.reports.metrics.queued(family);
        }
    }

    /// The objects as far as they are known.
    pub fn state(&self) -> &State {
        self.world.state()
    }

    /// Takes in an event; true if a sync is needed.
    pub fn apply(&mut self, event: Change) -> bool {
        self.count(&event);
        let service = match &event {
            Change::Service(service) => Some(service.name.clone()),
            Change::ServiceGone(name) => Some(name.clone()),
            _ => None,
        };
        let about_node = matches!(
            event,
            Change::Node(_) | Change::NodeGone | Change::ListEnd(rules::ObjectKind::Node)
        );
        let applied = self.world.apply(event);
        for problem in applied.problems {
            tracing::warn!("{problem}");
            self.reports.events.report(Report::from(problem));
        }
        if let Some(notice) = applied.node {
            self.tell(notice);
        }
        if about_node {
            self.reports
                .health
                .node_eligible(self.world.state().node().map(|node| node.eligible));
        }
        if applied.changed {
            self.changed_services.extend(service);
            let pending = self.changed_services.len();
            self.reports.metrics.service_changes_pending(pending);
            self.queued();
        }
        applied.changed
    }

    fn tell(&self, notice: NodeNotice) {
        match notice {
            NodeNotice::Kept(text) => {
                tracing::warn!("{text}");
                let report = Report::node_warning("NodeIncomplete", text);
                self.reports.events.report(report);
            }
            NodeNotice::Restored => {
                tracing::info!("this node's Node object tells its addresses and ranges again");
            }
        }
    }

    /// Looks whether the interfaces' addresses are others than before; true if
    /// a sync is needed. To be called whenever they may be.
    pub fn addresses_may_differ(&mut self) -> bool {
        let before = self.local.clone();
        self.local_is_known = false;
        self.list_addresses();
        if self.local_is_known && self.local == before {
            return false;
        }
        self.queued();
        true
    }

    /// Whether stale flows are left from the last sync, or addresses that could not be listed, for
    /// the next one.
    pub fn has_stale_flows(&self) -> bool {
        self.flows.is_pending() || !self.local_is_known
    }

    fn queued(&self) {
        for own in &self.families {
            let family = own.family();
            self.reports.health.queued(family, Moment::now());
            self.reports.metrics.queued(family);
        }
    }

    /// Brings the kernel in line with the state, each family on its own.
    ///
    /// # Errors
    /// What the kernel refused, now or at an attempt that is not repeated yet; that family's
    /// old rules are whole. When it is tried again tells [`next_look`](Self::next_look).
    pub fn sync(&mut self) -> Result<(), Vec<Refusal>> {
        let dirty = self.world.take_dirty();
        let started = self.started;
        let triggers = self.world.take_triggers().into_iter();
        self.triggers
            .extend(triggers.filter(|trigger| trigger.at > started));
        self.changed_services = HashSet::new();
        self.reports.metrics.changes_taken();
        self.flows.note(self.world.state(), &dirty);
        self.list_addresses();
        let local = self.local.clone();
        for own in &mut self.families {
            own.planner.mark(&dirty);
        }
        // After the first lists it has the name of every Service.
        drop(dirty);
        let mut refusals = Vec::new();
        for at in 0..self.families.len() {
            self.follow_node(at, &local);
            if let Some(refusal) = self.families[at].trouble.waits(Instant::now()) {
                refusals.push(refusal.clone());
                continue;
            }
            self.families[at].look(Instant::now());
            let result = self.sync_family(at, &local);
            self.ended(at, result.as_ref().err());
            match result {
                Ok(()) => self.clean_flows(at, &local),
                Err(refusal) => refusals.push(refusal),
            }
        }
        self.sync_health_checks();
        if refusals.is_empty() {
            Ok(())
        } else {
            Err(refusals)
        }
    }

    /// A family's sync ended, refused or not: tells that once, and until when it rests.
    fn ended(&mut self, at: usize, refusal: Option<&Refusal>) {
        let own = &mut self.families[at];
        let family = own.family();
        match refusal {
            Some(refusal) => {
                // Whoever asks for health has to see that something waits, also when no change
                // was queued: the first sync, or a table to mend.
                self.reports.health.queued(family, Moment::now());
                if own.trouble.failed(refusal, Instant::now()) {
                    let meaning = refusal.cause.meaning();
                    tracing::error!(
                        "sync failed, the old rules stay in place: {refusal}; {meaning}"
                    );
                }
            }
            None => {
                let failures = own.trouble.succeeded();
                if failures > 0 {
                    tracing::info!("{family}: a sync succeeded after {failures} that failed");
                }
            }
        }
        let left_out = own.planner.left_out();
        own.told.retain(|service, _| left_out.contains(service));
        self.reports
            .metrics
            .services_left_out(family, left_out.len());
    }

    fn succeeded(&mut self, at: usize, family: Family) {
        let summary = self.families[at].planner.summary();
        let metrics = &self.reports.metrics;
        metrics.no_local_endpoints(family, summary.no_local_internal, summary.no_local_external);
        let now = Timestamp::now().as_millisecond();
        self.triggers.retain(|trigger| {
            if trigger.family == family {
                let waited = u64::try_from(now - trigger.at).unwrap_or(0);
                metrics.network_programming(family, Duration::from_millis(waited));
            }
            trigger.family != family
        });
        self.reports.health.updated(family, Moment::now());
    }

    /// Node-port addresses, and where health checks are answered, follow the
    /// Node object and the interfaces.
    fn follow_node(&mut self, at: usize, local: &[IpAddr]) {
        let family = self.families[at].planner.config().family;
        let config = self.world.here().config(family);
        self.service_health
            .listen_on(family, &config.nodeport_addresses, local);
        self.families[at].planner.configure(config);
    }

    fn sync_health_checks(&mut self) {
        let checks = self.families.iter().flat_map(|own| {
            let family = own.family();
            let health = own.planner.health().iter();
            health.map(move |(service, check)| ServiceHealthCheck {
                service: service.clone(),
                port: check.port,
                family,
                local_endpoints: check.local_endpoints,
            })
        });
        let checks: Vec<ServiceHealthCheck> = checks.collect();
        self.service_health.sync(&checks);
    }

    fn clean_flows(&mut self, at: usize, local: &[IpAddr]) {
        let config = self.families[at].planner.config();
        self.flows.clean(
            config.family,
            self.world.state(),
            &config.nodeport_addresses,
            local,
        );
    }

    /// Lists the interfaces' addresses unless they are known.
    fn list_addresses(&mut self) {
        if self.local_is_known {
            return;
        }
        match self.interfaces.addresses() {
            Ok(addresses) => {
                self.local = addresses;
                self.local_is_known = true;
            }
            Err(error) => {
                let message = format!("listing the interfaces' addresses: {error}");
                if self.warned.insert(message.clone()) {
                    tracing::warn!("{message}; going on with those that are known");
                }
            }
        }
    }

    fn count(&self, event: &Change) {
        let metrics = &self.reports.metrics;
        match event {
            // Upstream counts a Service event once for each family's proxier.
            Change::Service(_) | Change::ServiceGone(_) => {
                metrics.service_changes(self.families.len());
            }
            Change::Slice(_) | Change::SliceGone(_) => metrics.endpoint_change(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
