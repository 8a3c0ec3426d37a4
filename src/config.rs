//! KubeProxyConfiguration v1alpha1: the file behind `--config`, which flags fill as well
//! (docs/reference.md#configuration).
//!
//! Decoding, defaults and validation are functions of their input alone. What the daemon works
//! with is made from the result by [`crate::settings`].

mod decode;
mod defaults;
mod duration;
mod encode;
pub mod features;
mod net;
mod quantity;
mod tree;
mod types;
mod validate;
mod watch;

#[cfg(test)]
mod tests;

pub use decode::{Decoded, decode};
pub use defaults::{append_port, set_defaults, set_mode_defaults};
pub use duration::{GoDuration, TimeOrMetaDuration};
pub use net::{parse_cidr, parse_ip, split_host_port};
pub use quantity::Quantity;
pub use types::{
    ClientConnectionConfiguration, DetectLocalConfiguration, FormatOptions, KubeProxyConfiguration,
    KubeProxyConntrackConfiguration, KubeProxyIPTablesConfiguration, KubeProxyIPVSConfiguration,
    KubeProxyNFTablesConfiguration, KubeProxyWinkernelConfiguration, LoggingConfiguration,
    OutputRoutingOptions, VModuleItem,
};
pub use validate::{FieldError, FieldErrors, validate, validate_logging};
pub use watch::ConfigFile;

/// `apiVersion` of the file.
pub const API_VERSION: &str = "kubeproxy.config.k8s.io/v1alpha1";
/// `kind` of the file.
pub const KIND: &str = "KubeProxyConfiguration";

/// `mode: nftables`.
pub const MODE_NFTABLES: &str = "nftables";
/// `mode: iptables`, which is also what an empty mode means.
pub const MODE_IPTABLES: &str = "iptables";
/// `mode: ipvs`.
pub const MODE_IPVS: &str = "ipvs";

/// Settings that every mode has at a place of its own in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerMode {
    /// `syncPeriod`.
    pub sync_period: GoDuration,
    /// `minSyncPeriod`.
    pub min_sync_period: GoDuration,
    /// `masqueradeAll`, for which ipvs has the place of iptables.
    pub masquerade_all: bool,
}

impl KubeProxyConfiguration {
    /// The settings at the place that the mode chooses.
    pub fn per_mode(&self) -> PerMode {
        let (sync_period, min_sync_period) = match self.mode.as_str() {
            MODE_IPVS => (self.ipvs.sync_period, self.ipvs.min_sync_period),
            MODE_NFTABLES => (self.nftables.sync_period, self.nftables.min_sync_period),
            _ => (self.iptables.sync_period, self.iptables.min_sync_period),
        };
        PerMode {
            sync_period,
            min_sync_period,
            masquerade_all: if self.mode == MODE_NFTABLES {
                self.nftables.masquerade_all
            } else {
                self.iptables.masquerade_all
            },
        }
    }

    /// Puts them there, and nothing at the places that the mode does not choose, which is what
    /// upstream writes and serves.
    pub fn set_per_mode(&mut self, settings: PerMode) {
        let none = GoDuration::default();
        let places = [
            (
                MODE_IPTABLES,
                &mut self.iptables.sync_period,
                &mut self.iptables.min_sync_period,
            ),
            (
                MODE_IPVS,
                &mut self.ipvs.sync_period,
                &mut self.ipvs.min_sync_period,
            ),
            (
                MODE_NFTABLES,
                &mut self.nftables.sync_period,
                &mut self.nftables.min_sync_period,
            ),
        ];
        let chosen = match self.mode.as_str() {
            MODE_IPVS => MODE_IPVS,
            MODE_NFTABLES => MODE_NFTABLES,
            _ => MODE_IPTABLES,
        };
        for (mode, sync_period, min_sync_period) in places {
            let here = mode == chosen;
            *sync_period = if here { settings.sync_period } else { none };
            *min_sync_period = if here { settings.min_sync_period } else { none };
        }
        let nftables = chosen == MODE_NFTABLES;
        self.nftables.masquerade_all = nftables && settings.masquerade_all;
        self.iptables.masquerade_all = !nftables && settings.masquerade_all;
    }
}
