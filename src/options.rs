//! The command line. Names and defaults are upstream's (reference: section 1),
//! so that a DaemonSet's arguments keep working.

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Keeps this node's nftables rules in line with the cluster's Services.
///
/// Without a subcommand it runs as the node's daemon.
#[derive(Clone, Debug, Parser)]
#[command(name = "kube-proxy", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do instead of running as the daemon.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The daemon's flags.
    #[command(flatten)]
    pub daemon: DaemonOptions,
}

/// Subcommands: each reads and prints, and touches nothing.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Print the ruleset that manifests lead to, as text that `nft -f` loads.
    Render(RenderOptions),
}

/// Flags of `kube-proxy render`.
#[derive(Clone, Debug, Args)]
pub struct RenderOptions {
    /// Print one family only.
    #[arg(long, value_enum)]
    pub family: Option<FamilyArg>,
    /// A directory with Services, EndpointSlices, Nodes and ServiceCIDRs, as YAML or JSON files.
    #[arg(long, value_name = "DIR")]
    pub manifests: PathBuf,
    /// The rules' own settings.
    #[command(flatten)]
    pub rules: RuleOptions,
}

/// `--family`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FamilyArg {
    /// `table ip kube-proxy`.
    Ipv4,
    /// `table ip6 kube-proxy`.
    Ipv6,
}

/// Flags that decide what the rules are.
#[derive(Clone, Debug, Args)]
pub struct RuleOptions {
    /// This node's name in the cluster; the host's name by default.
    #[arg(long, value_name = "NAME")]
    pub hostname_override: Option<String>,
    /// Overrides the node's primary IP; 0.0.0.0 and :: mean that the Node object tells it.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    pub bind_address: IpAddr,
    /// The pods' address range, one per IP family, separated by commas. What comes from elsewhere
    /// and goes to a cluster IP is masqueraded.
    #[arg(long, value_name = "CIDR[,CIDR]", value_delimiter = ',')]
    pub cluster_cidr: Vec<IpNet>,
    /// How packets from this node's pods are recognised.
    #[arg(long, value_name = "MODE", default_value = "ClusterCIDR", value_parser = detect_local_mode,
          hide_possible_values = true)]
    pub detect_local_mode: DetectLocalMode,
    /// The bridge that pods are on, for --detect-local-mode BridgeInterface.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub pod_bridge_interface: String,
    /// What the names of pods' interfaces begin with, for --detect-local-mode InterfaceNamePrefix.
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub pod_interface_name_prefix: String,
    /// Masquerade everything that goes to a cluster IP.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub masquerade_all: bool,
    /// The addresses that answer node ports: CIDRs, or one of primary, localhost, all.
    #[arg(
        long,
        value_name = "CIDR|KEYWORD",
        value_delimiter = ',',
        default_value = "primary"
    )]
    pub nodeport_addresses: Vec<NodeportAddress>,
}

/// `--detect-local-mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DetectLocalMode {
    /// The source is in `--cluster-cidr`.
    #[default]
    ClusterCidr,
    /// The source is in the Node's `spec.podCIDRs`.
    NodeCidr,
    /// The packet came in by `--pod-bridge-interface`.
    BridgeInterface,
    /// The packet came in by an interface whose name begins with
    /// `--pod-interface-name-prefix`.
    InterfaceNamePrefix,
}

fn detect_local_mode(text: &str) -> Result<DetectLocalMode, String> {
    match text {
        "" | "ClusterCIDR" => Ok(DetectLocalMode::ClusterCidr),
        "NodeCIDR" => Ok(DetectLocalMode::NodeCidr),
        "BridgeInterface" => Ok(DetectLocalMode::BridgeInterface),
        "InterfaceNamePrefix" => Ok(DetectLocalMode::InterfaceNamePrefix),
        _ => Err("allowed: ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix".to_owned()),
    }
}

/// One of `--nodeport-addresses`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeportAddress {
    /// The node's primary address of each family.
    Primary,
    /// Loopback addresses; nftables mode never answers node ports there.
    Localhost,
    /// Every local address.
    All,
    /// The local addresses in a range.
    Range(IpNet),
}

impl std::str::FromStr for NodeportAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "primary" => Ok(Self::Primary),
            "localhost" => Ok(Self::Localhost),
            "all" => Ok(Self::All),
            range => range
                .parse()
                .map(Self::Range)
                .map_err(|_| "is neither a CIDR nor primary, localhost or all".to_owned()),
        }
    }
}

