use super::*;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

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

/// Texts of many kinds: those that YAML takes for something else, those that need quotes, and those
/// that are folded.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,8}",
        "[-?:,#&*!|>'\"%@`{}\\[\\] a\\n\\t]{0,8}",
        "[-+]?[0-9._:xob]{1,6}|~|null|\\.inf|2001-0?1-01|<<|=",
        "([a-z]{1,9} {1,2}){9,20}[a-z:]",
    ]
    .prop_filter("a bool for the reader, in any case of letters", |text| {
        let words = ["y", "yes", "on", "true", "n", "no", "off", "false"];
        words.iter().all(|word| !word.eq_ignore_ascii_case(text))
    })
}

fn duration() -> impl Strategy<Value = GoDuration> {
    any::<i64>().prop_map(GoDuration::from_nanos)
}

prop_compose! {
    fn configuration()(
        (kubeconfig, content_type, scheduler) in (text(), text(), text()),
        (qps, burst) in (any::<f32>().prop_filter("JSON has no other", |qps| qps.is_finite()), any::<i32>()),
        feature_gates in btree_map(text(), any::<bool>(), 0..3),
        vmodule in vec((text(), any::<u32>()), 0..3),
        (duration, is_number) in (duration(), any::<bool>()),
        // None and one text without a comma are what a text of no parts or of one reads as.
        cluster_cidrs in vec("[0-9a-f:./]{1,6}", 0..3),
        node_port_addresses in option::of(vec(text(), 0..3)),
        (oom_score_adj, sync_period) in (option::of(any::<i32>()), duration()),
        tcp_established_timeout in option::of(duration()),
        (windows_run_as_service, tcp_be_liberal) in (any::<bool>(), any::<bool>()),
    ) -> KubeProxyConfiguration {
        let modules = vmodule.into_iter();
        let module = |(file_pattern, verbosity)| VModuleItem { file_pattern, verbosity };
        KubeProxyConfiguration {
            feature_gates,
            client_connection: ClientConnectionConfiguration {
                kubeconfig,
                content_type,
                qps,
                burst,
                ..Default::default()
            },
            logging: LoggingConfiguration {
                flush_frequency: TimeOrMetaDuration { duration, is_number },
                vmodule: modules.map(module).collect(),
                ..Default::default()
            },
            ipvs: KubeProxyIPVSConfiguration {
                scheduler,
                sync_period,
                ..Default::default()
            },
            conntrack: KubeProxyConntrackConfiguration {
                tcp_established_timeout,
                tcp_be_liberal,
                ..Default::default()
            },
            cluster_cidrs,
            node_port_addresses,
            oom_score_adj,
            windows_run_as_service,
            ..Default::default()
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_again(config in configuration()) {
        for written in [config.to_yaml(), config.to_json()] {
            let again = decode(&written);
            let expected = Decoded { config: config.clone(), complaints: Vec::new() };
            prop_assert_eq!(again, Ok(expected), "{}", written);
        }
    }
}
