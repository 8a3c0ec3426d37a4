//! Prometheus metrics under the names, types, labels and buckets that upstream
//! uses in nftables mode (reference: section 3).

use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder, core::Collector, exponential_buckets,
};
use rules::model::Family;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const FAMILY: &str = "ip_family";

/// A handle to all metrics; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
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
    failures: IntCounterVec,
    cleanups: HistogramVec,
    deleted_flows: IntCounterVec,
    healthz: IntCounterVec,
    livez: IntCounterVec,
}

impl Metrics {
    /// Registers everything in a registry of its own.
    ///
    /// # Errors
    /// Two metrics of one name, which is a mistake in this file.
    pub fn new() -> prometheus::Result<Self> {
        let make = Maker {
            registry: Registry::new(),
        };
        let syncs = exponential_buckets(0.001, 2.0, 15)?;
        let inner = Inner {
            sync: make.histogram(
                "sync_proxy_rules_duration_seconds",
                "Time that one sync took, failed ones too",
                &syncs,
            )?,
            full_sync: make.histogram(
                "sync_full_proxy_rules_duration_seconds",
                "Time that a sync of the whole table took",
                &syncs,
            )?,
            partial_sync: make.histogram(
                "sync_partial_proxy_rules_duration_seconds",
                "Time that a sync of changed Services took",
                &syncs,
            )?,
            last_sync: make.gauges(
                "sync_proxy_rules_last_timestamp_seconds",
                "When a sync last succeeded, Unix time",
            )?,
            last_queued: make.gauges(
                "sync_proxy_rules_last_queued_timestamp_seconds",
                "When a sync was last asked for, Unix time",
            )?,
            programming: make.histogram(
                "network_programming_duration_seconds",
                "Time from a change of endpoints to the rules being in place",
                &programming_buckets(),
            )?,
            endpoints_pending: make.own(IntGauge::new(
                "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
                "EndpointSlice changes that no sync has taken yet",
            ))?,
            endpoints_total: make.own(IntCounter::new(
                "kubeproxy_sync_proxy_rules_endpoint_changes_total",
                "EndpointSlice events",
            ))?,
            services_pending: make.own(IntGauge::new(
                "kubeproxy_sync_proxy_rules_service_changes_pending",
                "Services with changes that no sync has taken yet",
            ))?,
            services_total: make.own(IntCounter::new(
                "kubeproxy_sync_proxy_rules_service_changes_total",
                "Service events, one per IP family",
            ))?,
            no_local_endpoints: make.own(IntGaugeVec::new(
                opts(
                    "sync_proxy_rules_no_local_endpoints_total",
                    "Service ports with policy Local and endpoints, but none on this node",
                ),
                &["traffic_policy", FAMILY],
            ))?,
            failures: make.counters(
                "sync_proxy_rules_nftables_sync_failures_total",
                "Transactions that the kernel refused",
                FAMILY,
            )?,
            cleanups: make.histogram(
                "conntrack_reconciler_sync_duration_seconds",
                "Time that one search for stale UDP flows took",
                &syncs,
            )?,
            deleted_flows: make.counters(
                "conntrack_reconciler_deleted_entries_total",
                "UDP flows that were stale and are deleted",
                FAMILY,
            )?,
            healthz: make.counters("proxy_healthz_total", "Answers of /healthz", "code")?,
            livez: make.counters("proxy_livez_total", "Answers of /livez", "code")?,
            registry: make.registry,
        };
        inner
            .registry
            .register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self(Arc::new(inner)))
    }

    /// The text format.
    ///
    /// # Errors
    /// A metric that cannot be encoded.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.registry.gather(), &mut text)?;
        Ok(text)
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
            self.0.failures.with_label_values(label).inc();
        }
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

    /// `/livez` answered.
    pub fn livez(&self, code: u16) {
        self.0.livez.with_label_values(&[&code.to_string()]).inc();
    }
}

/// Makes metrics and registers them.
struct Maker {
    registry: Registry,
}

impl Maker {
    fn own<M: Collector + Clone + 'static>(
        &self,
        metric: prometheus::Result<M>,
    ) -> prometheus::Result<M> {
        let metric = metric?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
        self.own(HistogramVec::new(opts, &[FAMILY]))
    }

    fn gauges(&self, name: &str, help: &str) -> prometheus::Result<GaugeVec> {
        self.own(GaugeVec::new(opts(name, help), &[FAMILY]))
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> prometheus::Result<IntCounterVec> {
        self.own(IntCounterVec::new(opts(name, help), &[label]))
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("kubeproxy")
}

/// Upstream's: fine to a second, by seconds to a minute, then coarser to five.
fn programming_buckets() -> Vec<f64> {
    let seconds = (1..60).map(f64::from);
    let fives = (60..120).step_by(5).map(f64::from);
    let halves = (120..=300).step_by(30).map(f64::from);
    [0.25, 0.5]
        .into_iter()
        .chain(seconds)
        .chain(fives)
        .chain(halves)
        .collect()
}

fn unix_now() -> f64 {
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
        let text = String::from_utf8(metrics.text().expect("text")).expect("UTF-8");
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
        assert_eq!(programming_buckets().len(), 2 + 59 + 12 + 7);
    }
}
