//! From the configuration to what the daemon works with: addresses are addresses here, and the
//! mode has chosen among the places of the file.

mod checks;
mod notices;

pub use checks::{IpChecks, check_ips, check_node_ports};
pub use notices::{mode_notice, notices};

use crate::addresses;
pub use crate::addresses::NodeportAddress;
use crate::config::features::{ALLOW_SERVICE_EXTERNAL_IPS, FeatureGates, LOCALHOST_NODE_PORTS};
use crate::config::{
    KubeProxyConfiguration, KubeProxyConntrackConfiguration, MODE_IPTABLES, MODE_IPVS,
    MODE_NFTABLES, parse_cidr, parse_ip,
};
use crate::options::{Complete, Options};
use anyhow::{Context, bail, ensure};
use ipnet::IpNet;
use rules::{Config, Counters};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// All that the daemon is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node's name, lower case.
    pub node_name: Arc<str>,
    /// What decides what the rules are.
    pub rules: RuleSettings,
    /// Where objects come from.
    pub source: Source,
    /// Where `/healthz` and `/livez` answer; nowhere with `--healthz-port=0`.
    pub healthz_bind_address: Option<SocketAddr>,
    /// Where `/metrics` and `/proxyMode` answer.
    pub metrics_bind_address: SocketAddr,
    /// Exit if one of these two addresses cannot be bound.
    pub bind_address_hard_fail: bool,
    /// Serve profiles.
    pub profiling: bool,
    /// How long after a failed sync it is tried again; twice this is the limit of health.
    pub sync_period: Duration,
    /// The shortest time between two syncs.
    pub min_sync_period: Duration,
    /// What single Services get, as metrics.
    pub service_metrics: ServiceMetrics,
    /// What the kernel's connection tracking is set to.
    pub conntrack: KubeProxyConntrackConfiguration,
    /// How eagerly the kernel ends this process.
    pub oom_score_adj: Option<i32>,
    /// Set up and exit.
    pub init_only: bool,
    /// The mode was not given.
    pub mode_is_default: bool,
    /// The whole configuration, for `/configz`.
    pub config: Arc<KubeProxyConfiguration>,
    /// The feature gates.
    pub gates: FeatureGates,
    /// Every flag with its value, for `/flagz`.
    pub flags: Arc<[(&'static str, String)]>,
}

/// Metrics of single Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceMetrics {
    /// There are some.
    pub enabled: bool,
    /// For how many Service ports at the most.
    pub limit: usize,
}

/// Where objects come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// A directory of manifests, instead of an API server.
    pub manifests: Option<PathBuf>,
    /// Credentials and address of the API server.
    pub kubeconfig: Option<PathBuf>,
    /// The API server's URL.
    pub master: Option<String>,
}

/// What decides what the rules are.
#[derive(Clone, Debug)]
pub struct RuleSettings {
    /// The node's primary address, if not unspecified.
    pub bind_address: IpAddr,
    /// The pods' ranges.
    pub cluster_cidrs: Vec<IpNet>,
    /// How packets from this node's pods are recognised.
    pub detect_local_mode: DetectLocalMode,
    /// The bridge that pods are on.
    pub bridge_interface: String,
    /// What the names of pods' interfaces begin with.
    pub interface_name_prefix: String,
    /// Masquerade everything that goes to a cluster IP.
    pub masquerade_all: bool,
    /// The mark of packets to masquerade.
    pub masquerade_mark: u32,
    /// The addresses that answer node ports; none stands for all.
    pub nodeport_addresses: Vec<NodeportAddress>,
    /// Services' external IPs get rules.
    pub external_ips: bool,
    /// The rules count the connections of each frontend.
    pub count_services: bool,
    /// Node ports answer on loopback addresses of IPv4, which are node-port addresses: mode iptables
    /// alone.
    pub localhost_nodeports: bool,
    /// Node ports on loopback addresses are served, or else refused and counted: feature gate
    /// `KubeProxyNFTablesLocalhostNodePorts` in mode nftables.
    pub localhost_gate: bool,
    /// Packets that conntrack calls invalid are not forwarded: mode iptables alone.
    pub drop_invalid: bool,
    /// What the kernel has counters for, as the daemon finds it in mode iptables.
    pub counters: Counters,
}

