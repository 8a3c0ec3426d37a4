//! Flags of the daemon alone.

use super::{Flag, Group, flag};
use crate::options::value;
use clap::ValueHint;

/// When the kernel's rules are brought in line.
pub static SYNCS: Group = Group {
    title: "Syncs",
    flags: &[
        flag!(
            "iptables-min-sync-period",
            iptables_min_sync_period,
            "The shortest time between two syncs, in mode nftables as well."
        ),
        flag!(
            "iptables-sync-period",
            iptables_sync_period,
            "How long after a failed sync it is tried again, in mode nftables as well."
        ),
    ],
};

/// The kernel's connection tracking.
pub static CONNECTION_TRACKING: Group = Group {
    title: "Connection tracking",
    flags: &[
        flag!(
            "conntrack-max-per-core",
            config.conntrack.max_per_core,
            "Connections to track for each CPU core; 0 leaves the kernel's limit alone."
        ),
        flag!(
            "conntrack-min",
            config.conntrack.min,
            "Connections to track at least, unless --conntrack-max-per-core is 0."
        ),
        flag!(
            "conntrack-tcp-be-liberal",
            config.conntrack.tcp_be_liberal,
            "Switch nf_conntrack_tcp_be_liberal on."
        ),
        flag!(
            "conntrack-tcp-timeout-close-wait",
            config.conntrack.tcp_close_wait_timeout,
            "How long TCP connections in CLOSE_WAIT are remembered; 0 leaves the kernel's value alone."
        ),
        flag!(
            "conntrack-tcp-timeout-established",
            config.conntrack.tcp_established_timeout,
            "How long idle TCP connections are remembered; 0 leaves the kernel's value alone."
        ),
        flag!(
            "conntrack-udp-timeout",
            config.conntrack.udp_timeout,
            "How long UDP flows without an answer are remembered; 0 leaves the kernel's value alone."
        ),
        flag!(
            "conntrack-udp-timeout-stream",
            config.conntrack.udp_stream_timeout,
            "How long UDP flows with answers are remembered; 0 leaves the kernel's value alone."
        ),
    ],
};

/// Health, metrics, profiles.
pub static HTTP_SERVERS: Group = Group {
    title: "HTTP servers",
    flags: &[
        flag!(
            "bind-address-hard-fail",
            config.bind_address_hard_fail,
            "Exit if the health or the metrics address cannot be bound, instead of trying again."
        ),
        flag!(
            "healthz-bind-address",
            config.healthz_bind_address,
            "Where /healthz and /livez answer.",
            "ipport",
            value::ip_port,
            value::set_address
        ),
        flag!(
            "metrics-bind-address",
            config.metrics_bind_address,
            "Where /metrics and /proxyMode answer.",
            "ipport",
            value::ip_port,
            value::set_address
        ),
        flag!(
            "profiling",
            config.enable_profiling,
            "Serve profiles beside the metrics."
        ),
        flag!(
            "show-hidden-metrics-for-version",
            config.show_hidden_metrics_for_version,
            "The previous minor version, to see the metrics that it showed last."
        ),
    ],
};

/// The process, and what it may do instead of running on.
pub static PROCESS: Group = Group {
    title: "Process",
    flags: &[
        flag!(
            "cleanup",
            cleanup,
            "Remove the rules of every mode of kube-proxy, and exit."
        ),
        flag!(
            "init-only",
            init_only,
            "Do what needs all of root's rights, and exit; no rules are written."
        ),
        flag!(
            "oom-score-adj",
            config.oom_score_adj,
            "How eagerly the kernel ends this process when memory is short, from -1000 to 1000."
        ),
        flag!(
            "version",
            version,
            "Print the version and exit; raw prints more."
        ),
        Flag {
            hint: ValueHint::FilePath,
            ..flag!(
                "write-config-to",
                write_config_to,
                "Write the configuration that results from flags and file to this file, and exit."
            )
        },
    ],
};

/// Flags of a mode that is not served.
pub static IPVS: Group = Group {
    title: "Mode ipvs, which is not served",
    flags: &[
        flag!(
            "ipvs-exclude-cidrs",
            config.ipvs.exclude_cidrs,
            "Of mode ipvs alone."
        ),
        flag!(
            "ipvs-min-sync-period",
            ipvs_min_sync_period,
            "Of mode ipvs alone."
        ),
        flag!(
            "ipvs-scheduler",
            config.ipvs.scheduler,
            "Of mode ipvs alone."
        ),
        flag!(
            "ipvs-strict-arp",
            config.ipvs.strict_arp,
            "Of mode ipvs alone."
        ),
        flag!("ipvs-sync-period", ipvs_sync_period, "Of mode ipvs alone."),
        flag!(
            "ipvs-tcp-timeout",
            config.ipvs.tcp_timeout,
            "Of mode ipvs alone."
        ),
        flag!(
            "ipvs-tcpfin-timeout",
            config.ipvs.tcp_fin_timeout,
            "Of mode ipvs alone."
        ),
        flag!(
            "ipvs-udp-timeout",
            config.ipvs.udp_timeout,
            "Of mode ipvs alone."
        ),
    ],
};

/// Flags that upstream's help leaves out.
pub static DEPRECATED: Group = Group {
    title: "Deprecated",
    flags: &[
        Flag {
            instead: Some("--healthz-bind-address"),
            ..flag!(
                "healthz-port",
                healthz_port,
                "The port of /healthz; 0 switches it off."
            )
        },
        Flag {
            instead: Some("--metrics-bind-address"),
            ..flag!("metrics-port", metrics_port, "The port of /metrics.")
        },
    ],
};
