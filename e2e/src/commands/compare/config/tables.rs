//! The questions.

/// What every file begins with.
pub const HEAD: &str =
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

/// Flags that both take; what they write must be equal to the byte.
pub const FLAGS: &[&[&str]] = &[
    &[],
    &["--proxy-mode=nftables"],
    &["--proxy-mode=iptables"],
    &["--proxy-mode=ipvs"],
    &[
        "--proxy-mode=",
        "--detect-local-mode=",
        "--bind-address=",
        "--nodeport-addresses=",
    ],
    &[
        "--healthz-bind-address=",
        "--metrics-bind-address=",
        "--vmodule=",
        "--feature-gates=",
    ],
    &["--proxy-mode=nftables", "--nodeport-addresses="],
    &[
        "--proxy-mode",
        "nftables",
        "--iptables-sync-period",
        "10s",
        "--iptables-min-sync-period=0",
    ],
    &[
        "--proxy-mode=ipvs",
        "--ipvs-sync-period=1m",
        "--ipvs-min-sync-period=2s",
    ],
    &[
        "--proxy-mode=ipvs",
        "--iptables-sync-period=1m",
        "--ipvs-scheduler=rr",
        "--ipvs-strict-arp",
    ],
    &[
        "--proxy-mode=ipvs",
        "--ipvs-exclude-cidrs=10.0.0.0/8,fd00::/8",
        "--ipvs-tcp-timeout=1h",
    ],
    &[
        "--ipvs-sync-period=1m",
        "--ipvs-tcpfin-timeout=1s",
        "--ipvs-udp-timeout=1500ms",
    ],
    &["--proxy-mode=nftables", "--masquerade-all"],
    &[
        "--masquerade-all=true",
        "--iptables-masquerade-bit=0",
        "--iptables-localhost-nodeports=0",
    ],
    &[
        "--masquerade_all=T",
        "--bind_address_hard_fail",
        "--profiling=f",
    ],
    &["--cluster-cidr=10.244.0.0/16,fd00:10:244::/48"],
    &["--cluster-cidr=010.244.1.2/16"],
    &["--detect-local-mode=NodeCIDR", "--cluster-cidr=whatever"],
    &[
        "--detect-local-mode=BridgeInterface",
        "--pod-bridge-interface=cni0",
    ],
    &[
        "--detect-local-mode=InterfaceNamePrefix",
        "--pod-interface-name-prefix=veth",
    ],
    &["--bind-address=192.0.2.1", "--hostname-override= Node-1 "],
    &[
        "--bind-address=::",
        "--healthz-bind-address=[::1]:1",
        "--metrics-bind-address=0.0.0.0:65535",
    ],
    &[
        "--nodeport-addresses=primary",
        "--nodeport-addresses=localhost,192.0.2.0/24,fd00::/8",
    ],
    &["--nodeport-addresses", "all,\"10.0.0.0/8\""],
    &[
        "--oom-score-adj=-1000",
        "--conntrack-max-per-core=0",
        "--conntrack-min=0x10",
    ],
    &[
        "--oom-score-adj",
        "1000",
        "--conntrack-tcp-be-liberal",
        "--conntrack-min",
        "010",
    ],
    &[
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=90s",
    ],
    &[
        "--conntrack-udp-timeout=1m30.5s",
        "--conntrack-udp-timeout-stream=2h45m",
    ],
    &[
        "--config-sync-period=1h",
        "--kubeconfig=/a b/c",
        "--master=https://host:1",
    ],
    &[
        "--kube-api-qps=0.5",
        "--kube-api-burst=0",
        "--kube-api-content-type=application/json",
    ],
    &["--kube-api-qps=1e3", "--kube-api-content-type="],
    &["-v=3"],
    &["-v", "3", "--v=4", "-v5"],
    &[
        "--vmodule=sync=4,http*=2",
        "--vmodule=main=1",
        "--log-flush-frequency=1m",
    ],
    &["--logging-format=json"],
    &[
        "--feature-gates=LoggingAlphaOptions=true",
        "--log-json-split-stream",
        "--log-json-info-buffer-size=1024Ki",
        "--log-text-info-buffer-size=1.5k",
        "--log-text-split-stream",
    ],
    &[
        "--feature-gates=EnvFiles=false,HPAGeneration=true",
        "--feature-gates=AllBeta=true",
    ],
    &[
        "--healthz-port=1",
        "--metrics-port=0",
        "--healthz-bind-address=0.0.0.0:9",
    ],
    &[
        "--init-only",
        "--cleanup=false",
        "--version=false",
        "--help=false",
        "",
    ],
    &[
        "--kubeconfig=true",
        "--pod-bridge-interface=0x10",
        "--ipvs-scheduler=~",
    ],
    &[
        "--kubeconfig=- a",
        "--pod-bridge-interface=a: b",
        "--ipvs-scheduler=it's #1",
    ],
    &[
        "--kubeconfig=1.5",
        "--pod-bridge-interface=2006-01-02",
        "--ipvs-scheduler=1:30",
    ],
    &[
        "--kubeconfig=on",
        "--pod-bridge-interface=%a",
        "--ipvs-scheduler=a #b",
        "--master=x",
    ],
];

