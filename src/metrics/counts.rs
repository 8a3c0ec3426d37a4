//! What the rules counted, and what Services get.

use super::FAMILY;
use super::maker::Maker;
use prometheus::{GaugeVec, IntCounterVec, IntGauge, IntGaugeVec};
use rules::Config;
use rules::model::Family;
use rules::nft::ruleset::Counter;
use rules::series::{Got, ServicePort};

const SERVICE: &[&str] = &["namespace", "name", "port"];

/// A handle to these metrics; clones share them.
#[derive(Clone, Debug)]
pub struct CountMetrics {
    connections: IntCounterVec,
    refused: IntCounterVec,
    localhost_refused: IntCounterVec,
    service_connections: IntCounterVec,
    service_open: IntGaugeVec,
    service_spread: GaugeVec,
    left_out: IntGauge,
}

impl CountMetrics {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        Ok(Self {
            connections: make.int_counters(
                "kubeproxyrs_connections_total",
                "Connections that the rules sent to an endpoint",
                &[FAMILY],
            )?,
            refused: make.int_counters(
                "kubeproxyrs_refused_packets_total",
                "First packets of connections that the rules rejected or dropped, by reason",
                &[FAMILY, "reason"],
            )?,
            localhost_refused: make.int_counters(
                "kubeproxy_nftables_localhost_nodeport_rejected_packets_total",
                "Packets that were rejected on localhost node ports",
                &[FAMILY, "protocol"],
            )?,
            service_connections: make.int_counters(
                "kubeproxyrs_service_connections_total",
                "Connections to a Service port that this node sent to an endpoint",
                SERVICE,
            )?,
            service_open: make.int_gauges(
                "kubeproxyrs_service_open_connections",
                "Connections to a Service port by way of this node that are open",
                SERVICE,
            )?,
            service_spread: make.gauges(
                "kubeproxyrs_service_endpoint_spread",
                "The most open connections of an endpoint, divided by the mean over those that serve; 1 is even",
                SERVICE,
            )?,
            left_out: make.int_gauge(
                "kubeproxyrs_service_metrics_left_out",
                "Service ports with connections that have no metrics of their own, as there are too many",
            )?,
        })
    }

    /// From here on the family's counters are there, at zero.
    pub fn begin(&self, family: Family) {
        // Others are told once a table has them.
        let config = Config::new(family, "");
        for counter in rules::nft::counters(&config) {
            self.counted(family, counter, 0);
        }
    }

    /// So many packets more.
    pub fn counted(&self, family: Family, counter: Counter, packets: u64) {
        let family = family.label();
        let metric = match counter.reason() {
            None => self.connections.with_label_values(&[family]),
            Some(reason) => self.refused.with_label_values(&[family, reason]),
        };
        metric.inc_by(packets);
        if let Counter::LocalhostNodeport(protocol) = counter {
            self.localhost_refused
                .with_label_values(&[family, &protocol.nft().to_uppercase()])
                .inc_by(packets);
        }
    }

    /// What a Service port got.
    pub(crate) fn service(&self, port: &ServicePort, got: &Got) {
        let labels = labels(port);
        self.service_connections
            .with_label_values(&labels)
            .inc_by(got.new);
        let Some(open) = got.open else {
            return;
        };
        let open = i64::try_from(open).unwrap_or(i64::MAX);
        self.service_open.with_label_values(&labels).set(open);
        match got.spread {
            Some(spread) => self.service_spread.with_label_values(&labels).set(spread),
            // There may be none.
            None => drop(self.service_spread.remove_label_values(&labels)),
        }
    }

    /// A Service port is gone.
    pub(crate) fn forget(&self, port: &ServicePort) {
        let labels = labels(port);
        // Those that were never told are none.
        drop(self.service_connections.remove_label_values(&labels));
        drop(self.service_open.remove_label_values(&labels));
        drop(self.service_spread.remove_label_values(&labels));
    }

    /// So many Service ports have no metrics of their own.
    pub(crate) fn left_out(&self, ports: usize) {
        self.left_out.set(i64::try_from(ports).unwrap_or(i64::MAX));
    }
}

fn labels(port: &ServicePort) -> [&str; 3] {
    [&port.service.namespace, &port.service.name, &port.port]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use rules::model::ObjectName;

    fn port(name: &str) -> ServicePort {
        ServicePort {
            service: ObjectName::new("shop", name),
            port: "http".to_owned(),
        }
    }

    fn told() -> (Metrics, String) {
        let metrics = Metrics::new().expect("metrics");
        let counts = metrics.counts().expect("those of nftables");
        counts.begin(Family::V4);
        counts.counted(Family::V4, Counter::Connections, 7);
        counts.counted(Family::V4, Counter::SourceRange, 2);
        let got = |new, open, spread| Got { new, open, spread };
        counts.service(&port("web"), &got(5, Some(3), Some(1.5)));
        counts.service(&port("web"), &got(2, None, None));
        counts.service(&port("idle"), &got(0, Some(0), None));
        counts.service(&port("gone"), &got(1, Some(1), Some(1.0)));
        counts.forget(&port("gone"));
        counts.left_out(4);
        metrics.service_health(false, true);
        let text = metrics.text();
        (metrics, text)
    }

    #[test]
    fn counts_are_exposed() {
        let (_metrics, text) = told();
        let own = text.lines().filter(|line| {
            let name = line
                .trim_start_matches("# HELP ")
                .trim_start_matches("# TYPE ");
            let names = ["connections", "refused", "service_"];
            names
                .iter()
                .any(|part| name.starts_with(&format!("kubeproxyrs_{part}")))
        });
        insta::assert_snapshot!(own.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn alerts_and_dashboard_ask_for_what_there_is() {
        let (_metrics, text) = told();
        let asked = [
            include_str!("../../charts/kube-proxy-rs/files/alerts.yaml"),
            include_str!("../../charts/kube-proxy-rs/files/dashboard.json"),
        ];
        let words = asked.iter().flat_map(|text| {
            text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        });
        let counted = [
            "kubeproxyrs_connections",
            "kubeproxyrs_refused",
            "kubeproxyrs_service_",
        ];
        let mut found = 0;
        for word in words.filter(|word| counted.iter().any(|part| word.starts_with(part))) {
            assert!(text.contains(&format!("# TYPE {word} ")), "{word}");
            found += 1;
        }
        assert!(found > 8, "{found}");
    }
}
