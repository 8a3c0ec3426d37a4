//! Node ports on loopback addresses that this process serves.

use super::FAMILY;
use super::maker::Maker;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};
use rules::model::Family;

/// A handle to these metrics; clones share them.
#[derive(Clone, Debug)]
pub struct LocalhostMetrics {
    listeners: IntGaugeVec,
    failures: IntCounterVec,
    connections: IntCounterVec,
    open: IntGaugeVec,
}

/// One more, as long as it is there.
#[derive(Debug)]
pub struct Counted(IntGauge);

impl Counted {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl LocalhostMetrics {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        Ok(Self {
            listeners: make.int_gauges(
                "kubeproxy_nftables_localhost_nodeport_listeners",
                "Localhost node ports that are listened on",
                &[FAMILY],
            )?,
            failures: make.int_counters(
                "kubeproxy_nftables_localhost_nodeport_listener_creation_failures_total",
                "Attempts to listen on a localhost node port that failed",
                &[FAMILY],
            )?,
            connections: make.int_counters(
                "kubeproxyrs_localhost_connections_total",
                "Connections to localhost node ports, by whether an endpoint took them",
                &[FAMILY, "connected"],
            )?,
            open: make.int_gauges(
                "kubeproxyrs_localhost_open_connections",
                "Connections to localhost node ports that are open",
                &[FAMILY],
            )?,
        })
    }

    /// The family has a proxy from here on.
    pub fn begin(&self, family: Family) {
        let family = &[family.label()];
        self.listeners.with_label_values(family).set(0);
        self.open.with_label_values(family).set(0);
    }

    /// A port is listened on.
    pub fn listening(&self, family: Family) -> Counted {
        Counted::new(self.listeners.with_label_values(&[family.label()]))
    }

    /// A port could not be listened on.
    pub fn failed_to_listen(&self, family: Family) {
        self.failures.with_label_values(&[family.label()]).inc();
    }

    /// A client came, and was connected to an endpoint or not.
    pub fn connection(&self, family: Family, connected: bool) {
        let labels = &[family.label(), if connected { "true" } else { "false" }];
        self.connections.with_label_values(labels).inc();
    }

    /// A connection is open.
    pub fn open(&self, family: Family) -> Counted {
        Counted::new(self.open.with_label_values(&[family.label()]))
    }
}
