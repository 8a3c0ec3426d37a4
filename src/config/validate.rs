//! What the fields may hold. Messages begin with the path that upstream gives the field, which
//! is what its users search for.

mod local;
mod logging;

pub use logging::validate_logging;

use super::features::{FeatureGates, KUBE_PROXY_IPVS};
use super::{
    GoDuration, KubeProxyConfiguration, MODE_IPVS, MODE_NFTABLES, parse_cidr, parse_ip,
    split_host_port,
};
use crate::kubernetes;
use std::fmt;

/// A field, what it holds and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError(String);

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [one] => one.fmt(f),
            several => {
                let all: Vec<String> = several.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", all.join(", "))
            }
        }
    }
}

impl std::error::Error for FieldErrors {}

impl FieldErrors {
    fn invalid(&mut self, path: &str, value: impl fmt::Display, allowed: &str) {
        self.say(path, &format!("Invalid value: {value}: {allowed}"));
    }

    fn say(&mut self, path: &str, what: &str) {
        self.0.push(FieldError(format!("{path}: {what}")));
    }

    fn result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

const ROOT: &str = "KubeProxyConfiguration";

fn quoted(value: impl fmt::Display) -> String {
    format!("{:?}", value.to_string())
}

fn list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(quoted).collect();
    format!("[{}]", values.join(","))
}

/// Checks every field.
///
/// # Errors
/// Names each field that holds what it may not, and what it may.
pub fn validate(config: &KubeProxyConfiguration, gates: &FeatureGates) -> Result<(), FieldErrors> {
    let mut errors = FieldErrors::default();
    masquerade_bit(
        &mut errors,
        "KubeProxyIPTablesConfiguration",
        config.iptables.masquerade_bit,
    );
    match config.mode.as_str() {
        MODE_IPVS => ipvs(&mut errors, config),
        MODE_NFTABLES => masquerade_bit(
            &mut errors,
            "KubeProxyNFTablesConfiguration",
            config.nftables.masquerade_bit,
        ),
        _ => {}
    }
    linux(&mut errors, config);
    mode(&mut errors, &config.mode, gates);
    if config.client_connection.burst < 0 {
        let path = format!("{ROOT}.ClientConnection.Burst");
        errors.invalid(&path, config.client_connection.burst, NOT_BELOW_ZERO);
    }
    periods(&mut errors, config);
    if parse_ip(&config.bind_address).is_none() {
        errors.invalid(
            &format!("{ROOT}.BindAddress"),
            quoted(&config.bind_address),
            "not a valid textual representation of an IP address",
        );
    }
    if !config.healthz_bind_address.is_empty() {
        host_port(
            &mut errors,
            "HealthzBindAddress",
            &config.healthz_bind_address,
        );
    }
    host_port(
        &mut errors,
        "MetricsBindAddress",
        &config.metrics_bind_address,
    );
    node_ports(
        &mut errors,
        config.node_port_addresses.as_deref().unwrap_or_default(),
    );
    let shown = &config.show_hidden_metrics_for_version;
    let previous = kubernetes::previous_minor_version();
    if !shown.is_empty() && *shown != previous {
        let allowed = format!(
            "must be omitted or have the value '{previous}'; \
             only the previous minor version is allowed"
        );
        let path = format!("{ROOT}.ShowHiddenMetricsForVersion");
        errors.invalid(&path, quoted(shown), &allowed);
    }
    local::check(&mut errors, config);
    logging::check(
        &mut errors,
        &config.logging,
        gates,
        &format!("{ROOT}.logging"),
    );
    errors.result()
}

const NOT_BELOW_ZERO: &str = "must be greater than or equal to 0";

fn masquerade_bit(errors: &mut FieldErrors, section: &str, bit: Option<i32>) {
    if let Some(bit) = bit.filter(|bit| !(0..=31).contains(bit)) {
        let path = format!("{ROOT}.{section}.MasqueradeBit");
        errors.invalid(&path, bit, "must be within the range [0, 31]");
    }
}

fn not_negative(errors: &mut FieldErrors, path: &str, value: GoDuration) {
    if value < GoDuration::default() {
        errors.invalid(path, quoted(value), NOT_BELOW_ZERO);
    }
}

