//! What is accepted and does not do what its user may expect: said once, at the start.

use super::Settings;
use crate::addresses;
use crate::config::features::LOCALHOST_NODE_PORTS;
use crate::config::{KubeProxyConfiguration, MODE_IPTABLES, set_defaults};
use rules::model::Family;

/// That no mode is given, which will mean another one some day.
pub fn mode_notice(settings: &Settings) -> Option<String> {
    settings.mode_is_default.then(|| {
        "no proxy mode is given, which means iptables, and nftables from Kubernetes 1.40 on; set mode \
         iptables or nftables to say which one is wanted"
            .to_owned()
    })
}

/// Settings that are accepted and change nothing here.
pub fn notices(settings: &Settings) -> Vec<String> {
    let mut notices = Vec::new();
    let fields = without_effect(&settings.config);
    if !fields.is_empty() {
        notices.push(format!(
            "these settings are accepted and change nothing in kube-proxy-rs: {}",
            fields.join(", ")
        ));
    }
    let gates = settings.gates.without_effect();
    notices.extend(localhost_notice(settings));
    if !gates.is_empty() {
        notices.push(format!(
            "these feature gates are accepted and change nothing in kube-proxy-rs: {}",
            gates.join(", ")
        ));
    }
    notices
}

/// That the feature gate for node ports on loopback addresses alone serves none.
fn localhost_notice(settings: &Settings) -> Option<String> {
    if !settings.gates.enabled(LOCALHOST_NODE_PORTS) {
        return None;
    }
    if !settings.rules.localhost_gate {
        return Some(format!(
            "feature gate {LOCALHOST_NODE_PORTS} is on: it is about mode nftables alone"
        ));
    }
    let configured = &settings.rules.nodeport_addresses;
    let named = |family| addresses::name_localhost(configured, family);
    (!Family::ALL.into_iter().any(named)).then(|| {
        format!(
            "feature gate {LOCALHOST_NODE_PORTS} is on, and nodePortAddresses name neither \
             127.0.0.1 nor ::1: node ports are refused there. Add localhost to nodePortAddresses to \
             have them served"
        )
    })
}

/// The fields that differ from their defaults and mean nothing here.
fn without_effect(config: &KubeProxyConfiguration) -> Vec<&'static str> {
    let mut default = KubeProxyConfiguration::default();
    set_defaults(&mut default);
    // Its periods are nothing in other modes.
    default.ipvs.sync_period = config.ipvs.sync_period;
    let client = &config.client_connection;
    let options = &config.logging.options;
    let iptables = config.mode == MODE_IPTABLES;
    let differs = [
        ("winkernel", config.winkernel != default.winkernel),
        ("windowsRunAsService", config.windows_run_as_service),
        ("ipvs", config.ipvs != default.ipvs),
        (
            "iptables.masqueradeBit",
            !iptables && config.iptables.masquerade_bit != default.iptables.masquerade_bit,
        ),
        (
            "configSyncPeriod",
            config.config_sync_period != default.config_sync_period,
        ),
        (
            "clientConnection.acceptContentTypes",
            !client.accept_content_types.is_empty(),
        ),
        (
            "clientConnection.contentType",
            client.content_type != default.client_connection.content_type
                && client.content_type != "application/json",
        ),
        (
            "logging.flushFrequency",
            config.logging.flush_frequency.duration != default.logging.flush_frequency.duration,
        ),
        (
            "logging.options.text.infoBufferSize",
            !options.text.info_buffer_size.is_zero(),
        ),
        (
            "logging.options.json.infoBufferSize",
            !options.json.info_buffer_size.is_zero(),
        ),
        (
            "showHiddenMetricsForVersion",
            !config.show_hidden_metrics_for_version.is_empty(),
        ),
    ];
    differs
        .into_iter()
        .filter_map(|(field, differs)| differs.then_some(field))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(flags: &[&str]) -> Settings {
        let mut words = vec!["--hostname-override=n1"];
        words.extend(flags);
        Settings::from_flags(&words).expect("valid flags")
    }

    #[test]
    fn what_changes_nothing_is_named_once() {
        assert_eq!(notices(&settings(&[])), Vec::<String>::new());
        assert_eq!(
            notices(&settings(&["--proxy-mode=nftables"])),
            Vec::<String>::new()
        );
        assert_eq!(
            notices(&settings(&[
                "--ipvs-scheduler=rr",
                "--config-sync-period=1h",
                "--feature-gates=EnvFiles=false,AllowServiceExternalIPs=true",
            ])),
            [
                "these settings are accepted and change nothing in kube-proxy-rs: ipvs, \
                 configSyncPeriod",
                "these feature gates are accepted and change nothing in kube-proxy-rs: EnvFiles",
            ]
        );
    }

    #[test]
    fn a_gate_that_serves_nothing_says_so() {
        const GATE: &str = "--feature-gates=KubeProxyNFTablesLocalhostNodePorts=true";
        let told = |flags: &[&str]| notices(&settings(&[&[GATE], flags].concat()));
        let nftables = "--proxy-mode=nftables";
        let [refused] = &told(&[nftables])[..] else {
            panic!("one line");
        };
        assert!(
            refused.contains("node ports are refused there"),
            "{refused}"
        );
        let named = told(&[nftables, "--nodeport-addresses=primary,localhost"]);
        assert_eq!(named, Vec::<String>::new());
        let [other] = &told(&["--proxy-mode=iptables"])[..] else {
            panic!("one line");
        };
        assert!(other.ends_with("is about mode nftables alone"), "{other}");
    }

    #[test]
    fn the_mode() {
        assert_eq!(mode_notice(&settings(&["--proxy-mode=nftables"])), None);
        let unset = mode_notice(&settings(&[])).expect("a notice");
        assert!(unset.starts_with("no proxy mode is given"), "{unset}");
        assert_eq!(mode_notice(&settings(&["--proxy-mode=iptables"])), None);
        let ipvs = Settings::from_flags(&["--proxy-mode=ipvs"]).expect_err("no ipvs here");
        for way in ["use iptables", "or nftables"] {
            assert!(ipvs.to_string().contains(way), "{ipvs}");
        }
    }
}
