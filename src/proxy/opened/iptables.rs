//! Mode iptables.

use super::{Opened, follow};
use crate::mode::Mode;
use crate::netlink::Iptables;
use crate::settings::Settings;
use rules::iptables::IptablesBackend;
use tokio::sync::mpsc;

impl Opened<IptablesBackend<Iptables>> {
    /// Inside a runtime.
    pub(in crate::proxy) fn iptables(mut kernel: Iptables, settings: &Settings) -> Self {
        if settings.service_metrics.enabled {
            tracing::warn!(
                "--service-metrics: rules of mode iptables count no connections of Services, so \
                 there are no metrics of single Services; mode nftables has them"
            );
        }
        // Nobody counts, so nobody asks.
        let (_, questions) = mpsc::channel(1);
        Self {
            mode: Mode::Iptables,
            questions,
            drift: follow(kernel.follow()),
            kernel,
        }
    }
}
