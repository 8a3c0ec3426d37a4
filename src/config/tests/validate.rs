use super::*;
use crate::config::features::FeatureGates;

fn errors(text: &str) -> String {
    let config = complete(text);
    let gates = FeatureGates::new(&config.feature_gates).expect("known gates");
    validate(&config, &gates).expect_err(text).to_string()
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
