use super::features::FeatureGates;
use super::*;

const HEAD: &str = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

fn complete(text: &str) -> KubeProxyConfiguration {
    let decoded = decode(&format!("{HEAD}{text}")).expect(text);
    assert_eq!(decoded.complaints, Vec::<String>::new(), "{text}");
    let mut config = decoded.config;
    set_defaults(&mut config);
    let per_mode = config.per_mode();
    set_mode_defaults(&mut config);
    config.set_per_mode(per_mode);
    config
}

fn errors(text: &str) -> String {
    let config = complete(text);
    let gates = FeatureGates::new(&config.feature_gates).expect("known gates");
    validate(&config, &gates).expect_err(text).to_string()
}

#[test]
fn what_is_written_is_read_again() {
    for text in [
        "",
        "mode: nftables\n",
        "mode: ipvs\nipvs: {scheduler: rr, excludeCIDRs: [10.0.0.0/8]}\n",
        "clusterCIDR: 10.244.0.0/16,fd00::/48\nlogging: {flushFrequency: 5}\n",
        "bindAddress: '::'\nfeatureGates: {EnvFiles: false}\nwindowsRunAsService: true\n",
        "logging: {vmodule: [{filePattern: sync*, verbosity: 4}]}\n",
    ] {
        let config = complete(text);
        let written = config.to_yaml();
        let mut again = decode(&written).expect(&written);
        assert_eq!(again.complaints, Vec::<String>::new(), "{written}");
        let per_mode = again.config.per_mode();
        again.config.set_per_mode(per_mode);
        assert_eq!(again.config, config, "{written}");
        let json: serde_json::Value = serde_json::from_str(&config.to_json()).expect("JSON");
        assert_eq!(json["kind"], KIND);
        assert_eq!(
            decode(&config.to_json()).expect("JSON is YAML").config,
            config
        );
    }
}

#[test]
fn zero_and_null_are_defaults() {
    let config = complete(
        "conntrack: {maxPerCore: null, min: null, tcpEstablishedTimeout: null}\n\
         iptables: {syncPeriod: 0s, masqueradeBit: null}\nmode: \"\"\nnodePortAddresses: null\n\
         healthzBindAddress: \"\"\nclientConnection: {qps: 0, burst: 0}\n",
    );
    assert_eq!(config, complete(""));
    assert_eq!(config.conntrack.max_per_core, Some(32768));
    assert_eq!(config.iptables.sync_period, GoDuration::from_secs(30));
    assert_eq!(
        complete("conntrack: {maxPerCore: 0}\n")
            .conntrack
            .max_per_core,
        Some(0)
    );
}

#[test]
fn addresses_of_the_servers() {
    for (text, healthz, metrics) in [
        ("", "0.0.0.0:10256", "127.0.0.1:10249"),
        ("bindAddress: '::'\n", "[::]:10256", "[::1]:10249"),
        (
            "bindAddress: 10.0.0.1\n",
            "0.0.0.0:10256",
            "127.0.0.1:10249",
        ),
        (
            "healthzBindAddress: 10.0.0.1\n",
            "10.0.0.1:10256",
            "127.0.0.1:10249",
        ),
        (
            "metricsBindAddress: '::1'\n",
            "0.0.0.0:10256",
            "[::1]:10249",
        ),
        (
            "metricsBindAddress: 0.0.0.0:9\n",
            "0.0.0.0:10256",
            "0.0.0.0:9",
        ),
    ] {
        let config = complete(text);
        assert_eq!(config.healthz_bind_address, healthz, "{text}");
        assert_eq!(config.metrics_bind_address, metrics, "{text}");
    }
}

#[test]
fn the_mode_chooses_among_places() {
    let text = "iptables: {syncPeriod: 10s, masqueradeAll: true}\n\
                nftables: {minSyncPeriod: 2s}\nipvs: {syncPeriod: 20s}\n";
    let nftables = complete(&format!("mode: nftables\n{text}"));
    assert_eq!(
        nftables.per_mode().min_sync_period,
        GoDuration::from_secs(2)
    );
    assert!(!nftables.per_mode().masquerade_all);
    assert_eq!(nftables.iptables.sync_period, GoDuration::default());
    assert_eq!(
        nftables.node_port_addresses,
        Some(vec!["primary".to_owned()])
    );
    let iptables = complete(text);
    assert_eq!(iptables.per_mode().sync_period, GoDuration::from_secs(10));
    assert!(iptables.per_mode().masquerade_all);
    assert_eq!(iptables.node_port_addresses, None);
    let ipvs = complete(&format!("mode: ipvs\n{text}"));
    assert_eq!(ipvs.per_mode().sync_period, GoDuration::from_secs(20));
    assert!(ipvs.per_mode().masquerade_all);
}