/// `detectLocalMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DetectLocalMode {
    /// The source is in `clusterCIDR`.
    #[default]
    ClusterCidr,
    /// The source is in the Node's `spec.podCIDRs`.
    NodeCidr,
    /// The packet came in by `detectLocal.bridgeInterface`.
    BridgeInterface,
    /// The packet came in by an interface whose name begins with
    /// `detectLocal.interfaceNamePrefix`.
    InterfaceNamePrefix,
}

impl Settings {
    /// What flags and file come to, once they are valid.
    ///
    /// # Errors
    /// The mode is ipvs, sources exclude each other, or the node has no name.
    pub fn new(options: &Options, complete: Complete) -> anyhow::Result<Self> {
        let config = complete.config;
        if config.mode == MODE_IPVS {
            bail!(
                "KubeProxyConfiguration.Mode.ProxyMode: \"ipvs\" is not supported by kube-proxy-rs; \
                 use iptables, whose rules come closest, or nftables, which is faster at every size"
            );
        }
        let per_mode = config.per_mode();
        Ok(Self {
            node_name: node_name(&config.hostname_override)?,
            rules: RuleSettings {
                count_services: options.service_metrics,
                ..RuleSettings::new(&config, &complete.gates)?
            },
            service_metrics: ServiceMetrics {
                enabled: options.service_metrics,
                limit: usize::try_from(options.service_metrics_limit)
                    .ok()
                    .filter(|limit| *limit > 0)
                    .with_context(|| {
                        format!(
                            "--service-metrics-limit {}: it is a number of Service ports, 1 or more",
                            options.service_metrics_limit
                        )
                    })?,
            },
            source: Source::new(options, &config)?,
            healthz_bind_address: match config.healthz_bind_address.as_str() {
                "" => None,
                address => Some(socket_address("HealthzBindAddress", address)?),
            },
            metrics_bind_address: socket_address(
                "MetricsBindAddress",
                &config.metrics_bind_address,
            )?,
            bind_address_hard_fail: config.bind_address_hard_fail,
            profiling: config.enable_profiling,
            sync_period: per_mode.sync_period.to_std(),
            min_sync_period: per_mode.min_sync_period.to_std(),
            conntrack: config.conntrack.clone(),
            oom_score_adj: config.oom_score_adj,
            init_only: options.init_only,
            mode_is_default: complete.mode_is_default,
            gates: complete.gates,
            flags: complete.flags.into(),
            config: Arc::new(config),
        })
    }

    /// What these flags come to.
    ///
    /// # Errors
    /// They are no flags, or the configuration is not valid.
    pub fn from_flags(words: &[&str]) -> anyhow::Result<Self> {
        let options = Options::parse(words)?;
        let complete = options.clone().complete("")?;
        crate::config::validate(&complete.config, &complete.gates)?;
        Self::new(&options, complete)
    }
}

