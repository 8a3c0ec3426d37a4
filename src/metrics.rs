//! Prometheus metrics under the names, types, labels and buckets that upstream
//! uses in the mode that serves (docs/reference.md#metrics).

#[cfg(feature = "node")]
mod accounted;
mod counts;
mod localhost;
mod maker;
mod modes;
#[cfg(feature = "node")]
mod process;
mod rest;
mod slis;
mod watch;

pub use counts::CountMetrics;
pub use localhost::{Counted, LocalhostMetrics};
#[cfg(feature = "node")]
pub(crate) use process::start_time;
pub use rest::RestMetrics;
pub use slis::Slis;
pub use watch::{ResourceWatch, WatchMetrics};

use crate::about;
use crate::mode::Mode;
use maker::{Maker, Stability};
use modes::ModeMetrics;
use prometheus::proto::MetricFamily;
use prometheus::{
    GaugeVec, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    exponential_buckets,
};
use rules::RuleLines;
use rules::model::Family;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

const FAMILY: &str = "ip_family";

/// A handle to all metrics; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    /// What is done before somebody sees all metrics.
    before_scrapes: OnceLock<Box<dyn Fn() + Send + Sync>>,
    mode: ModeMetrics,
    sync: HistogramVec,
    full_sync: HistogramVec,
    partial_sync: HistogramVec,
    last_sync: GaugeVec,
    last_queued: GaugeVec,
    programming: HistogramVec,
    endpoints_pending: IntGauge,
    endpoints_total: IntCounter,
    services_pending: IntGauge,
    services_total: IntCounter,
    no_local_endpoints: IntGaugeVec,
    drift: IntCounterVec,
    left_out: IntGaugeVec,
    cleanups: HistogramVec,
    deleted_flows: IntCounterVec,
    healthz: IntCounterVec,
    livez: IntCounterVec,
    service_health: IntCounterVec,
    features: IntGaugeVec,
    rest: RestMetrics,
    watch: WatchMetrics,
    slis: Slis,
}