#[test]
fn what_a_strict_decoder_refuses_is_told() {
    for (text, says) in [
        ("Mode: nftables\n", "unknown field \"Mode\""),
        ("iptables: {foo: 1}\n", "unknown field \"iptables.foo\""),
        (
            "logging: {options: {xml: {}}}\n",
            "unknown field \"logging.options.xml\"",
        ),
        (
            "logging: {vmodule: [{filePattern: a, level: 1}]}\n",
            "unknown field \"logging.vmodule[0].level\"",
        ),
        (
            "mode: nftables\nmode: iptables\n",
            "key \"mode\" already set in map",
        ),
        (
            "ipvs: {scheduler: a, scheduler: b}\n",
            "key \"ipvs.scheduler\" already set in map",
        ),
    ] {
        let decoded = decode(&format!("{HEAD}{text}")).expect(text);
        assert_eq!(decoded.complaints, [says], "{text}");
    }
    let both = decode(&format!(
        "{HEAD}a: {{b: [{{c: 1, c: 2}}], d: 3}}\nmode: a\nmode: b\n"
    ));
    assert_eq!(
        both.expect("leniently").complaints,
        [
            "key \"mode\" already set in map",
            "key \"a.b[0].c\" already set in map",
            "unknown field \"a\""
        ]
    );
    let twice = decode(&format!("{HEAD}mode: nftables\nmode: iptables\n")).expect("leniently");
    assert_eq!(twice.config.mode, "iptables");
}