/// Files that both take, after the head.
pub const FILES: &[&str] = &[
    "",
    "mode: nftables\n",
    "mode: nftables\nnftables: {syncPeriod: 1m, minSyncPeriod: 2s, masqueradeAll: true, masqueradeBit: 3}\n",
    "mode: nftables\niptables: {syncPeriod: 1m, masqueradeAll: true, masqueradeBit: 3}\n",
    "iptables: {syncPeriod: 1m, masqueradeAll: true, masqueradeBit: 3, localhostNodePorts: false}\n",
    "mode: ipvs\nipvs: {syncPeriod: 0s, minSyncPeriod: 0s, excludeCIDRs: [], scheduler: rr}\niptables: {masqueradeAll: true}\n",
    "conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s, udpTimeout: 1s}\n",
    "conntrack: {maxPerCore: null, min: null, tcpEstablishedTimeout: null, tcpBeLiberal: true}\n",
    "clientConnection: {qps: 0, burst: 0, contentType: \"\", acceptContentTypes: a/b}\n",
    "clientConnection: {qps: 1e3, burst: 5, kubeconfig: /var/lib/kube-proxy/kubeconfig.conf}\n",
    "clientConnection: null\nfeatureGates: null\niptables: null\nlogging: null\nmode: null\n",
    "bindAddress: \"::\"\n",
    "bindAddress: fd00::1\nhealthzBindAddress: fd00::1\nmetricsBindAddress: 192.0.2.1\n",
    "healthzBindAddress: \"\"\nmetricsBindAddress: \"[::1]:1\"\n",
    "nodePortAddresses: []\n",
    "nodePortAddresses: [primary, 10.0.0.0/8, 10.0.0.0/8]\n",
    "mode: nftables\nnodePortAddresses: []\n",
    "hostnameOverride: \" A \"\nportRange: 1-2\nwindowsRunAsService: true\n",
    "winkernel: {networkName: a, sourceVip: 192.0.2.1, enableDSR: true}\n",
    "logging: {flushFrequency: 5}\n",
    "logging: {flushFrequency: 1m, verbosity: 0, format: json}\n",
    "logging: {vmodule: [{filePattern: a, verbosity: 3}, {filePattern: \"*\", verbosity: 0}]}\n",
    "featureGates: {EnvFiles: true, HPAGeneration: false}\n",
    "bindAddressHardFail: yes\nenableProfiling: On\noomScoreAdj: 010\n",
    "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: br0}\n",
    "clusterCIDR: \"10.0.0.0/8,fd00::/8\"\nconfigSyncPeriod: 1h30m\n",
    // Strict decoding refuses these, lenient decoding takes them.
    "unknownField: 1\niptables: {foo: {bar: 1}}\nMode: nftables\n",
    "mode: nftables\nmode: iptables\nconntrack: {min: 1, min: 2}\n",
    "metadata: {name: x}\nmode: nftables\n---\nmode: iptables\n",
    "bindAddress: &a 10.0.0.1\nhostnameOverride: *a\n",
];

/// Flags that go with a file.
pub const FLAGS_WITH_FILE: &[&[&str]] = &[
    &[
        "--proxy-mode=iptables",
        "--cluster-cidr=10.0.0.0/8",
        "--healthz-bind-address=10.0.0.1",
        "--masquerade-all",
        "--oom-score-adj=5",
    ],
    &[
        "--hostname-override=Flag",
        "-v=2",
        "--vmodule=a=1",
        "--logging-format=text",
    ],
    &[
        "--log-flush-frequency=9s",
        "--healthz-port=0",
        "--metrics-port=0",
    ],
];