impl Source {
    fn new(options: &Options, config: &KubeProxyConfiguration) -> anyhow::Result<Self> {
        let source = Self {
            manifests: path(&options.manifests),
            kubeconfig: path(&config.client_connection.kubeconfig),
            master: (!options.master.is_empty()).then(|| options.master.clone()),
        };
        let api = source.master.is_some() || source.kubeconfig.is_some();
        ensure!(
            source.manifests.is_none() || !api,
            "--manifests is instead of an API server: leave out clientConnection.kubeconfig, \
             --kubeconfig and --master"
        );
        Ok(source)
    }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

/// The text was validated, so an error here names a mistake of this program.
fn socket_address(field: &str, text: &str) -> anyhow::Result<SocketAddr> {
    let parts = crate::config::split_host_port(text);
    let address =
        parts.and_then(|(host, port)| Some(SocketAddr::new(parse_ip(host)?, port.parse().ok()?)));
    address.with_context(|| format!("KubeProxyConfiguration.{field}: {text:?} is not IP:port"))
}

impl RuleSettings {
    /// The rules' part of a configuration.
    ///
    /// # Errors
    /// It was not validated.
    pub fn new(config: &KubeProxyConfiguration, gates: &FeatureGates) -> anyhow::Result<Self> {
        let detect_local_mode = match config.detect_local_mode.as_str() {
            "NodeCIDR" => DetectLocalMode::NodeCidr,
            "BridgeInterface" => DetectLocalMode::BridgeInterface,
            "InterfaceNamePrefix" => DetectLocalMode::InterfaceNamePrefix,
            _ => DetectLocalMode::ClusterCidr,
        };
        let per_mode = config.per_mode();
        let bit = if config.mode == MODE_NFTABLES {
            config.nftables.masquerade_bit
        } else {
            config.iptables.masquerade_bit
        };
        let addresses = config.node_port_addresses.iter().flatten();
        let nodeport_addresses: Vec<NodeportAddress> = addresses
            .filter_map(|text| nodeport_address(text))
            .collect();
        let iptables = config.mode == MODE_IPTABLES;
        let bind_address = parse_ip(&config.bind_address).with_context(|| {
            format!(
                "KubeProxyConfiguration.BindAddress: {:?}",
                config.bind_address
            )
        })?;
        Ok(Self {
            bind_address,
            // Of another mode they need not be ranges.
            cluster_cidrs: match detect_local_mode {
                DetectLocalMode::ClusterCidr => ranges(&config.cluster_cidrs),
                _ => Vec::new(),
            },
            detect_local_mode,
            bridge_interface: config.detect_local.bridge_interface.clone(),
            interface_name_prefix: config.detect_local.interface_name_prefix.clone(),
            masquerade_all: per_mode.masquerade_all,
            masquerade_mark: bit.map_or(Config::DEFAULT_MASQUERADE_MARK, |bit| 1 << bit),
            external_ips: gates.enabled(ALLOW_SERVICE_EXTERNAL_IPS),
            count_services: false,
            localhost_nodeports: iptables
                && config.iptables.localhost_node_ports != Some(false)
                && addresses::hold_ipv4_loopback(&nodeport_addresses, bind_address),
            nodeport_addresses,
            localhost_gate: config.mode == MODE_NFTABLES && gates.enabled(LOCALHOST_NODE_PORTS),
            // The daemon reads the sysctl, after it has set it.
            drop_invalid: iptables && !config.conntrack.tcp_be_liberal,
            counters: Counters::default(),
        })
    }
}

fn ranges(texts: &[String]) -> Vec<IpNet> {
    texts.iter().filter_map(|text| parse_cidr(text)).collect()
}

fn nodeport_address(text: &str) -> Option<NodeportAddress> {
    match text {
        "primary" => Some(NodeportAddress::Primary),
        "localhost" => Some(NodeportAddress::Localhost),
        "all" => Some(NodeportAddress::All),
        range => parse_cidr(range).map(NodeportAddress::Range),
    }
}

/// The override or the host's own name, trimmed and lower case, as the kubelet registers it.
fn node_name(hostname_override: &str) -> anyhow::Result<Arc<str>> {
    let name = if hostname_override.is_empty() {
        gethostname::gethostname().to_string_lossy().into_owned()
    } else {
        hostname_override.to_owned()
    };
    let name = name.trim().to_lowercase();
    ensure!(
        !name.is_empty(),
        "KubeProxyConfiguration.HostnameOverride: empty hostname is invalid"
    );
    Ok(name.into())
}
