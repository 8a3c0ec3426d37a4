//! A configuration file: decoded, completed, validated, written and read again, and made into
//! settings that rules are planned by.

use super::settings::check_rules;
use kube_proxy::config::features::FeatureGates;
use kube_proxy::config::{self, Decoded, MODE_IPVS, decode};
use kube_proxy::options::{Complete, Options};
use kube_proxy::settings::Settings;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Decoded {
        mut config,
        complaints,
    } = match decode(text) {
        Ok(decoded) => decoded,
        Err(error) => return assert!(!error.is_empty()),
    };
    config::set_defaults(&mut config);
    let written = config.to_yaml();
    let again = decode(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
    assert_eq!(again.config.to_yaml(), written);
    assert!(again.complaints.is_empty(), "{:?}", again.complaints);
    let json: Result<serde_json::Value, _> = serde_json::from_str(&config.to_json());
    json.unwrap_or_else(|error| panic!("{error}\n{}", config.to_json()));

    let mode_is_default = config.mode.is_empty();
    config::set_mode_defaults(&mut config);
    let Ok(gates) = FeatureGates::new(&config.feature_gates) else {
        return;
    };
    let is_valid = config::validate_logging(&config.logging, &gates).is_ok()
        && config::validate(&config, &gates).is_ok();
    if !is_valid {
        return;
    }
    let is_ipvs = config.mode == MODE_IPVS;
    let complete = Complete {
        config,
        gates,
        mode_is_default,
        complaints,
        flags: Vec::new(),
    };
    match Settings::new(&Options::default(), complete) {
        Ok(settings) => check_rules(&settings),
        // What was validated leaves nothing to refuse but that mode, and a name of blanks.
        Err(error) => {
            let text = format!("{error:#}");
            assert!(is_ipvs || text.contains("HostnameOverride"), "{text}");
        }
    }
}