impl Metrics {
    /// Those of mode nftables, and of whatever serves nothing.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn new() -> prometheus::Result<Self> {
        Self::of(Mode::Nftables, false)
    }

    /// Registers everything that a mode has in a registry of its own; `accounted` says that its
    /// rules count by counters of the kernel.
    ///
    /// # Errors
    /// Two metrics of one name, which is a mistake in this file.
    pub fn of(mode: Mode, accounted: bool) -> prometheus::Result<Self> {
        let make = Maker::new().with(Stability::Alpha);
        let syncs = exponential_buckets(0.001, 2.0, 15)?;
        let family = &[FAMILY];
        let inner = Inner {
            sync: make.histograms(
                "kubeproxy_sync_proxy_rules_duration_seconds",
                "Time that one sync took, failed ones too",
                &syncs,
                family,
            )?,
            full_sync: make.histograms(
                "kubeproxy_sync_full_proxy_rules_duration_seconds",
                "Time that a sync of the whole table took",
                &syncs,
                family,
            )?,
            partial_sync: make.histograms(
                "kubeproxy_sync_partial_proxy_rules_duration_seconds",
                "Time that a sync of changed Services took",
                &syncs,
                family,
            )?,
            last_sync: make.gauges(
                "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
                "When a sync last succeeded, Unix time",
                family,
            )?,
            last_queued: make.gauges(
                "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
                "When a sync was last asked for, Unix time",
                family,
            )?,
            programming: make.histograms(
                "kubeproxy_network_programming_duration_seconds",
                "Time from a change of endpoints to the rules being in place",
                &programming_buckets(),
                family,
            )?,
            endpoints_pending: make.int_gauge(
                "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
                "EndpointSlice changes that no sync has taken yet",
            )?,
            endpoints_total: make.int_counter(
                "kubeproxy_sync_proxy_rules_endpoint_changes_total",
                "EndpointSlice events",
            )?,
            services_pending: make.int_gauge(
                "kubeproxy_sync_proxy_rules_service_changes_pending",
                "Services with changes that no sync has taken yet",
            )?,
            services_total: make.int_counter(
                "kubeproxy_sync_proxy_rules_service_changes_total",
                "Service events, one per IP family",
            )?,
            no_local_endpoints: make.int_gauges(
                "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
                "Service ports with policy Local and endpoints, but none on this node",
                &["traffic_policy", FAMILY],
            )?,
            drift: make.int_counters(
                "kubeproxyrs_drift_total",
                "Transactions of others that changed kube-proxy's rules",
                family,
            )?,
            left_out: make.int_gauges(
                "kubeproxyrs_services_left_out",
                "Services that are not served as the kernel refuses their rules",
                family,
            )?,
            cleanups: make.histograms(
                "kubeproxy_conntrack_reconciler_sync_duration_seconds",
                "Time that one search for stale UDP flows took",
                &syncs,
                family,
            )?,
            deleted_flows: make.int_counters(
                "kubeproxy_conntrack_reconciler_deleted_entries_total",
                "UDP flows that were stale and are deleted",
                family,
            )?,
            healthz: make.int_counters(
                "kubeproxy_proxy_healthz_total",
                "Answers of /healthz",
                &["code"],
            )?,
            service_health: make.int_counters(
                "kubeproxyrs_service_health_answers_total",
                "Answers of healthCheckNodePorts, by whether the node has endpoints",
                &["code", "local_endpoints"],
            )?,
            livez: make.int_counters(
                "kubeproxy_proxy_livez_total",
                "Answers of /livez",
                &["code"],
            )?,
            before_scrapes: OnceLock::new(),
            mode: ModeMetrics::new(&make, mode, accounted)?,
            rest: RestMetrics::new(&make)?,
            watch: WatchMetrics::new(&make)?,
            slis: Slis::new()?,
            features: make.with(Stability::Beta).int_gauges(
                "kubernetes_feature_enabled",
                "Feature gates, 1 for those that are on",
                &["name", "stage"],
            )?,
            registry: complete(make)?,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// All metrics as they are now, by name.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.0.registry.gather()
    }

    /// All of them as text, for tests to look at.
    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        let families = self.gather();
        let text = prometheus::TextEncoder::new().encode_to_string(&families);
        text.expect("metrics that can be encoded")
    }

    /// All metrics for whoever asks for them from outside: what is read on request is read first.
    pub fn scrape(&self) -> Vec<MetricFamily> {
        if let Some(before) = self.0.before_scrapes.get() {
            before();
        }
        self.gather()
    }

    /// Does this before each [`scrape`](Self::scrape), if nobody has said so before.
    pub(crate) fn before_scrapes(&self, what: impl Fn() + Send + Sync + 'static) {
        self.0.before_scrapes.get_or_init(|| Box::new(what));
    }

    /// The metrics of what the rules count, if those of the mode that serves do.
    pub fn counts(&self) -> Option<&CountMetrics> {
        self.0.mode.counts()
    }

    /// The metrics of node ports on loopback addresses, if the mode that serves has a proxy for them.
    pub fn localhost(&self) -> Option<&LocalhostMetrics> {
        self.0.mode.localhost()
    }

    /// The metrics of `/metrics/slis`.
    pub fn slis(&self) -> &Slis {
        &self.0.slis
    }

    /// The metrics of the API server's client.
    pub fn rest(&self) -> &RestMetrics {
        &self.0.rest
    }

    /// The metrics of what is watched.
    pub fn watch(&self) -> &WatchMetrics {
        &self.0.watch
    }

    /// A feature gate as upstream names it, with its stage (`""` for what is
    /// general) and whether it is on.
    pub fn feature(&self, name: &str, stage: &str, enabled: bool) {
        self.0
            .features
            .with_label_values(&[name, stage])
            .set(i64::from(enabled));
    }

    /// A sync was asked for.
    pub fn queued(&self, family: Family) {
        self.0
            .last_queued
            .with_label_values(&[family.label()])
            .set(unix_now());
    }

    /// A sync ended.
    pub fn sync_finished(&self, family: Family, full: bool, took: Duration, succeeded: bool) {
        let label = &[family.label()];
        let kind = if full {
            &self.0.full_sync
        } else {
            &self.0.partial_sync
        };
        for histogram in [&self.0.sync, kind] {
            histogram
                .with_label_values(label)
                .observe(took.as_secs_f64());
        }
        if succeeded {
            self.0.last_sync.with_label_values(label).set(unix_now());
        } else {
            self.0.mode.failed(family, full);
        }
    }

    /// So many rules a family has, and the last sync wrote, where its mode has rules of Services.
    pub fn rule_lines(&self, family: Family, lines: RuleLines) {
        self.0.mode.lines(family, lines);
    }

    /// Somebody else changed the family's rules.
    pub fn drift(&self, family: Family) {
        self.0.drift.with_label_values(&[family.label()]).inc();
    }

    /// This many Services are left out, as the kernel refuses them.
    pub fn services_left_out(&self, family: Family, services: usize) {
        self.0
            .left_out
            .with_label_values(&[family.label()])
            .set(i64::try_from(services).unwrap_or(i64::MAX));
    }

    /// A change of endpoints is in the kernel, so long after it was made.
    pub fn network_programming(&self, family: Family, waited: Duration) {
        self.0
            .programming
            .with_label_values(&[family.label()])
            .observe(waited.as_secs_f64());
    }

    /// An EndpointSlice event came.
    pub fn endpoint_change(&self) {
        self.0.endpoints_pending.inc();
        self.0.endpoints_total.inc();
    }

    /// A Service event came, to this many families.
    pub fn service_changes(&self, families: usize) {
        self.0.services_total.inc_by(families as u64);
    }

    /// This many Services wait for a sync.
    pub fn service_changes_pending(&self, services: usize) {
        self.0
            .services_pending
            .set(i64::try_from(services).unwrap_or(i64::MAX));
    }

    /// A sync took all changes that were pending.
    pub fn changes_taken(&self) {
        self.0.endpoints_pending.set(0);
        self.0.services_pending.set(0);
    }

    /// Service ports that policy Local leaves without endpoints on this node.
    pub fn no_local_endpoints(&self, family: Family, internal: i64, external: i64) {
        for (policy, count) in [("internal", internal), ("external", external)] {
            self.0
                .no_local_endpoints
                .with_label_values(&[policy, family.label()])
                .set(count);
        }
    }

    /// A search for stale UDP flows ended.
    pub fn flows_cleaned(&self, family: Family, took: Duration, deleted: u64) {
        let label = &[family.label()];
        let cleanups = self.0.cleanups.with_label_values(label);
        cleanups.observe(took.as_secs_f64());
        let flows = self.0.deleted_flows.with_label_values(label);
        flows.inc_by(deleted);
    }

    /// `/healthz` answered.
    pub fn healthz(&self, code: u16) {
        self.0.healthz.with_label_values(&[&code.to_string()]).inc();
    }

    /// A healthCheckNodePort answered: 200, or 503, and whether there are endpoints here.
    pub fn service_health(&self, serves: bool, has_endpoints: bool) {
        let code = if serves { "200" } else { "503" };
        let endpoints = if has_endpoints { "some" } else { "none" };
        let labels = [code, endpoints];
        self.0.service_health.with_label_values(&labels).inc();
    }

    /// `/livez` answered.
    pub fn livez(&self, code: u16) {
        self.0.livez.with_label_values(&[&code.to_string()]).inc();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Nobody asks a build without the daemon.
#[cfg(not(feature = "node"))]
fn start_time() -> Option<f64> {
    None
}

/// Adds what describes the process rather than what it does.
fn complete(make: Maker) -> prometheus::Result<Registry> {
    let build = make.with(Stability::Beta).int_gauges(
        "kubernetes_build_info",
        "Always 1; the labels tell what was built",
        &about::BUILD_LABELS,
    )?;
    build.with_label_values(&about::build()).set(1);
    #[cfg(feature = "node")]
    make.with(Stability::Stable).own(process::Process::new())?;
    make.finish()
}

/// Upstream's: fine to a second, by seconds to a minute, then coarser to five.
/// That of 0, which only a clock that is behind fills, is there as well.
fn programming_buckets() -> Vec<f64> {
    let seconds = (1..60).map(f64::from);
    let fives = (60..120).step_by(5).map(f64::from);
    let halves = (120..=300).step_by(30).map(f64::from);
    [0.0, 0.25, 0.5]
        .into_iter()
        .chain(seconds)
        .chain(fives)
        .chain(halves)
        .collect()
}

pub(crate) fn unix_now() -> f64 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_observed_is_exposed_as_upstream_has_it() {
        let metrics = Metrics::new().expect("metrics");
        let took = Duration::from_millis(3);
        metrics.sync_finished(Family::V4, true, took, true);
        metrics.sync_finished(Family::V6, false, took, false);
        metrics.network_programming(Family::V4, Duration::from_secs(2));
        metrics.no_local_endpoints(Family::V4, 0, 2);
        metrics.endpoint_change();
        metrics.service_changes(2);
        metrics.flows_cleaned(Family::V6, took, 7);
        metrics.healthz(503);
        let text = metrics.text();
        for line in [
            "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.004\"} 1",
            "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"16.384\"} 1",
            "kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 1",
            "kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family=\"IPv6\"} 1",
            "kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family=\"IPv6\"} 1",
            "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"300\"} 1",
            "kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv4\",traffic_policy=\"external\"} 2",
            "kubeproxy_sync_proxy_rules_endpoint_changes_pending 1",
            "kubeproxy_sync_proxy_rules_service_changes_total 2",
            "kubeproxy_conntrack_reconciler_sync_duration_seconds_count{ip_family=\"IPv6\"} 1",
            "kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family=\"IPv6\"} 7",
            "kubeproxy_proxy_healthz_total{code=\"503\"} 1",
            "# TYPE kubeproxy_sync_proxy_rules_no_local_endpoints_total gauge",
        ] {
            assert!(
                text.lines().any(|own| own == line),
                "{line} is missing in\n{text}"
            );
        }
        assert!(!text.contains("livez"), "what was never observed stays out");
        assert_eq!(programming_buckets().len(), 3 + 59 + 12 + 7);
    }
}
