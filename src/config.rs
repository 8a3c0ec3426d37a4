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
mod schema;
mod tree;
mod validate;
mod watch;

#[cfg(test)]
mod tests;

pub use decode::{Decoded, decode};
pub use defaults::{append_port, set_defaults, set_mode_defaults};
pub use duration::GoDuration;
pub use net::{parse_cidr, parse_ip, split_host_port};
pub use quantity::Quantity;
pub use validate::{FieldError, FieldErrors, validate, validate_logging};
pub use watch::ConfigFile;

use std::collections::BTreeMap;

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

/// The file's fields, as they are written there.
///
/// Three of upstream's settings have one meaning and several places, of which the mode chooses
/// one: `masqueradeAll`, `syncPeriod` and `minSyncPeriod`. [`Self::per_mode`] knows
/// which.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KubeProxyConfiguration {
    /// `featureGates`.
    pub feature_gates: BTreeMap<String, bool>,
    /// `clientConnection`.
    pub client_connection: ClientConnectionConfiguration,
    /// `logging`.
    pub logging: LoggingConfiguration,
    /// `hostnameOverride`.
    pub hostname_override: String,
    /// `bindAddress`.
    pub bind_address: String,
    /// `healthzBindAddress`.
    pub healthz_bind_address: String,
    /// `metricsBindAddress`.
    pub metrics_bind_address: String,
    /// `bindAddressHardFail`.
    pub bind_address_hard_fail: bool,
    /// `enableProfiling`.
    pub enable_profiling: bool,
    /// `showHiddenMetricsForVersion`.
    pub show_hidden_metrics_for_version: String,
    /// `mode`.
    pub mode: String,
    /// `iptables`.
    pub iptables: KubeProxyIPTablesConfiguration,
    /// `ipvs`.
    pub ipvs: KubeProxyIPVSConfiguration,
    /// `nftables`.
    pub nftables: KubeProxyNFTablesConfiguration,
    /// `winkernel`.
    pub winkernel: KubeProxyWinkernelConfiguration,
    /// `detectLocalMode`.
    pub detect_local_mode: String,
    /// `detectLocal`.
    pub detect_local: DetectLocalConfiguration,
    /// `clusterCIDR`, at its commas.
    pub cluster_cidrs: Vec<String>,
    /// `nodePortAddresses`.
    pub node_port_addresses: Option<Vec<String>>,
    /// `oomScoreAdj`.
    pub oom_score_adj: Option<i32>,
    /// `conntrack`.
    pub conntrack: KubeProxyConntrackConfiguration,
    /// `configSyncPeriod`.
    pub config_sync_period: GoDuration,
    /// `portRange`.
    pub port_range: String,
    /// `windowsRunAsService`.
    pub windows_run_as_service: bool,
}

/// `clientConnection`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientConnectionConfiguration {
    /// `kubeconfig`.
    pub kubeconfig: String,
    /// `acceptContentTypes`.
    pub accept_content_types: String,
    /// `contentType`.
    pub content_type: String,
    /// `qps`.
    pub qps: f32,
    /// `burst`.
    pub burst: i32,
}

/// `logging`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoggingConfiguration {
    /// `format`.
    pub format: String,
    /// `flushFrequency`.
    pub flush_frequency: GoDuration,
    /// `flushFrequency` is written as a number of nanoseconds, as it was read.
    pub flush_frequency_is_number: bool,
    /// `verbosity`.
    pub verbosity: u32,
    /// `vmodule`.
    pub vmodule: Vec<VModuleItem>,
    /// `options`.
    pub options: FormatOptions,
}

/// One of `logging.vmodule`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VModuleItem {
    /// `filePattern`.
    pub file_pattern: String,
    /// `verbosity`.
    pub verbosity: u32,
}

/// `logging.options`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FormatOptions {
    /// `text`.
    pub text: OutputRoutingOptions,
    /// `json`.
    pub json: OutputRoutingOptions,
}

/// `logging.options.text` and `logging.options.json`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputRoutingOptions {
    /// `splitStream`.
    pub split_stream: bool,
    /// `infoBufferSize`.
    pub info_buffer_size: Quantity,
}

/// `iptables`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KubeProxyIPTablesConfiguration {
    /// `masqueradeBit`.
    pub masquerade_bit: Option<i32>,
    /// `masqueradeAll`.
    pub masquerade_all: bool,
    /// `localhostNodePorts`.
    pub localhost_node_ports: Option<bool>,
    /// `syncPeriod`.
    pub sync_period: GoDuration,
    /// `minSyncPeriod`.
    pub min_sync_period: GoDuration,
}

/// `ipvs`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KubeProxyIPVSConfiguration {
    /// `syncPeriod`.
    pub sync_period: GoDuration,
    /// `minSyncPeriod`.
    pub min_sync_period: GoDuration,
    /// `scheduler`.
    pub scheduler: String,
    /// `excludeCIDRs`.
    pub exclude_cidrs: Option<Vec<String>>,
    /// `strictARP`.
    pub strict_arp: bool,
    /// `tcpTimeout`.
    pub tcp_timeout: GoDuration,
    /// `tcpFinTimeout`.
    pub tcp_fin_timeout: GoDuration,
    /// `udpTimeout`.
    pub udp_timeout: GoDuration,
}

/// `nftables`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KubeProxyNFTablesConfiguration {
    /// `masqueradeBit`.
    pub masquerade_bit: Option<i32>,
    /// `masqueradeAll`.
    pub masquerade_all: bool,
    /// `syncPeriod`.
    pub sync_period: GoDuration,
    /// `minSyncPeriod`.
    pub min_sync_period: GoDuration,
}

/// `winkernel`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeProxyWinkernelConfiguration {
    /// `networkName`.
    pub network_name: String,
    /// `sourceVip`.
    pub source_vip: String,
    /// `enableDSR`.
    pub enable_dsr: bool,
    /// `rootHnsEndpointName`.
    pub root_hns_endpoint_name: String,
    /// `forwardHealthCheckVip`.
    pub forward_health_check_vip: bool,
}

/// `detectLocal`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetectLocalConfiguration {
    /// `bridgeInterface`.
    pub bridge_interface: String,
    /// `interfaceNamePrefix`.
    pub interface_name_prefix: String,
}

/// `conntrack`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeProxyConntrackConfiguration {
    /// `maxPerCore`.
    pub max_per_core: Option<i32>,
    /// `min`.
    pub min: Option<i32>,
    /// `tcpEstablishedTimeout`.
    pub tcp_established_timeout: Option<GoDuration>,
    /// `tcpCloseWaitTimeout`.
    pub tcp_close_wait_timeout: Option<GoDuration>,
    /// `tcpBeLiberal`.
    pub tcp_be_liberal: bool,
    /// `udpTimeout`.
    pub udp_timeout: GoDuration,
    /// `udpStreamTimeout`.
    pub udp_stream_timeout: GoDuration,
}

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
