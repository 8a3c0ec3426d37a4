//! What holds where neither the file nor a flag says anything (docs/reference.md#configuration).

use super::{
    GoDuration, KubeProxyConfiguration, LoggingConfiguration, MODE_IPTABLES, MODE_NFTABLES,
    parse_ip,
};
use std::net::IpAddr;

const SYNC_PERIOD: GoDuration = GoDuration::from_secs(30);
const MIN_SYNC_PERIOD: GoDuration = GoDuration::from_secs(1);
const DAY: GoDuration = GoDuration::from_secs(24 * 60 * 60);
const HOUR: GoDuration = GoDuration::from_secs(60 * 60);

/// Fills in what a file leaves out, before the mode is known.
pub fn set_defaults(config: &mut KubeProxyConfiguration) {
    text(&mut config.bind_address, "0.0.0.0");
    addresses(config);
    config.oom_score_adj.get_or_insert(-999);
    duration(&mut config.iptables.sync_period, SYNC_PERIOD);
    duration(&mut config.iptables.min_sync_period, MIN_SYNC_PERIOD);
    duration(&mut config.ipvs.sync_period, SYNC_PERIOD);
    duration(&mut config.nftables.sync_period, SYNC_PERIOD);
    duration(&mut config.nftables.min_sync_period, MIN_SYNC_PERIOD);
    config.iptables.localhost_node_ports.get_or_insert(true);
    config.iptables.masquerade_bit.get_or_insert(14);
    config.nftables.masquerade_bit.get_or_insert(14);
    let conntrack = &mut config.conntrack;
    conntrack.max_per_core.get_or_insert(32 * 1024);
    conntrack.min.get_or_insert(128 * 1024);
    conntrack.tcp_established_timeout.get_or_insert(DAY);
    conntrack.tcp_close_wait_timeout.get_or_insert(HOUR);
    duration(
        &mut config.config_sync_period,
        GoDuration::from_secs(15 * 60),
    );
    let client = &mut config.client_connection;
    text(
        &mut client.content_type,
        "application/vnd.kubernetes.protobuf",
    );
    if client.qps == 0.0 {
        client.qps = 5.0;
    }
    if client.burst == 0 {
        client.burst = 10;
    }
    logging(&mut config.logging);
}

/// Fills in what depends on the mode, once flags and file are read.
pub fn set_mode_defaults(config: &mut KubeProxyConfiguration) {
    text(&mut config.mode, MODE_IPTABLES);
    let none = config
        .node_port_addresses
        .as_ref()
        .is_none_or(Vec::is_empty);
    if config.mode == MODE_NFTABLES && none {
        config.node_port_addresses = Some(vec!["primary".to_owned()]);
    }
    text(&mut config.detect_local_mode, "ClusterCIDR");
}

fn addresses(config: &mut KubeProxyConfiguration) {
    let four = matches!(parse_ip(&config.bind_address), Some(IpAddr::V4(_)));
    let (healthz, metrics) = if four {
        ("0.0.0.0:10256", "127.0.0.1:10249")
    } else {
        ("[::]:10256", "[::1]:10249")
    };
    text(&mut config.healthz_bind_address, healthz);
    text(&mut config.metrics_bind_address, metrics);
    config.healthz_bind_address = append_port(&config.healthz_bind_address, 10256);
    config.metrics_bind_address = append_port(&config.metrics_bind_address, 10249);
}

/// Adds the port to an IP address that stands alone.
pub fn append_port(address: &str, port: i32) -> String {
    match parse_ip(address) {
        None => address.to_owned(),
        Some(_) if address.contains(':') => format!("[{address}]:{port}"),
        Some(_) => format!("{address}:{port}"),
    }
}

fn logging(logging: &mut LoggingConfiguration) {
    text(&mut logging.format, "text");
    if logging.flush_frequency.duration == GoDuration::default() {
        logging.flush_frequency = GoDuration::from_secs(5).into();
    }
}

fn text(value: &mut String, default: &str) {
    if value.is_empty() {
        default.clone_into(value);
    }
}

fn duration(value: &mut GoDuration, default: GoDuration) {
    if *value == GoDuration::default() {
        *value = default;
    }
}
