//! Every flag with what it sets. The order is that of `--help` and `/flagz`.

use super::Options;
use super::value::{FlagValue, set_ip, set_ip_port};

/// A flag.
pub(super) struct Flag {
    pub name: &'static str,
    pub short: Option<char>,
    /// What its value is called; empty for a bool, which may stand without one.
    pub kind: &'static str,
    pub help: &'static str,
    /// What to use instead of it.
    pub instead: Option<&'static str>,
    pub set: fn(&mut Options, &str) -> Result<(), String>,
    pub show: fn(&Options) -> String,
}

/// The kind of a field's type.
const fn kind<T: FlagValue>(_: fn(&Options) -> &T) -> &'static str {
    T::TYPE
}

macro_rules! flag {
    ($name:literal, $($field:ident).+, $help:literal) => {
        Flag {
            name: $name,
            short: None,
            kind: kind(|options| &options.$($field).+),
            help: $help,
            instead: None,
            set: |options, text| options.$($field).+.set(text),
            show: |options| options.$($field).+.show(),
        }
    };
}

pub(super) static FLAGS: &[Flag] = &[
    Flag {
        kind: "ip",
        set: |options, text| set_ip(&mut options.config.bind_address, text),
        ..flag!(
            "bind-address",
            config.bind_address,
            "The node's primary IP, instead of the one that the Node object tells; nothing is bound to it."
        )
    },
    flag!(
        "bind-address-hard-fail",
        config.bind_address_hard_fail,
        "Exit if the health or the metrics address cannot be bound, instead of trying again."
    ),
    flag!(
        "cleanup",
        cleanup,
        "Remove the rules of every mode of kube-proxy, and exit."
    ),
    flag!(
        "cluster-cidr",
        cluster_cidr,
        "The pods' address ranges, one of each IP family, separated by commas; for --detect-local-mode ClusterCIDR."
    ),
    flag!(
        "config",
        config_file,
        "The configuration file: a KubeProxyConfiguration of v1alpha1. Most flags count for nothing where it is given."
    ),
    flag!(
        "config-sync-period",
        config.config_sync_period,
        "How often upstream repeats what it knows of the cluster to itself; changes nothing here."
    ),
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
    flag!(
        "detect-local-mode",
        config.detect_local_mode,
        "How packets of this node's pods are recognised: ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix."
    ),
    flag!(
        "family",
        family,
        "The family to print, ipv4 or ipv6, instead of both."
    ),
    flag!(
        "feature-gates",
        config.feature_gates,
        "Gates and whether they are on, as Name=true; those of all Kubernetes components are known."
    ),
    Flag {
        kind: "ipport",
        set: |options, text| set_ip_port(&mut options.config.healthz_bind_address, text),
        ..flag!(
            "healthz-bind-address",
            config.healthz_bind_address,
            "Where /healthz and /livez answer."
        )
    },
    Flag {
        instead: Some("--healthz-bind-address"),
        ..flag!(
            "healthz-port",
            healthz_port,
            "The port of /healthz; 0 switches it off."
        )
    },
    flag!(
        "hostname-override",
        hostname_override,
        "This node's name in the cluster; the host's name by default."
    ),
    flag!(
        "init-only",
        init_only,
        "Do what needs all of root's rights, and exit; no rules are written."
    ),
    flag!(
        "iptables-localhost-nodeports",
        config.iptables.localhost_node_ports,
        "Serve node ports on 127.0.0.1; of mode iptables alone."
    ),
    flag!(
        "iptables-masquerade-bit",
        config.iptables.masquerade_bit,
        "The bit of packets' marks that asks for masquerade, from 0 to 31, in mode iptables."
    ),
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
    flag!(
        "kube-api-burst",
        config.client_connection.burst,
        "How many requests to the API server may exceed --kube-api-qps at once."
    ),
    flag!(
        "kube-api-content-type",
        config.client_connection.content_type,
        "The encoding of requests to the API server; JSON is used whatever it says."
    ),
    flag!(
        "kube-api-qps",
        config.client_connection.qps,
        "Requests to the API server in a second."
    ),
    flag!(
        "kubeconfig",
        config.client_connection.kubeconfig,
        "Credentials and address of the API server; the pod's service account by default."
    ),
    flag!(
        "log-flush-frequency",
        config.logging.flush_frequency.duration,
        "How long log lines may be kept back at most; none are here."
    ),
    flag!(
        "log-json-info-buffer-size",
        config.logging.options.json.info_buffer_size,
        "How much of the log's standard output may be kept back at most; none is here."
    ),
    flag!(
        "log-json-split-stream",
        config.logging.options.json.split_stream,
        "With --logging-format json, errors go to standard error and all else to standard output; needs the feature gate LoggingAlphaOptions."
    ),
    flag!(
        "log-text-info-buffer-size",
        config.logging.options.text.info_buffer_size,
        "How much of the log's standard output may be kept back at most; none is here."
    ),
    flag!(
        "log-text-split-stream",
        config.logging.options.text.split_stream,
        "With --logging-format text, errors go to standard error and all else to standard output; needs the feature gate LoggingAlphaOptions."
    ),
    flag!("logging-format", config.logging.format, "text or json."),
    flag!(
        "manifests",
        manifests,
        "Take objects from the YAML and JSON files of this directory instead of an API server, and follow changes to them."
    ),
    flag!(
        "masquerade-all",
        masquerade_all,
        "Masquerade everything that goes to a cluster IP."
    ),
    flag!(
        "master",
        master,
        "The API server's URL, instead of the one in the kubeconfig."
    ),
    Flag {
        kind: "ipport",
        set: |options, text| set_ip_port(&mut options.config.metrics_bind_address, text),
        ..flag!(
            "metrics-bind-address",
            config.metrics_bind_address,
            "Where /metrics and /proxyMode answer."
        )
    },
    Flag {
        instead: Some("--metrics-bind-address"),
        ..flag!("metrics-port", metrics_port, "The port of /metrics.")
    },
    flag!(
        "nodeport-addresses",
        config.node_port_addresses,
        "The addresses that answer node ports: ranges, or the words primary, localhost and all. By default primary in mode nftables, and all in others."
    ),
    flag!(
        "oom-score-adj",
        config.oom_score_adj,
        "How eagerly the kernel ends this process when memory is short, from -1000 to 1000."
    ),
    flag!(
        "pod-bridge-interface",
        config.detect_local.bridge_interface,
        "The bridge that pods are on, for --detect-local-mode BridgeInterface."
    ),
    flag!(
        "pod-interface-name-prefix",
        config.detect_local.interface_name_prefix,
        "What the names of pods' interfaces begin with, for --detect-local-mode InterfaceNamePrefix."
    ),
    flag!(
        "profiling",
        config.enable_profiling,
        "Serve profiles beside the metrics."
    ),
    flag!(
        "proxy-mode",
        config.mode,
        "nftables. iptables, which is also the default, is served by nftables as well."
    ),
    flag!(
        "show-hidden-metrics-for-version",
        config.show_hidden_metrics_for_version,
        "The previous minor version, to see the metrics that it showed last."
    ),
    Flag {
        short: Some('v'),
        ..flag!(
            "v",
            config.logging.verbosity,
            "How much to log: 0 for what matters, 2 for each sync, 4 for each event, 6 for what libraries say."
        )
    },
    flag!(
        "vmodule",
        config.logging.vmodule,
        "Other levels for some source files, as pattern=N; for the text format."
    ),
    flag!(
        "write-config-to",
        write_config_to,
        "Write the configuration that results from flags and file to this file, and exit."
    ),
];
