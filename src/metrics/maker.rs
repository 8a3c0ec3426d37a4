//! Makes metrics and counts what it made.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How firmly upstream promises a metric. Its help text begins with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stability {
    Alpha,
    Beta,
    Stable,
}

impl Stability {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Alpha => "ALPHA",
            Self::Beta => "BETA",
            Self::Stable => "STABLE",
        }
    }
}

/// Makes metrics and registers them; clones share the registry.
#[derive(Clone)]
pub(super) struct Maker {
    registry: Registry,
    stability: Stability,
    made: Rc<RefCell<BTreeMap<Stability, u64>>>,
}

impl Maker {
    /// For a registry that has nothing yet.
    pub(super) fn new() -> Self {
        Self {
            registry: Registry::new(),
            stability: Stability::Alpha,
            made: Rc::default(),
        }
    }

    /// The same registry; what is made from here on has this stability.
    pub(super) fn with(&self, stability: Stability) -> Self {
        Self {
            stability,
            ..self.clone()
        }
    }

    /// The registry with what was made.
    pub(super) fn into_registry(self) -> Registry {
        self.registry
    }

    /// The registry, with the metrics about metrics in it.
    ///
    /// # Errors
    /// They are there already.
    pub(super) fn finish(self) -> prometheus::Result<Registry> {
        let maker = self.with(Stability::Beta);
        let registered = maker.int_counters(
            "registered_metrics_total",
            "Metrics that are registered, by stability",
            &["stability_level", "deprecated_version"],
        )?;
        // No metric here is hidden or switched off, ever.
        for (name, help) in [
            ("hidden_metrics_total", "Metrics that are hidden"),
            ("disabled_metrics_total", "Metrics that are switched off"),
        ] {
            maker.int_counter(name, help)?;
        }
        for (stability, count) in maker.made.borrow().iter() {
            let labels = [stability.label(), ""];
            registered.with_label_values(&labels).inc_by(*count);
        }
        Ok(maker.registry)
    }

    /// Registers a collector that counts for itself.
    pub(super) fn own<M: Collector + Clone + 'static>(
        &self,
        metric: prometheus::Result<M>,
    ) -> prometheus::Result<M> {
        let metric = metric?;
        self.registry.register(Box::new(metric.clone()))?;
        *self.made.borrow_mut().entry(self.stability).or_default() += 1;
        Ok(metric)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::from(self.opts(name, help)).buckets(buckets.to_vec());
        self.own(HistogramVec::new(opts, labels))
    }

    pub(super) fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<GaugeVec> {
        self.own(GaugeVec::new(self.opts(name, help), labels))
    }

    pub(super) fn int_gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntGaugeVec> {
        self.own(IntGaugeVec::new(self.opts(name, help), labels))
    }

    pub(super) fn int_gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.own(IntGauge::with_opts(self.opts(name, help)))
    }

    pub(super) fn int_counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.own(IntCounterVec::new(self.opts(name, help), labels))
    }

    pub(super) fn int_counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.own(IntCounter::with_opts(self.opts(name, help)))
    }

    pub(super) fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(name, format!("[{}] {help}", self.stability.label()))
    }
}