fn ipvs(errors: &mut FieldErrors, config: &KubeProxyConfiguration) {
    let path = format!("{ROOT}.KubeProxyIPVSConfiguration");
    let ipvs = &config.ipvs;
    not_negative(errors, &format!("{path}.TCPTimeout"), ipvs.tcp_timeout);
    not_negative(
        errors,
        &format!("{path}.TCPFinTimeout"),
        ipvs.tcp_fin_timeout,
    );
    not_negative(errors, &format!("{path}.UDPTimeout"), ipvs.udp_timeout);
    for (at, range) in ipvs.exclude_cidrs.iter().flatten().enumerate() {
        if parse_cidr(range).is_none() {
            let path = format!("{path}.ExcludeCidrs[{at}]");
            errors.invalid(&path, quoted(range), "must be a valid CIDR");
        }
    }
}

fn linux(errors: &mut FieldErrors, config: &KubeProxyConfiguration) {
    let linux = format!("{ROOT}.KubeProxyLinuxConfiguration");
    let path = format!("{linux}.KubeProxyConntrackConfiguration");
    let conntrack = &config.conntrack;
    for (name, value) in [
        ("MaxPerCore", conntrack.max_per_core),
        ("Min", conntrack.min),
    ] {
        if let Some(value) = value.filter(|value| *value < 0) {
            errors.invalid(&format!("{path}.{name}"), value, NOT_BELOW_ZERO);
        }
    }
    for (name, value) in [
        ("TCPEstablishedTimeout", conntrack.tcp_established_timeout),
        ("TCPCloseWaitTimeout", conntrack.tcp_close_wait_timeout),
        ("UDPTimeout", Some(conntrack.udp_timeout)),
        ("UDPStreamTimeout", Some(conntrack.udp_stream_timeout)),
    ] {
        not_negative(errors, &format!("{path}.{name}"), value.unwrap_or_default());
    }
    if let Some(score) = config
        .oom_score_adj
        .filter(|score| !(-1000..=1000).contains(score))
    {
        let path = format!("{linux}.OOMScoreAdj");
        errors.invalid(&path, score, "must be within the range [-1000, 1000]");
    }
}

fn mode(errors: &mut FieldErrors, mode: &str, gates: &FeatureGates) {
    let mut allowed = vec!["iptables", "nftables"];
    if gates.enabled(KUBE_PROXY_IPVS) {
        allowed.insert(1, MODE_IPVS);
    }
    if !mode.is_empty() && !allowed.contains(&mode) {
        let allowed = format!(
            "must be {} or blank (blank means the best-available proxy [currently iptables])",
            allowed.join(", ")
        );
        errors.invalid(&format!("{ROOT}.Mode.ProxyMode"), quoted(mode), &allowed);
    }
}

fn periods(errors: &mut FieldErrors, config: &KubeProxyConfiguration) {
    let zero = GoDuration::default();
    let per_mode = config.per_mode();
    let (sync, min) = (per_mode.sync_period, per_mode.min_sync_period);
    if config.config_sync_period <= zero {
        let path = format!("{ROOT}.ConfigSyncPeriod");
        errors.invalid(
            &path,
            quoted(config.config_sync_period),
            "must be greater than 0",
        );
    }
    let path = format!("{ROOT}.SyncPeriod");
    if sync <= zero {
        errors.invalid(&path, quoted(sync), "must be greater than 0");
    }
    let min_path = format!("{ROOT}.MinSyncPeriod");
    not_negative(errors, &min_path, min);
    if min > sync {
        let allowed = format!("must be greater than or equal to {min_path}");
        errors.invalid(&path, quoted(min), &allowed);
    }
}

fn host_port(errors: &mut FieldErrors, name: &str, address: &str) {
    let path = format!("{ROOT}.{name}");
    let Some((host, port)) = split_host_port(address) else {
        errors.invalid(&path, quoted(address), "must be IP:port");
        return;
    };
    if parse_ip(host).is_none() {
        errors.invalid(&path, quoted(host), "must be a valid IP");
    }
    if !port
        .parse::<u32>()
        .is_ok_and(|port| (1..=65535).contains(&port))
    {
        errors.invalid(&path, quoted(port), "must be a valid port");
    }
}

fn node_ports(errors: &mut FieldErrors, addresses: &[String]) {
    for (at, address) in addresses.iter().enumerate() {
        let path = format!("{ROOT}.NodePortAddresses[{at}]");
        let keyword = matches!(address.as_str(), "primary" | "localhost" | "all");
        if keyword && addresses[..at].contains(address) {
            errors.say(&path, &format!("Duplicate value: {address:?}"));
        }
        if !keyword && parse_cidr(address).is_none() {
            errors.invalid(
                &path,
                quoted(address),
                "must be a valid CIDR or one of the keywords 'primary', 'localhost', 'all'",
            );
        }
    }
}
