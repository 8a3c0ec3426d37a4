//! `/metrics/slis`: how the health checks of the metrics port came out.

use super::maker::{Maker, Stability};
use super::start_time;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounterVec, IntGaugeVec, Registry};

/// A registry of its own, as upstream has it. There is one check, ping, which
/// cannot fail.
#[derive(Clone, Debug)]
pub struct Slis {
    registry: Registry,
    last: IntGaugeVec,
    all: IntCounterVec,
}

impl Slis {
    pub(super) fn new() -> prometheus::Result<Self> {
        let make = Maker::new().with(Stability::Stable);
        let last = make.int_gauges(
            "kubernetes_healthcheck",
            "Whether the check succeeded the last time",
            &["name", "type"],
        )?;
        let all = make.int_counters(
            "kubernetes_healthchecks_total",
            "Results of the check",
            &["name", "type", "status"],
        )?;
        let started = make.own(Gauge::new(
            "process_start_time_seconds",
            "When the process was started, Unix time",
        ))?;
        started.set(start_time().unwrap_or_default());
        Ok(Self {
            registry: make.into_registry(),
            last,
            all,
        })
    }

    /// `/healthz` of the metrics port ran its check.
    pub fn pinged(&self) {
        self.last.with_label_values(&["ping", "healthz"]).set(1);
        let all = self.all.with_label_values(&["ping", "healthz", "success"]);
        all.inc();
    }

    /// Forgets what was counted.
    pub fn reset(&self) {
        self.last.reset();
        self.all.reset();
    }

    /// All metrics as they are now, by name.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}
