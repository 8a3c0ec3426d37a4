//! What the process tells about itself on the metrics port: its configuration,
//! its flags, its version.

use crate::config::{
    GoDuration, KubeProxyConfiguration, MODE_NFTABLES, set_defaults, set_mode_defaults,
};
use crate::options::{DaemonOptions, DetectLocalMode, NodeportAddress};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The Kubernetes release whose kube-proxy this one stands in for.
pub const COMPATIBLE: &str = "1.37";

/// Labels of `kubernetes_build_info`, in the order of their names. The version
/// is Kubernetes' own as far as tools compare it; what follows the `+` tells
/// who built it.
pub const BUILD: [(&str, &str); 9] = [
    ("build_date", ""),
    ("compiler", "rustc"),
    ("git_commit", ""),
    ("git_tree_state", ""),
    (
        "git_version",
        concat!("v1.37.0+kube-proxy-rs.", env!("CARGO_PKG_VERSION")),
    ),
    ("go_version", ""),
    ("major", "1"),
    ("minor", "37"),
    ("platform", PLATFORM),
];

/// As Go names it.
pub const PLATFORM: &str = if cfg!(target_arch = "aarch64") {
    "linux/arm64"
} else {
    "linux/amd64"
};

/// Feature gates that this program knows: name, stage, and whether it is on
/// unless `--feature-gates` says otherwise (reference: section 0).
pub const FEATURES: [(&str, &str, bool); 7] = [
    ("AllowServiceExternalIPs", "", true),
    ("ComponentFlagz", "BETA", true),
    ("ComponentStatusz", "BETA", true),
    ("MultiCIDRServiceAllocator", "", true),
    ("NFTablesProxyMode", "", true),
    ("PreferSameTrafficDistribution", "", true),
    ("WatchListClient", "BETA", true),
];

/// What the servers show; set once at the start.
#[derive(Clone, Debug)]
pub struct About {
    /// The `KubeProxyConfiguration`, as JSON.
    pub config: Arc<str>,
    /// Flags and their values, as upstream prints them.
    pub flags: Arc<BTreeMap<String, String>>,
    /// The mode that runs.
    pub mode: &'static str,
    /// Whether `/debug` is there.
    pub profiling: bool,
    /// When this process began.
    pub started: Timestamp,
}

impl About {
    /// With the configuration that is in force.
    pub fn new(config: &KubeProxyConfiguration, flags: BTreeMap<String, String>) -> Self {
        Self {
            config: config.to_json().into(),
            flags: Arc::new(flags),
            mode: MODE_NFTABLES,
            profiling: config.enable_profiling,
            started: Timestamp::now(),
        }
    }

    /// What the flags say; all that is no flag yet has its default.
    pub fn of(options: &DaemonOptions, node_name: &str) -> Self {
        Self::new(&configuration(options, node_name), flags(options))
    }
}

fn configuration(options: &DaemonOptions, node_name: &str) -> KubeProxyConfiguration {
    let rules = &options.rules;
    let ranges = rules.cluster_cidr.iter();
    let mut config = KubeProxyConfiguration {
        mode: MODE_NFTABLES.to_owned(),
        hostname_override: node_name.to_owned(),
        bind_address: rules.bind_address.to_string(),
        healthz_bind_address: options.healthz_bind_address.to_string(),
        metrics_bind_address: options.metrics_bind_address.to_string(),
        bind_address_hard_fail: options.bind_address_hard_fail,
        detect_local_mode: detect_local(rules.detect_local_mode).to_owned(),
        cluster_cidrs: ranges.map(ToString::to_string).collect(),
        node_port_addresses: Some(nodeport_addresses(options)),
        ..KubeProxyConfiguration::default()
    };
    config.client_connection.kubeconfig = path(options.kubeconfig.as_deref());
    config.logging.verbosity = options.v.into();
    config.nftables.masquerade_all = rules.masquerade_all;
    config.nftables.sync_period = go_duration(options.sync_period);
    config.nftables.min_sync_period = go_duration(options.min_sync_period);
    config.detect_local.bridge_interface = rules.pod_bridge_interface.clone();
    config.detect_local.interface_name_prefix = rules.pod_interface_name_prefix.clone();
    set_defaults(&mut config);
    set_mode_defaults(&mut config);
    config
}

fn flags(options: &DaemonOptions) -> BTreeMap<String, String> {
    let rules = &options.rules;
    let hostname = rules.hostname_override.clone().unwrap_or_default();
    let pairs = [
        ("bind-address", rules.bind_address.to_string()),
        (
            "bind-address-hard-fail",
            options.bind_address_hard_fail.to_string(),
        ),
        ("cluster-cidr", comma(&rules.cluster_cidr)),
        (
            "detect-local-mode",
            detect_local(rules.detect_local_mode).to_owned(),
        ),
        (
            "healthz-bind-address",
            options.healthz_bind_address.to_string(),
        ),
        ("hostname-override", hostname),
        (
            "iptables-min-sync-period",
            go_duration(options.min_sync_period).to_string(),
        ),
        (
            "iptables-sync-period",
            go_duration(options.sync_period).to_string(),
        ),
        ("kubeconfig", path(options.kubeconfig.as_deref())),
        ("manifests", path(options.manifests.as_deref())),
        ("masquerade-all", rules.masquerade_all.to_string()),
        ("master", options.master.clone().unwrap_or_default()),
        (
            "metrics-bind-address",
            options.metrics_bind_address.to_string(),
        ),
        (
            "nodeport-addresses",
            format!("[{}]", nodeport_addresses(options).join(",")),
        ),
        ("pod-bridge-interface", rules.pod_bridge_interface.clone()),
        (
            "pod-interface-name-prefix",
            rules.pod_interface_name_prefix.clone(),
        ),
        ("proxy-mode", options.proxy_mode.clone()),
        ("v", options.v.to_string()),
    ];
    let owned = pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    owned.collect()
}

fn go_duration(duration: Duration) -> GoDuration {
    GoDuration::from_nanos(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

fn path(path: Option<&std::path::Path>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

fn comma(ranges: &[ipnet::IpNet]) -> String {
    let texts: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    texts.join(",")
}

fn detect_local(mode: DetectLocalMode) -> &'static str {
    match mode {
        DetectLocalMode::ClusterCidr => "ClusterCIDR",
        DetectLocalMode::NodeCidr => "NodeCIDR",
        DetectLocalMode::BridgeInterface => "BridgeInterface",
        DetectLocalMode::InterfaceNamePrefix => "InterfaceNamePrefix",
    }
}

fn nodeport_addresses(options: &DaemonOptions) -> Vec<String> {
    let addresses = options.rules.nodeport_addresses.iter();
    addresses
        .map(|address| match address {
            NodeportAddress::Primary => "primary".to_owned(),
            NodeportAddress::Localhost => "localhost".to_owned(),
            NodeportAddress::All => "all".to_owned(),
            NodeportAddress::Range(range) => range.to_string(),
        })
        .collect()
}