/// Flags of the daemon.
#[derive(Clone, Debug, Args)]
pub struct DaemonOptions {
    /// Take objects from the YAML and JSON files of this directory instead of an API server, and
    /// follow changes to them.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["kubeconfig", "master"])]
    pub manifests: Option<PathBuf>,
    /// Credentials and address of the API server; the pod's service account by default.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The API server's URL; overrides the one in the kubeconfig.
    #[arg(long, value_name = "URL")]
    pub master: Option<String>,
    /// How to program the node. Only nftables is there yet.
    #[arg(long, value_name = "MODE", default_value = "", value_parser = proxy_mode)]
    pub proxy_mode: String,
    /// The rules' own settings.
    #[command(flatten)]
    pub rules: RuleOptions,
    /// Where /healthz and /livez answer.
    #[arg(long, value_name = "IP[:PORT]", default_value = "0.0.0.0:10256",
          value_parser = |text: &str| address(text, 10256))]
    pub healthz_bind_address: SocketAddr,
    /// Where /metrics and /proxyMode answer.
    #[arg(long, value_name = "IP[:PORT]", default_value = "127.0.0.1:10249",
          value_parser = |text: &str| address(text, 10249))]
    pub metrics_bind_address: SocketAddr,
    /// Exit if one of these two addresses cannot be bound, instead of trying again.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub bind_address_hard_fail: bool,
    /// How long after a failed sync it is tried again; twice this without a sync that is due
    /// counts as unhealthy.
    #[arg(long = "iptables-sync-period", visible_alias = "sync-period", value_name = "DURATION",
          default_value = "30s", value_parser = duration)]
    pub sync_period: Duration,
    /// The shortest time between two syncs.
    #[arg(long = "iptables-min-sync-period", visible_alias = "min-sync-period",
          value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub min_sync_period: Duration,
    /// How much to log: 0 for what matters, 2 for each sync, 4 for each event.
    #[arg(short, long = "v", value_name = "LEVEL", default_value_t = 0)]
    pub v: u8,
}

impl Cli {
    /// Reads the process's arguments; usage errors end the process as clap does, with exit code 1
    /// as upstream has it.
    pub fn from_args() -> Self {
        Self::try_parse_from(dashed(std::env::args_os())).unwrap_or_else(|error| {
            // Nothing is left to do if the terminal is gone.
            let _ = error.print();
            std::process::exit(i32::from(error.use_stderr()));
        })
    }
}

/// Upstream takes `_` for `-` in flag names.
fn dashed(args: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    args.map(|arg| match arg.to_str() {
        Some(text) if text.starts_with("--") => {
            let (name, value) = text
                .split_once('=')
                .map_or((text, None), |(n, v)| (n, Some(v)));
            let name = name.replace('_', "-");
            value.map_or_else(
                || name.clone().into(),
                |value| format!("{name}={value}").into(),
            )
        }
        _ => arg,
    })
}

fn proxy_mode(text: &str) -> Result<String, String> {
    match text {
        "" | "nftables" | "iptables" => Ok(text.to_owned()),
        "ipvs" => Err("ipvs is not supported; use nftables".to_owned()),
        _ => Err("allowed: nftables".to_owned()),
    }
}

/// An address with or without a port.
fn address(text: &str, port: u16) -> Result<SocketAddr, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err("port 0 is not allowed (1 to 65535)".to_owned()),
        Ok(address) => Ok(address),
        Err(_) => Err("is not IP or IP:PORT".to_owned()),
    }
}

/// A duration as Go writes it, such as `1m30s` or `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "is not a duration such as 30s, 1m30s or 500ms".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Cli, String> {
        let args = ["kube-proxy"].iter().chain(args).map(OsString::from);
        Cli::try_parse_from(dashed(args)).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_upstreams() {
        let daemon = parse(&[]).expect("no flag is needed").daemon;
        assert_eq!(daemon.healthz_bind_address.to_string(), "0.0.0.0:10256");
        assert_eq!(daemon.metrics_bind_address.to_string(), "127.0.0.1:10249");
        assert_eq!(daemon.sync_period, Duration::from_secs(30));
        assert_eq!(daemon.min_sync_period, Duration::from_secs(1));
        assert_eq!(daemon.rules.nodeport_addresses, [NodeportAddress::Primary]);
        assert!(!daemon.rules.masquerade_all);
    }

    #[test]
    fn upstreams_spellings_are_taken() {
        let daemon = parse(&[
            "--hostname_override=n1",
            "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48",
            "--masquerade-all",
            "--healthz-bind-address=127.0.0.1",
            "--metrics-bind-address=[::1]:9999",
            "--iptables-min-sync-period=1m0.5s",
            "--nodeport-addresses=10.0.0.0/8,localhost",
            "-v=4",
        ])
        .expect("all of them")
        .daemon;
        assert_eq!(daemon.rules.hostname_override.as_deref(), Some("n1"));
        assert_eq!(daemon.rules.cluster_cidr.len(), 2);
        assert!(daemon.rules.masquerade_all);
        assert_eq!(daemon.healthz_bind_address.to_string(), "127.0.0.1:10256");
        assert_eq!(daemon.metrics_bind_address.to_string(), "[::1]:9999");
        assert_eq!(daemon.min_sync_period, Duration::from_millis(60_500));
        assert_eq!(daemon.v, 4);
    }

    #[test]
    fn a_bad_value_is_named_with_its_flag() {
        for (arg, says) in [
            ("--cluster-cidr=10.0.0.0/33", "--cluster-cidr"),
            ("--proxy-mode=ipvs", "ipvs is not supported; use nftables"),
            ("--proxy-mode=userspace", "allowed: nftables"),
            ("--metrics-bind-address=host:1", "is not IP or IP:PORT"),
            ("--healthz-bind-address=0.0.0.0:0", "port 0 is not allowed"),
            ("--iptables-sync-period=soon", "is not a duration"),
            ("--nodeport-addresses=some", "neither a CIDR nor"),
            ("stray", "stray"),
        ] {
            let error = parse(&[arg]).expect_err(arg);
            assert!(error.contains(says), "{arg}: {error}");
        }
    }
}