#[test]
fn what_no_decoder_takes_is_named() {
    for (text, says) in [
        (
            "mode: 5\n",
            "KubeProxyConfiguration.mode: is a number 5, not a string",
        ),
        (
            "iptables: foo\n",
            "KubeProxyConfiguration.iptables: is a string, not an object",
        ),
        (
            "iptables: {syncPeriod: 5}\n",
            ".iptables.syncPeriod: is a number 5, not a duration",
        ),
        (
            "iptables: {syncPeriod: foo}\n",
            ".syncPeriod: time: invalid duration \"foo\"",
        ),
        (
            "iptables: {masqueradeBit: 3.5}\n",
            "is a number 3.5, not a whole number of 32 bits",
        ),
        (
            "clientConnection: {burst: 99999999999}\n",
            "is a number 99999999999, not a whole",
        ),
        (
            "bindAddressHardFail: \"true\"\n",
            ".bindAddressHardFail: is a string, not a bool",
        ),
        (
            "bindAddressHardFail: \"yes\"\n",
            ".bindAddressHardFail: is a string, not a bool",
        ),
        (
            "clientConnection: {qps: 1e39}\n",
            ".clientConnection.qps: is a number 1000000000000000000000000000000000000000, not a number of 32 bits",
        ),
        ("winkernel: []\n", ".winkernel: is an array, not an object"),
        (
            "nodePortAddresses: foo\n",
            ".nodePortAddresses: is a string, not a list",
        ),
        (
            "nodePortAddresses: [1]\n",
            ".nodePortAddresses[0]: is a number 1, not a string",
        ),
        (
            "featureGates: {Foo: x}\n",
            ".featureGates.Foo: is a string, not a bool",
        ),
        (
            "logging: {verbosity: -1}\n",
            ".logging.verbosity: is a number -1",
        ),
        (
            "logging: {vmodule: [{verbosity: a}]}\n",
            ".logging.vmodule[0].verbosity: is a string",
        ),
        ("oomScoreAdj: [\n", "yaml: "),
    ] {
        let error = decode(&format!("{HEAD}{text}")).expect_err(text);
        assert!(error.contains(says), "{text}: {error}");
    }
    for (text, says) in [
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
        ("- a\n", "couldn't get version/kind"),
    ] {
        let error = decode(text).expect_err(text);
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn yaml_as_upstream_reads_it() {
    for word in ["true", "True", "yes", "On", "y", "Y"] {
        let config = complete(&format!("bindAddressHardFail: {word}\n"));
        assert!(config.bind_address_hard_fail, "{word}");
    }
    assert_eq!(complete("oomScoreAdj: 1e2\n").oom_score_adj, Some(100));
    let modules = "logging: {vmodule: [null, {filePattern: null}]}\n";
    assert_eq!(
        complete(modules).logging.vmodule,
        [const {
            VModuleItem {
                file_pattern: String::new(),
                verbosity: 0,
            }
        }; 2]
    );
    assert_eq!(complete("oomScoreAdj: 0x10\n").oom_score_adj, Some(16));
    assert_eq!(complete("oomScoreAdj: 010\n").oom_score_adj, Some(8));
    assert_eq!(complete("mode: nftables\n---\nfoo: bar\n").mode, "nftables");
    assert_eq!(
        complete("mode: &m nftables\nportRange: *m\n").port_range,
        "nftables"
    );
}

#[test]
fn each_field_is_checked() {
    for (text, says) in [
        (
            "bindAddress: foo\n",
            "KubeProxyConfiguration.BindAddress: Invalid value: \"foo\": not a",
        ),
        (
            "healthzBindAddress: foo\n",
            ".HealthzBindAddress: Invalid value: \"foo\": must be IP:port",
        ),
        ("healthzBindAddress: foo:1\n", "\"foo\": must be a valid IP"),
        (
            "metricsBindAddress: 1.2.3.4:0\n",
            ".MetricsBindAddress: Invalid value: \"0\": must be a valid port",
        ),
        (
            "configSyncPeriod: -1s\n",
            ".ConfigSyncPeriod: Invalid value: \"-1s\": must be greater than 0",
        ),
        (
            "mode: userspace\n",
            ".Mode.ProxyMode: Invalid value: \"userspace\": must be iptables, ipvs, nftables or blank",
        ),
        (
            "mode: ipvs\nfeatureGates: {KubeProxyIPVS: false}\n",
            "must be iptables, nftables or blank",
        ),
        (
            "iptables: {masqueradeBit: 32}\n",
            ".KubeProxyIPTablesConfiguration.MasqueradeBit: Invalid value: 32: must be within the range [0, 31]",
        ),
        (
            "mode: nftables\nnftables: {masqueradeBit: -1}\n",
            ".KubeProxyNFTablesConfiguration.MasqueradeBit: Invalid value: -1",
        ),
        (
            "mode: nftables\nnftables: {syncPeriod: 1s, minSyncPeriod: 2s}\n",
            ".SyncPeriod: Invalid value: \"2s\": must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod",
        ),
        (
            "mode: ipvs\nipvs: {udpTimeout: -1s, excludeCIDRs: [a]}\n",
            "[KubeProxyConfiguration.KubeProxyIPVSConfiguration.UDPTimeout: Invalid value: \"-1s\": must be greater than or equal to 0, KubeProxyConfiguration.KubeProxyIPVSConfiguration.ExcludeCidrs[0]: Invalid value: \"a\": must be a valid CIDR]",
        ),
        (
            "conntrack: {min: -1}\n",
            ".KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration.Min: Invalid value: -1",
        ),
        (
            "conntrack: {tcpCloseWaitTimeout: -1s}\n",
            ".TCPCloseWaitTimeout: Invalid value: \"-1s\"",
        ),
        (
            "oomScoreAdj: 1001\n",
            ".KubeProxyLinuxConfiguration.OOMScoreAdj: Invalid value: 1001",
        ),
        (
            "clientConnection: {burst: -1}\n",
            ".ClientConnection.Burst: Invalid value: -1",
        ),
        (
            "nodePortAddresses: [primary, all, primary]\n",
            ".NodePortAddresses[2]: Duplicate value: \"primary\"",
        ),
        (
            "nodePortAddresses: [foo]\n",
            ".NodePortAddresses[0]: Invalid value: \"foo\": must be a valid CIDR or one of the keywords",
        ),
        (
            "showHiddenMetricsForVersion: '1.20'\n",
            ".ShowHiddenMetricsForVersion: Invalid value: \"1.20\"",
        ),
        (
            "detectLocalMode: Foo\n",
            ".DetectLocalMode: Unsupported value: \"Foo\": supported values: \"ClusterCIDR\"",
        ),
        (
            "detectLocalMode: BridgeInterface\n",
            ".DetectLocalConfiguration.InterfaceName: Invalid value: \"\": must not be empty",
        ),
        (
            "detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: a*}\n",
            ".InterfacePrefix: Invalid value: \"a*\"",
        ),
        (
            "clusterCIDR: 10.0.0.0/8,11.0.0.0/8\n",
            ".ClusterCIDRs: Invalid value: [\"10.0.0.0/8\",\"11.0.0.0/8\"]: must be a either a single",
        ),
        (
            "clusterCIDR: 10.0.0.0/33\n",
            ".ClusterCIDRs[0]: Invalid value: \"10.0.0.0/33\": must be a valid CIDR block",
        ),
        (
            "logging: {format: xml}\n",
            ".logging.format: Invalid value: \"xml\": Unsupported log format",
        ),
        (
            "logging: {format: json, vmodule: [{filePattern: a}]}\n",
            ".logging.vmodule: Forbidden",
        ),
        (
            "logging: {options: {json: {splitStream: true}}}\n",
            ".logging.options.json.splitStream: Forbidden: Feature LoggingAlphaOptions is disabled",
        ),
    ] {
        let errors = errors(text);
        assert!(errors.contains(says), "{text}: {errors}");
    }
    // Duplicate ranges are no matter, and a range's family is none in other modes.
    let fine = complete(
        "detectLocalMode: NodeCIDR\nclusterCIDR: foo\nnodePortAddresses: [10.0.0.0/8, 10.0.0.0/8]\n",
    );
    assert_eq!(validate(&fine, &FeatureGates::default()), Ok(()));
}
