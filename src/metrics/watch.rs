//! `kubeproxyrs_watch_*`: what is heard of the API server. Upstream has no such
//! metrics.

use super::maker::Maker;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, Opts};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A handle; clones share the metrics.
#[derive(Clone, Debug)]
pub struct WatchMetrics {
    heard: LastHeard,
    lists: IntCounterVec,
    failures: IntCounterVec,
}

impl WatchMetrics {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        let heard = make.own(LastHeard::new(make.opts(
            "kubeproxyrs_watch_last_heard_seconds",
            "Time since the API server last sent anything about a resource",
        )))?;
        Ok(Self {
            heard,
            lists: make.int_counters(
                "kubeproxyrs_watch_lists_total",
                "Complete lists that the API server has sent",
                &["resource"],
            )?,
            failures: make.int_counters(
                "kubeproxyrs_watch_failures_total",
                "Lists and watches that failed, by what was wrong",
                &["resource", "reason"],
            )?,
        })
    }

    /// Those of a resource that is watched from now on.
    pub fn of(&self, resource: &str) -> ResourceWatch {
        ResourceWatch {
            heard: self.heard.add(resource),
            lists: self.lists.with_label_values(&[resource]),
            failures: self.failures.clone(),
            resource: resource.into(),
        }
    }
}

impl WatchMetrics {
    /// For how long the API server has said nothing about one of the resources, the longest.
    pub fn silence(&self) -> Duration {
        let times = (self.heard.times.lock()).unwrap_or_else(PoisonError::into_inner);
        let times = times.iter().map(|(_, time)| {
            let time = *time.lock().unwrap_or_else(PoisonError::into_inner);
            time.elapsed()
        });
        times.max().unwrap_or_default()
    }
}

/// What is heard of one resource.
#[derive(Clone, Debug)]
pub struct ResourceWatch {
    heard: Arc<Mutex<Instant>>,
    lists: IntCounter,
    failures: IntCounterVec,
    resource: Arc<str>,
}

impl ResourceWatch {
    /// Something came: the headers of an answer that is of use, or a part of its body.
    pub fn heard(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// A list was complete.
    pub fn listed(&self) {
        self.lists.inc();
    }

    /// A list or a watch failed.
    pub fn failed(&self, reason: &str) {
        let labels = &[&*self.resource, reason];
        self.failures.with_label_values(labels).inc();
    }
}

/// Seconds since something was heard, as of the scrape. A time that is measured
/// here, unlike one by the clock, is right whatever the clocks of the node and
/// of Prometheus say.
#[derive(Clone, Debug)]
struct LastHeard {
    gauges: GaugeVec,
    times: Times,
}

type Times = Arc<Mutex<Vec<(Gauge, Arc<Mutex<Instant>>)>>>;

impl LastHeard {
    fn new(options: Opts) -> prometheus::Result<Self> {
        Ok(Self {
            gauges: GaugeVec::new(options, &["resource"])?,
            times: Times::default(),
        })
    }

    fn add(&self, resource: &str) -> Arc<Mutex<Instant>> {
        let time = Arc::new(Mutex::new(Instant::now()));
        let gauge = self.gauges.with_label_values(&[resource]);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.push((gauge, time.clone()));
        time
    }
}

impl Collector for LastHeard {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        for (gauge, time) in &*times {
            let time = *time.lock().unwrap_or_else(PoisonError::into_inner);
            gauge.set(time.elapsed().as_secs_f64());
        }
        self.gauges.collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;
    use std::time::Duration;

    #[test]
    fn silence_is_measured_at_each_scrape() {
        let metrics = Metrics::new().expect("metrics");
        assert!(
            !metrics.text().contains("kubeproxyrs_watch"),
            "nothing is watched"
        );
        let watch = metrics.watch().of("services");
        let heard = || {
            let text = metrics.text();
            let name = "kubeproxyrs_watch_last_heard_seconds{resource=\"services\"} ";
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value.expect("a value").parse::<f64>().expect("a number")
        };
        let begun = std::time::Instant::now();
        std::thread::sleep(Duration::from_millis(20));
        assert!((0.02..=begun.elapsed().as_secs_f64() + 0.1).contains(&heard()));
        let before = std::time::Instant::now();
        watch.heard();
        assert!(heard() <= before.elapsed().as_secs_f64());
        watch.listed();
        watch.failed("silence");
        for line in [
            "kubeproxyrs_watch_lists_total{resource=\"services\"} 1",
            "kubeproxyrs_watch_failures_total{reason=\"silence\",resource=\"services\"} 1",
            "# TYPE kubeproxyrs_watch_last_heard_seconds gauge",
        ] {
            let text = metrics.text();
            assert!(text.lines().any(|own| own == line), "{line} in {text}");
        }
    }
}