/// Flags that both refuse, and what both name.
pub const BAD_FLAGS: &[(&[&str], &str)] = &[
    (&["--nope"], "unknown flag: --nope"),
    (&["--no_pe=1"], "unknown flag: --no_pe"),
    (&["--boot-id-file=x"], "unknown flag: --boot-id-file"),
    (&["--windows-service"], "unknown flag: --windows-service"),
    (&["-x"], "unknown shorthand flag: 'x' in -x"),
    (&["---x"], "bad flag syntax: ---x"),
    (
        &["stray"],
        "\"kube-proxy\" does not take any arguments, got [\"stray\"]",
    ),
    (
        &["--kube-api-burst=x"],
        "invalid argument \"x\" for \"--kube-api-burst\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
    ),
    (
        &["--kube-api-qps=x"],
        "invalid argument \"x\" for \"--kube-api-qps\" flag",
    ),
    (&["--oom-score-adj=99999999999"], "value out of range"),
    (
        &["--masquerade-all=x"],
        "invalid argument \"x\" for \"--masquerade-all\" flag: strconv.ParseBool",
    ),
    (
        &["-v=x"],
        "invalid argument \"x\" for \"-v, --v\" flag: strconv.ParseUint",
    ),
    (&["--vmodule=a"], "\"a\" does not have the pattern=N format"),
    (&["--vmodule=a=x"], "parsing verbosity in \"a=x\""),
    (
        &["--config-sync-period=5"],
        "time: missing unit in duration \"5\"",
    ),
    (&["--bind-address=foo"], "\"foo\" is not a valid IP address"),
    (
        &["--healthz-bind-address=foo"],
        "\"foo\" is not in a valid format (ip or ip:port)",
    ),
    (
        &["--metrics-bind-address=1.2.3.4:99999"],
        "\"99999\" is not a valid number",
    ),
    (
        &["--feature-gates=foo"],
        "malformed pair, expect string=bool",
    ),
    (&["--feature-gates=Foo=x"], "invalid value of Foo: x"),
    (
        &["--log-json-info-buffer-size=foo"],
        "quantities must match the regular expression",
    ),
    (
        &["--version=x"],
        "invalid argument \"x\" for \"--version\" flag",
    ),
    (
        &["--feature-gates=Foo=true"],
        "failed complete: unrecognized feature gate: Foo",
    ),
    (
        &["--feature-gates=NFTablesProxyMode=false"],
        "cannot set feature gate NFTablesProxyMode to false, feature is locked to true",
    ),
    (
        &["--feature-gates=DRAWorkloadResourceClaims=true"],
        "DRAWorkloadResourceClaims is enabled, but depends on features that are disabled: [GenericWorkload]",
    ),
    (
        &["--hostname-override= "],
        "failed complete: empty hostname-override is invalid",
    ),
    (
        &["--logging-format=xml"],
        "initialize logging: logging.format: Invalid value: \"xml\": Unsupported log format",
    ),
    (
        &["--logging-format=json", "--vmodule=a=1"],
        "logging.vmodule: Forbidden: Only supported for text log format",
    ),
    (
        &[
            "--logging-format=json",
            "--feature-gates=LoggingBetaOptions=false",
        ],
        "logging.format: Forbidden",
    ),
    (
        &["--log-flush-frequency=0"],
        "logging.flushFrequency: Invalid value: \"0s\": Must be greater than zero",
    ),
    (
        &["--log-json-split-stream"],
        "logging.options.json.splitStream: Forbidden: Feature LoggingAlphaOptions is disabled",
    ),
    (
        &["--proxy-mode=foo"],
        "failed validate: KubeProxyConfiguration.Mode.ProxyMode: Invalid value: \"foo\": must be iptables, ipvs, nftables or blank",
    ),
    (
        &["--proxy-mode=ipvs", "--feature-gates=KubeProxyIPVS=false"],
        "KubeProxyConfiguration.Mode.ProxyMode: Invalid value: \"ipvs\": must be iptables, nftables or blank",
    ),
    (
        &[
            "--proxy-mode=ipvs",
            "--ipvs-exclude-cidrs=a",
            "--ipvs-udp-timeout=-1s",
        ],
        "[KubeProxyConfiguration.KubeProxyIPVSConfiguration.UDPTimeout: Invalid value: \"-1s\": must be greater than or equal to 0, KubeProxyConfiguration.KubeProxyIPVSConfiguration.ExcludeCidrs[0]: Invalid value: \"a\": must be a valid CIDR]",
    ),
    (
        &["--cluster-cidr="],
        "KubeProxyConfiguration.DetectLocalConfiguration.ClusterCIDRs[0]: Invalid value: \"\": must be a valid CIDR block",
    ),
    (
        &["--cluster-cidr=10.0.0.0/8,11.0.0.0/8"],
        "ClusterCIDRs: Invalid value: [\"10.0.0.0/8\",\"11.0.0.0/8\"]: must be a either a single CIDR or dual-stack pair",
    ),
    (
        &["--cluster-cidr=a,b,c"],
        "ClusterCIDRs: Invalid value: [\"a\",\"b\",\"c\"]",
    ),
    (
        &["--detect-local-mode=Foo"],
        "KubeProxyConfiguration.DetectLocalMode: Unsupported value: \"Foo\": supported values: \"ClusterCIDR\", \"NodeCIDR\", \"BridgeInterface\", \"InterfaceNamePrefix\", \"\"",
    ),
    (
        &["--detect-local-mode=BridgeInterface"],
        "DetectLocalConfiguration.InterfaceName: Invalid value: \"\": must not be empty",
    ),
    (
        &["--detect-local-mode=InterfaceNamePrefix"],
        "DetectLocalConfiguration.InterfacePrefix: Invalid value: \"\": must not be empty",
    ),
    (
        &["--healthz-bind-address=1.2.3.4:0"],
        "KubeProxyConfiguration.HealthzBindAddress: Invalid value: \"0\": must be a valid port",
    ),
    (
        &["--healthz-bind-address=::1"],
        "KubeProxyConfiguration.HealthzBindAddress: Invalid value: \"::1\": must be IP:port",
    ),
    (
        &["--nodeport-addresses=foo,primary,primary"],
        "[KubeProxyConfiguration.NodePortAddresses[0]: Invalid value: \"foo\": must be a valid CIDR or one of the keywords 'primary', 'localhost', 'all', KubeProxyConfiguration.NodePortAddresses[2]: Duplicate value: \"primary\"]",
    ),
    (
        &["--show-hidden-metrics-for-version=1.20"],
        "KubeProxyConfiguration.ShowHiddenMetricsForVersion: Invalid value: \"1.20\"",
    ),
    (
        &["--iptables-sync-period=0"],
        "[KubeProxyConfiguration.SyncPeriod: Invalid value: \"0s\": must be greater than 0, KubeProxyConfiguration.SyncPeriod: Invalid value: \"1s\": must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod]",
    ),
    (
        &["--iptables-min-sync-period=-1s"],
        "KubeProxyConfiguration.MinSyncPeriod: Invalid value: \"-1s\": must be greater than or equal to 0",
    ),
    (
        &["--iptables-masquerade-bit=32"],
        "KubeProxyIPTablesConfiguration.MasqueradeBit: Invalid value: 32: must be within the range [0, 31]",
    ),
    (
        &["--conntrack-min=-1"],
        "KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration.Min: Invalid value: -1",
    ),
    (
        &["--conntrack-udp-timeout=-1s"],
        "KubeProxyConntrackConfiguration.UDPTimeout: Invalid value: \"-1s\"",
    ),
    (
        &["--oom-score-adj=-1001"],
        "KubeProxyLinuxConfiguration.OOMScoreAdj: Invalid value: -1001: must be within the range [-1000, 1000]",
    ),
    (
        &["--kube-api-burst=-1"],
        "KubeProxyConfiguration.ClientConnection.Burst: Invalid value: -1: must be greater than or equal to 0",
    ),
    (
        &["--config-sync-period=0"],
        "KubeProxyConfiguration.ConfigSyncPeriod: Invalid value: \"0s\": must be greater than 0",
    ),
    (&["--config=/nonexistent"], "failed complete"),
];

