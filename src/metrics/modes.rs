//! What is measured of one kind of rules alone.

use super::FAMILY;
use super::counts::CountMetrics;
use super::localhost::LocalhostMetrics;
use super::maker::Maker;
use crate::mode::Mode;
use prometheus::{IntCounterVec, IntGaugeVec};
use rules::RuleLines;
use rules::iptables::rule::Table;
use rules::model::Family;

/// The metrics of the mode that serves; the others are not there.
pub(super) enum ModeMetrics {
    Nftables(NftablesMetrics),
    Iptables(IptablesMetrics),
}

pub(super) struct NftablesMetrics {
    failures: IntCounterVec,
    counts: CountMetrics,
    localhost: LocalhostMetrics,
}

pub(super) struct IptablesMetrics {
    failures: IntCounterVec,
    partial_failures: IntCounterVec,
    /// All rules, and those of the last sync.
    total: IntGaugeVec,
    last: IntGaugeVec,
}

impl ModeMetrics {
    #[cfg_attr(
        not(feature = "node"),
        expect(
            unused_variables,
            reason = "only on a node there are counters of the kernel"
        )
    )]
    pub(super) fn new(make: &Maker, mode: Mode, accounted: bool) -> prometheus::Result<Self> {
        #[cfg(feature = "node")]
        if accounted {
            super::accounted::register(make)?;
        }
        Ok(match mode {
            Mode::Nftables => Self::Nftables(NftablesMetrics {
                failures: make.int_counters(
                    "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
                    "Transactions that the kernel refused",
                    &[FAMILY],
                )?,
                counts: CountMetrics::new(make)?,
                localhost: LocalhostMetrics::new(make)?,
            }),
            Mode::Iptables => Self::Iptables(IptablesMetrics::new(make)?),
        })
    }

    pub(super) fn counts(&self) -> Option<&CountMetrics> {
        match self {
            Self::Nftables(metrics) => Some(&metrics.counts),
            Self::Iptables(_) => None,
        }
    }

    pub(super) fn localhost(&self) -> Option<&LocalhostMetrics> {
        match self {
            Self::Nftables(metrics) => Some(&metrics.localhost),
            Self::Iptables(_) => None,
        }
    }

    /// A transaction was refused, which was to replace all rules or not.
    pub(super) fn failed(&self, family: Family, full: bool) {
        let family = &[family.label()];
        match self {
            Self::Nftables(metrics) => metrics.failures.with_label_values(family).inc(),
            Self::Iptables(metrics) => {
                metrics.failures.with_label_values(family).inc();
                if !full {
                    metrics.partial_failures.with_label_values(family).inc();
                }
            }
        }
    }

    /// So many rules are there.
    pub(super) fn lines(&self, family: Family, lines: RuleLines) {
        let Self::Iptables(metrics) = self else {
            return;
        };
        let family = family.label();
        // All of table filter is written each time, as upstream has it.
        for (table, total, last) in [
            (Table::Filter, lines.filter, lines.filter),
            (Table::Nat, lines.nat, lines.nat_written),
        ] {
            for (gauge, value) in [(&metrics.total, total), (&metrics.last, last)] {
                gauge
                    .with_label_values(&[table.name(), family])
                    .set(i64::try_from(value).unwrap_or(i64::MAX));
            }
        }
    }
}

impl IptablesMetrics {
    /// Upstream calls a transaction a restore.
    fn new(make: &Maker) -> prometheus::Result<Self> {
        Ok(Self {
            failures: make.int_counters(
                "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
                "Transactions that the kernel refused",
                &[FAMILY],
            )?,
            partial_failures: make.int_counters(
                "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total",
                "Transactions of changed Services that the kernel refused",
                &[FAMILY],
            )?,
            total: make.int_gauges(
                "kubeproxy_sync_proxy_rules_iptables_total",
                "Rules of kube-proxy in a table",
                &["table", FAMILY],
            )?,
            last: make.int_gauges(
                "kubeproxy_sync_proxy_rules_iptables_last",
                "Rules that the last sync wrote, as far as they are of Services that changed or of no Service",
                &["table", FAMILY],
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use std::time::Duration;

    /// The values that only one mode has.
    fn of_one_mode(mode: Mode) -> Vec<String> {
        let metrics = Metrics::of(mode, false).expect("metrics");
        for (family, full) in [(Family::V4, true), (Family::V6, false)] {
            metrics.sync_finished(family, full, Duration::from_millis(3), false);
        }
        let lines = RuleLines {
            filter: 22,
            nat: 348,
            nat_written: 12,
        };
        metrics.rule_lines(Family::V4, lines);
        let text = metrics.text();
        let own = text.lines().filter(|line| {
            !line.starts_with('#') && (line.contains("tables") || line.contains("_service_metrics"))
        });
        own.map(str::to_owned).collect()
    }

    #[test]
    fn each_mode_has_its_own() {
        assert_eq!(
            of_one_mode(Mode::Nftables),
            [
                "kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family=\"IPv4\"} 1",
                "kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family=\"IPv6\"} 1",
                "kubeproxyrs_service_metrics_left_out 0",
            ]
        );
        let name = |rest: &str| format!("kubeproxy_sync_proxy_rules_iptables_{rest}");
        assert_eq!(
            of_one_mode(Mode::Iptables),
            [
                name("last{ip_family=\"IPv4\",table=\"filter\"} 22"),
                name("last{ip_family=\"IPv4\",table=\"nat\"} 12"),
                name("partial_restore_failures_total{ip_family=\"IPv6\"} 1"),
                name("restore_failures_total{ip_family=\"IPv4\"} 1"),
                name("restore_failures_total{ip_family=\"IPv6\"} 1"),
                name("total{ip_family=\"IPv4\",table=\"filter\"} 22"),
                name("total{ip_family=\"IPv4\",table=\"nat\"} 348"),
            ]
        );
    }
}
