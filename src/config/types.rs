//! The file's fields as upstream's API has them (staging/src/k8s.io/kube-proxy/config/v1alpha1 and
//! the sections that all components share), in the order of its JSON. Reading and writing are
//! derived; a field is written even if it has its zero value, unless its attribute says otherwise.

use super::{GoDuration, Quantity, TimeOrMetaDuration};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;
use std::collections::BTreeMap;
use std::ops::Not;

/// The file's fields, as they are written there.
///
/// Three of upstream's settings have one meaning and several places, of which the mode chooses
/// one: `masqueradeAll`, `syncPeriod` and `minSyncPeriod`. [`Self::per_mode`] knows
/// which.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KubeProxyConfiguration {
    /// `featureGates`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
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
    #[serde(
        rename = "clusterCIDR",
        deserialize_with = "split_at_commas",
        serialize_with = "join_by_commas"
    )]
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
    #[serde(skip_serializing_if = "Not::not")]
    pub windows_run_as_service: bool,
}

/// `clientConnection`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientConnectionConfiguration {
    /// `kubeconfig`.
    pub kubeconfig: String,
    /// `acceptContentTypes`.
    pub accept_content_types: String,
    /// `contentType`.
    pub content_type: String,
    /// `qps`.
    #[serde(serialize_with = "shortest")]
    pub qps: f32,
    /// `burst`.
    pub burst: i32,
}

/// `logging`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LoggingConfiguration {
    /// `format`.
    pub format: String,
    /// `flushFrequency`.
    pub flush_frequency: TimeOrMetaDuration,
    /// `verbosity`.
    pub verbosity: u32,
    /// `vmodule`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vmodule: Vec<VModuleItem>,
    /// `options`.
    pub options: FormatOptions,
}

/// One of `logging.vmodule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VModuleItem {
    /// `filePattern`.
    pub file_pattern: String,
    /// `verbosity`.
    pub verbosity: u32,
}

/// `logging.options`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FormatOptions {
    /// `text`.
    pub text: OutputRoutingOptions,
    /// `json`.
    pub json: OutputRoutingOptions,
}

/// `logging.options.text` and `logging.options.json`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OutputRoutingOptions {
    /// `splitStream`.
    #[serde(skip_serializing_if = "Not::not")]
    pub split_stream: bool,
    /// `infoBufferSize`.
    pub info_buffer_size: Quantity,
}

/// `iptables`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
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
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KubeProxyIPVSConfiguration {
    /// `syncPeriod`.
    pub sync_period: GoDuration,
    /// `minSyncPeriod`.
    pub min_sync_period: GoDuration,
    /// `scheduler`.
    pub scheduler: String,
    /// `excludeCIDRs`.
    #[serde(rename = "excludeCIDRs")]
    pub exclude_cidrs: Option<Vec<String>>,
    /// `strictARP`.
    #[serde(rename = "strictARP")]
    pub strict_arp: bool,
    /// `tcpTimeout`.
    pub tcp_timeout: GoDuration,
    /// `tcpFinTimeout`.
    pub tcp_fin_timeout: GoDuration,
    /// `udpTimeout`.
    pub udp_timeout: GoDuration,
}

/// `nftables`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KubeProxyWinkernelConfiguration {
    /// `networkName`.
    pub network_name: String,
    /// `sourceVip`.
    pub source_vip: String,
    /// `enableDSR`.
    #[serde(rename = "enableDSR")]
    pub enable_dsr: bool,
    /// `rootHnsEndpointName`.
    pub root_hns_endpoint_name: String,
    /// `forwardHealthCheckVip`.
    pub forward_health_check_vip: bool,
}

/// `detectLocal`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DetectLocalConfiguration {
    /// `bridgeInterface`.
    pub bridge_interface: String,
    /// `interfaceNamePrefix`.
    pub interface_name_prefix: String,
}

/// `conntrack`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
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

fn split_at_commas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parts = text.split(',').map(str::to_owned);
    Ok(parts.filter(|_| !text.is_empty()).collect())
}

fn join_by_commas<S: Serializer>(parts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&parts.join(","))
}

/// Go writes a float32 with as few digits as tell it from the next one, and 5 without a point.
fn shortest<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    let number: Option<Number> = value.to_string().parse().ok();
    number.serialize(serializer)
}