/// Whole files that both refuse, and what both name.
pub const BAD_FILES: &[(&str, &str)] = &[
    ("", "Object 'Kind' is missing"),
    ("foo: bar\n", "Object 'Kind' is missing"),
    (
        "kind: KubeProxyConfiguration\n",
        "Object 'apiVersion' is missing",
    ),
    (
        "apiVersion: v1\nkind: Pod\n",
        "no kind \"Pod\" is registered for version \"v1\"",
    ),
    (
        "apiVersion: kubeproxy.config.k8s.io/v1beta1\nkind: KubeProxyConfiguration\n",
        "no kind \"KubeProxyConfiguration\" is registered for version \"kubeproxy.config.k8s.io/v1beta1\"",
    ),
    ("{", "failed to decode"),
    ("- a\n", "failed to decode: couldn't get version/kind"),
];

/// Files that both refuse, after the head, and what both name.
pub const BAD_FIELDS: &[(&str, &str)] = &[
    ("mode: 5\n", "KubeProxyConfiguration.mode"),
    ("unknown: 1\nmode: 5\n", "KubeProxyConfiguration.mode"),
    ("iptables: foo\n", "KubeProxyConfiguration.iptables"),
    ("iptables: {syncPeriod: 5}\n", "iptables.syncPeriod"),
    (
        "iptables: {syncPeriod: foo}\n",
        "time: invalid duration \"foo\"",
    ),
    (
        "iptables: {masqueradeBit: \"3\"}\n",
        "iptables.masqueradeBit",
    ),
    (
        "clientConnection: {burst: 99999999999}\n",
        "clientConnection.burst",
    ),
    (
        "bindAddressHardFail: \"true\"\n",
        "KubeProxyConfiguration.bindAddressHardFail",
    ),
    (
        "nodePortAddresses: foo\n",
        "KubeProxyConfiguration.nodePortAddresses",
    ),
    (
        "nodePortAddresses: [1]\n",
        "KubeProxyConfiguration.nodePortAddresses",
    ),
    (
        "nodePortAddresses: [null]\n",
        "KubeProxyConfiguration.NodePortAddresses[0]: Invalid value: \"\"",
    ),
    (
        "featureGates: {Foo: true}\n",
        "unrecognized feature gate: Foo",
    ),
    (
        "featureGates: {Foo: x}\n",
        "KubeProxyConfiguration.featureGates",
    ),
    ("logging: {verbosity: -1}\n", "logging.verbosity"),
    (
        "logging: {vmodule: [{filePattern: \"a=\"}, {verbosity: 1}]}\n",
        "[logging.vmodule[0]: Invalid value: \"a=\": File pattern must not contain equal sign or comma, logging.vmodule[1]: Required value: File pattern must not be empty]",
    ),
    (
        "logging: {options: {json: {infoBufferSize: 1Ki}}}\n",
        "logging.options.json.infoBufferSize: Forbidden: Feature LoggingAlphaOptions is disabled",
    ),
    (
        "bindAddress: foo\n",
        "KubeProxyConfiguration.BindAddress: Invalid value: \"foo\": not a valid textual representation of an IP address",
    ),
    (
        "healthzBindAddress: foo:x\n",
        "[KubeProxyConfiguration.HealthzBindAddress: Invalid value: \"foo\": must be a valid IP, KubeProxyConfiguration.HealthzBindAddress: Invalid value: \"x\": must be a valid port]",
    ),
    (
        "metricsBindAddress: 1.2.3.4:70000\n",
        "KubeProxyConfiguration.MetricsBindAddress: Invalid value: \"70000\": must be a valid port",
    ),
    (
        "mode: kernelspace\n",
        "KubeProxyConfiguration.Mode.ProxyMode: Invalid value: \"kernelspace\"",
    ),
    (
        "mode: nftables\nnftables: {masqueradeBit: 32, syncPeriod: 1s, minSyncPeriod: 2s}\n",
        "[KubeProxyConfiguration.KubeProxyNFTablesConfiguration.MasqueradeBit: Invalid value: 32: must be within the range [0, 31], KubeProxyConfiguration.SyncPeriod: Invalid value: \"2s\": must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod]",
    ),
    (
        "mode: ipvs\nipvs: {tcpTimeout: -1s, tcpFinTimeout: -1s}\n",
        "[KubeProxyConfiguration.KubeProxyIPVSConfiguration.TCPTimeout: Invalid value: \"-1s\": must be greater than or equal to 0, KubeProxyConfiguration.KubeProxyIPVSConfiguration.TCPFinTimeout",
    ),
    (
        "clusterCIDR: \"10.0.0.0/8,fd00::/8,fd01::/8\"\n",
        "DetectLocalConfiguration.ClusterCIDRs: Invalid value: [\"10.0.0.0/8\",\"fd00::/8\",\"fd01::/8\"]",
    ),
];
