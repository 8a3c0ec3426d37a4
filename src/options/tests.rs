use super::*;
use crate::config::features::FeatureGates;
use crate::config::validate;

mod upstream;

fn parse(words: &[&str]) -> Result<Options, UsageError> {
    Options::parse(words)
}

fn complete(words: &[&str]) -> Complete {
    let options = parse(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    options
        .complete("")
        .unwrap_or_else(|error| panic!("{words:?}: {error:#}"))
}

#[test]
fn spellings_that_go_takes() {
    for words in [
        &["--kube-api-burst=7", "--masquerade-all", "-v=3"][..],
        &["--kube_api_burst", "7", "--masquerade_all=true", "-v3"],
        &["--kube-api-burst=0x7", "--masquerade-all=T", "-v", "3"],
        &[
            "--kube-api-burst=1",
            "--kube-api-burst=7",
            "--masquerade-all=1",
            "--v=3",
        ],
    ] {
        let config = complete(words).config;
        assert_eq!(config.client_connection.burst, 7, "{words:?}");
        assert!(config.per_mode().masquerade_all, "{words:?}");
        assert_eq!(config.logging.verbosity, 3, "{words:?}");
    }
    let config = complete(&["--oom-score-adj", "-5", "--masquerade-all=false"]).config;
    assert_eq!(
        config.oom_score_adj,
        Some(-5),
        "a value may look like a flag"
    );
    assert!(!config.per_mode().masquerade_all);
    let config = complete(&[
        "--nodeport-addresses=all",
        "--nodeport-addresses",
        "a,\"b,c\"",
    ]);
    let listed = config.config.node_port_addresses.expect("a list");
    assert_eq!(listed, ["all", "a", "b,c"]);
}

#[test]
fn a_file_is_all_that_counts_but_for_a_few_flags() {
    let dir = std::env::temp_dir().join(format!("kube-proxy-options-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let file = dir.join("config.yaml");
    std::fs::write(
        &file,
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
         mode: nftables\nhostnameOverride: file\nunknown: 1\n\
         logging: {verbosity: 1, vmodule: [{filePattern: b, verbosity: 2}]}\n",
    )
    .expect("a file");
    let file = format!("--config={}", file.display());
    let complete = complete(&[
        &file,
        "--proxy-mode=iptables",
        "--healthz-bind-address=10.0.0.1",
        "--healthz-port=0",
        "--masquerade-all",
        "--cluster-cidr=10.0.0.0/8",
        "--hostname-override= Flag ",
        "-v=3",
        "--vmodule=a=1",
    ]);
    std::fs::remove_dir_all(&dir).expect("it is there");
    let config = complete.config;
    assert_eq!(complete.complaints, ["unknown field \"unknown\""]);
    assert_eq!(config.mode, "nftables");
    assert!(!complete.mode_is_default);
    assert_eq!(config.healthz_bind_address, "0.0.0.0:10256");
    assert!(!config.per_mode().masquerade_all && config.cluster_cidrs.is_empty());
    assert_eq!(config.hostname_override, "flag");
    assert_eq!(config.logging.verbosity, 3);
    let patterns = config
        .logging
        .vmodule
        .iter()
        .map(|item| item.file_pattern.as_str());
    assert_eq!(patterns.collect::<Vec<_>>(), ["a", "b"], "flags first");
}

#[test]
fn periods_by_mode() {
    let flags = [
        "--iptables-sync-period=10s",
        "--iptables-min-sync-period=2s",
        "--ipvs-sync-period=20s",
    ];
    let periods = |mode: &str| {
        let mode = format!("--proxy-mode={mode}");
        let mut words = vec![mode.as_str()];
        words.extend(flags);
        let per_mode = complete(&words).config.per_mode();
        (
            per_mode.sync_period.to_string(),
            per_mode.min_sync_period.to_string(),
        )
    };
    let both = |sync: &str, min: &str| (sync.to_owned(), min.to_owned());
    assert_eq!(periods("nftables"), both("10s", "2s"));
    assert_eq!(periods(""), both("10s", "2s"));
    assert_eq!(periods("ipvs"), both("20s", "1s"));
}

#[test]
fn the_deprecated_ports() {
    let config = complete(&["--healthz-port=0", "--metrics-port=9999"]).config;
    assert_eq!(config.healthz_bind_address, "");
    assert_eq!(
        config.metrics_bind_address, "127.0.0.1:10249",
        "it has a port"
    );
    let config = complete(&["--healthz-port=9999", "--healthz-bind-address=::1"]).config;
    assert_eq!(config.healthz_bind_address, "[::1]:9999");
    let config = complete(&["--healthz-bind-address=10.0.0.1", "--metrics-bind-address="]).config;
    assert_eq!(config.healthz_bind_address, "10.0.0.1:10256");
    assert_eq!(config.metrics_bind_address, "127.0.0.1:10249");
    let none = complete(&["--metrics-port=0"]).config;
    let errors = validate(&none, &FeatureGates::default()).expect_err("no metrics address");
    assert!(
        errors.to_string().contains("MetricsBindAddress"),
        "{errors}"
    );
    let options = parse(&["--healthz-port=1"]).expect("a flag");
    assert_eq!(
        options.deprecated(),
        [("healthz-port", "--healthz-bind-address")]
    );
}

#[test]
fn refused_when_all_is_known() {
    for (words, says) in [
        (
            &["--hostname-override= "][..],
            "empty hostname-override is invalid",
        ),
        (
            &["--feature-gates=Foo=true"],
            "unrecognized feature gate: Foo",
        ),
        (
            &["--config=/nonexistent"],
            "open /nonexistent: No such file",
        ),
    ] {
        let error = parse(words).expect("flags").complete("").expect_err(says);
        assert!(format!("{error:#}").contains(says), "{error:#}");
    }
}

#[test]
fn values_for_flagz() {
    let flags = complete(&["--hostname-override=n1", "--nodeport-addresses=all"]).flags;
    let value = |name: &str| {
        let found = flags.iter().find(|(flag, _)| *flag == name);
        found
            .map(|(_, value)| value.as_str())
            .unwrap_or("there is no such flag")
    };
    assert_eq!(value("hostname-override"), "n1");
    assert_eq!(value("nodeport-addresses"), "[all]");
    assert_eq!(value("proxy-mode"), "iptables", "as upstream shows it");
    assert_eq!(value("detect-local-mode"), "ClusterCIDR");
    assert_eq!(value("iptables-sync-period"), "30s");
    assert_eq!(value("help"), "false");
    assert!(flags.is_sorted());
}
