mod decode;
mod validate;
mod written;

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
