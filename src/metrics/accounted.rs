//! What the rules of mode iptables count by counters of the kernel, read when somebody asks.

use super::maker::Maker;
use crate::netlink::accounting;
use prometheus::IntCounter;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use rules::iptables::{INVALID_DROPPED, LOCALHOST_ACCEPTED};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One counter. While the kernel does not have it, the metric is not there either.
#[derive(Clone, Debug)]
struct Accounted {
    name: &'static str,
    packets: IntCounter,
    /// That it is not there, which the log knows.
    missing: Arc<AtomicBool>,
}

/// Registers both of them.
pub(super) fn register(make: &Maker) -> prometheus::Result<()> {
    for (name, metric, help) in [
        (
            INVALID_DROPPED,
            "kubeproxy_iptables_ct_state_invalid_dropped_packets_total",
            "Packets that were not forwarded as conntrack calls them invalid",
        ),
        (
            LOCALHOST_ACCEPTED,
            "kubeproxy_iptables_localhost_nodeports_accepted_packets_total",
            "First packets of connections to node ports on loopback addresses",
        ),
    ] {
        make.own(Ok(Accounted {
            name,
            packets: IntCounter::with_opts(make.opts(metric, help))?,
            missing: Arc::default(),
        }))?;
    }
    Ok(())
}

impl Accounted {
    /// What the kernel has counted; `None` if it cannot be told, which is said once.
    fn read(&self) -> Option<u64> {
        let found = accounting::packets(&[self.name]);
        let why = match found.map(|counters| counters.get(self.name).copied()) {
            Ok(Some(packets)) => {
                self.missing.store(false, Ordering::Relaxed);
                return Some(packets);
            }
            Ok(None) => "it is not there".to_owned(),
            Err(error) => error.to_string(),
        };
        if !self.missing.swap(true, Ordering::Relaxed) {
            tracing::error!("reading the kernel's counter {}: {why}", self.name);
        }
        None
    }
}

impl Collector for Accounted {
    fn desc(&self) -> Vec<&Desc> {
        self.packets.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(packets) = self.read() else {
            return Vec::new();
        };
        self.packets.reset();
        self.packets.inc_by(packets);
        self.packets.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::mode::Mode;

    #[test]
    fn what_the_kernel_counts_is_read_at_each_scrape() {
        let namespace = e2e::Namespace::create("acct").expect("a namespace, which needs root");
        let metrics = Metrics::of(Mode::Iptables, true).expect("metrics");
        let scraped = || -> Vec<String> {
            let text = namespace.run(|| metrics.text()).expect("the namespace");
            let lines = text.lines();
            let values = lines.filter(|line| line.starts_with("kubeproxy_iptables_"));
            values.map(str::to_owned).collect()
        };
        assert_eq!(scraped(), Vec::<String>::new(), "there are no counters");
        e2e::nfacct::add(&namespace, INVALID_DROPPED).expect("a counter");
        assert_eq!(
            scraped(),
            ["kubeproxy_iptables_ct_state_invalid_dropped_packets_total 0"]
        );
        let none = Metrics::of(Mode::Iptables, false).expect("metrics");
        let text = namespace.run(|| none.text()).expect("the namespace");
        assert!(!text.contains("kubeproxy_iptables_"), "{text}");
    }
}
