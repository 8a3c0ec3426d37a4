//! Flags of every command that plans rules.

use super::{Flag, Group, flag};
use crate::options::value;
use clap::ValueHint;

/// The configuration itself.
pub static CONFIGURATION: Group = Group {
    title: "Configuration",
    flags: &[
        Flag {
            hint: ValueHint::FilePath,
            ..flag!(
                "config",
                config_file,
                "The configuration file: a KubeProxyConfiguration of v1alpha1. Most flags count for nothing where it is given."
            )
        },
        flag!(
            "feature-gates",
            config.feature_gates,
            "Gates and whether they are on, as Name=true; those of all Kubernetes components are known."
        ),
        flag!(
            "hostname-override",
            hostname_override,
            "This node's name in the cluster; the host's name by default."
        ),
        Flag {
            offered: &["nftables", "iptables"],
            ..flag!(
                "proxy-mode",
                config.mode,
                "nftables; or iptables, which is also the default. Where the node cannot have the latter, nftables serves."
            )
        },
    ],
};

/// Files or an API server, and how it is asked.
pub static SOURCE: Group = Group {
    title: "Source of objects",
    flags: &[
        flag!(
            "config-sync-period",
            config.config_sync_period,
            "How often upstream repeats what it knows of the cluster to itself; changes nothing here."
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
        Flag {
            hint: ValueHint::FilePath,
            ..flag!(
                "kubeconfig",
                config.client_connection.kubeconfig,
                "Credentials and address of the API server; the pod's service account by default."
            )
        },
        Flag {
            hint: ValueHint::DirPath,
            ..flag!(
                "manifests",
                manifests,
                "Take objects from the YAML and JSON files of this directory instead of an API server, and follow changes to them."
            )
        },
        flag!(
            "master",
            master,
            "The API server's URL, instead of the one in the kubeconfig."
        ),
    ],
};

/// What decides what the rules are, but for node ports.
pub static RULES: Group = Group {
    title: "Rules",
    flags: &[
        flag!(
            "bind-address",
            config.bind_address,
            "The node's primary IP, instead of the one that the Node object tells; nothing is bound to it.",
            "ip",
            value::ip,
            value::set_address
        ),
        flag!(
            "cluster-cidr",
            cluster_cidr,
            "The pods' address ranges, one of each IP family, separated by commas; for --detect-local-mode ClusterCIDR."
        ),
        Flag {
            offered: &[
                "ClusterCIDR",
                "NodeCIDR",
                "BridgeInterface",
                "InterfaceNamePrefix",
            ],
            ..flag!(
                "detect-local-mode",
                config.detect_local_mode,
                "How packets of this node's pods are recognised: ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix."
            )
        },
        flag!(
            "iptables-masquerade-bit",
            config.iptables.masquerade_bit,
            "The bit of packets' marks that asks for masquerade, from 0 to 31, in mode iptables."
        ),
        flag!(
            "masquerade-all",
            masquerade_all,
            "Masquerade everything that goes to a cluster IP."
        ),
        flag!(
            "service-metrics",
            service_metrics,
            "Count connections of each Service, and tell them, open ones and their spread over endpoints as metrics."
        ),
        flag!(
            "service-metrics-limit",
            service_metrics_limit,
            "For how many Service ports at the most."
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
    ],
};

/// Where node ports are served.
pub static NODE_PORTS: Group = Group {
    title: "Node ports",
    flags: &[
        flag!(
            "iptables-localhost-nodeports",
            config.iptables.localhost_node_ports,
            "Serve node ports on 127.0.0.1; of mode iptables alone."
        ),
        Flag {
            offered: &["primary", "localhost", "all"],
            ..flag!(
                "nodeport-addresses",
                config.node_port_addresses,
                "The addresses that answer node ports: ranges, or the words primary, localhost and all. By default primary in mode nftables, and all in others."
            )
        },
    ],
};

/// The log.
pub static LOGGING: Group = Group {
    title: "Logging",
    flags: &[
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
        Flag {
            offered: &["text", "json"],
            ..flag!("logging-format", config.logging.format, "text or json.")
        },
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
    ],
};
