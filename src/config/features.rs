//! Feature gates: which are known, which are on, and which mean something here.

mod table;

use std::collections::{BTreeMap, BTreeSet};

/// Off: Services' external IPs get no rules.
pub const ALLOW_SERVICE_EXTERNAL_IPS: &str = "AllowServiceExternalIPs";
/// On: `/flagz` is served.
pub const COMPONENT_FLAGZ: &str = "ComponentFlagz";
/// On: `/statusz` is served.
pub const COMPONENT_STATUSZ: &str = "ComponentStatusz";
/// On: `mode: ipvs` passes validation.
pub const KUBE_PROXY_IPVS: &str = "KubeProxyIPVS";
/// On: upstream serves node ports on loopback addresses.
pub const LOCALHOST_NODE_PORTS: &str = "KubeProxyNFTablesLocalhostNodePorts";
/// On: streams may be split and buffered.
pub const LOGGING_ALPHA_OPTIONS: &str = "LoggingAlphaOptions";
/// On: the log may be JSON.
pub const LOGGING_BETA_OPTIONS: &str = "LoggingBetaOptions";

/// Sets all alpha gates that are not set themselves.
const ALL_ALPHA: &str = "AllAlpha";
/// Sets all beta gates that are not set themselves.
const ALL_BETA: &str = "AllBeta";
/// Those with an effect here.
const EFFECTIVE: [&str; 8] = [
    ALL_ALPHA,
    ALL_BETA,
    ALLOW_SERVICE_EXTERNAL_IPS,
    COMPONENT_FLAGZ,
    COMPONENT_STATUSZ,
    KUBE_PROXY_IPVS,
    LOGGING_ALPHA_OPTIONS,
    LOGGING_BETA_OPTIONS,
];

/// Which gates are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureGates {
    set: BTreeMap<String, bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Alpha,
    Beta,
    Stable,
    Locked,
}

impl FeatureGates {
    /// Takes what the configuration sets.
    ///
    /// # Errors
    /// A gate is unknown, is locked to the other value, or is on while one that it depends on is
    /// off.
    pub fn new(set: &BTreeMap<String, bool>) -> Result<Self, String> {
        let mut errors = Vec::new();
        for (name, on) in set {
            if name == ALL_ALPHA || name == ALL_BETA {
                continue;
            }
            match look_up(name) {
                None => return Err(format!("unrecognized feature gate: {name}")),
                Some((Stage::Locked, default)) if default != *on => errors.push(format!(
                    "cannot set feature gate {name} to {on}, feature is locked to {default}"
                )),
                Some(_) => {}
            }
        }
        let gates = Self { set: set.clone() };
        if errors.is_empty() {
            errors = gates.missing_dependencies();
        }
        match &errors[..] {
            [] => Ok(gates),
            [one] => Err(one.clone()),
            several => Err(format!("[{}]", several.join(", "))),
        }
    }

    /// Whether a gate is on; one that is not known is off.
    pub fn enabled(&self, name: &str) -> bool {
        if let Some(on) = self.set.get(name) {
            return *on;
        }
        let all = |name: &str| self.set.get(name).copied();
        match look_up(name) {
            None => false,
            Some((Stage::Alpha, default)) => all(ALL_ALPHA).unwrap_or(default),
            Some((Stage::Beta, default)) => all(ALL_BETA).unwrap_or(default),
            Some((Stage::Stable | Stage::Locked, default)) => default,
        }
    }

    /// The gates that are set and mean nothing here.
    pub fn without_effect(&self) -> Vec<&str> {
        let names = self.set.keys().map(String::as_str);
        names.filter(|name| !EFFECTIVE.contains(name)).collect()
    }

    fn missing_dependencies(&self) -> Vec<String> {
        let mut errors = Vec::new();
        for (name, needed) in table::DEPENDENCIES {
            let off: BTreeSet<&str> = needed
                .split_whitespace()
                .filter(|needed| !self.enabled(needed))
                .collect();
            if self.enabled(name) && !off.is_empty() {
                let off: Vec<&str> = off.into_iter().collect();
                errors.push(format!(
                    "{name} is enabled, but depends on features that are disabled: [{}]",
                    off.join(" ")
                ));
            }
        }
        errors
    }
}

/// Every known gate with its default.
pub fn known() -> impl Iterator<Item = (&'static str, bool)> {
    GROUPS
        .iter()
        .flat_map(|(names, _, default)| names.split_whitespace().map(|name| (name, *default)))
}

const GROUPS: [(&str, Stage, bool); 6] = [
    (table::ALPHA, Stage::Alpha, false),
    (table::BETA_ON, Stage::Beta, true),
    (table::BETA_OFF, Stage::Beta, false),
    (table::STABLE, Stage::Stable, true),
    (table::LOCKED_ON, Stage::Locked, true),
    (table::LOCKED_OFF, Stage::Locked, false),
];

fn look_up(name: &str) -> Option<(Stage, bool)> {
    let holds = |names: &str| names.split_whitespace().any(|known| known == name);
    let group = GROUPS.iter().find(|(names, ..)| holds(names))?;
    Some((group.1, group.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates(set: &[(&str, bool)]) -> Result<FeatureGates, String> {
        let set = set.iter().map(|(name, on)| ((*name).to_owned(), *on));
        FeatureGates::new(&set.collect())
    }

    #[test]
    fn defaults_and_what_is_set() {
        let default = gates(&[]).expect("nothing is wrong with nothing");
        assert!(default.enabled(KUBE_PROXY_IPVS));
        assert!(default.enabled(LOGGING_BETA_OPTIONS));
        assert!(default.enabled(ALLOW_SERVICE_EXTERNAL_IPS));
        assert!(!default.enabled(LOGGING_ALPHA_OPTIONS));
        assert!(!default.enabled(LOCALHOST_NODE_PORTS));
        let set = gates(&[("AllBeta", false), (COMPONENT_FLAGZ, true)]).expect("known ones");
        assert!(!set.enabled(LOGGING_BETA_OPTIONS));
        assert!(set.enabled(COMPONENT_FLAGZ), "what is set itself counts");
        let set = gates(&[("LoggingAlphaOptions", true), ("EnvFiles", false)]).expect("known");
        assert!(set.enabled(LOGGING_ALPHA_OPTIONS));
        assert_eq!(set.without_effect(), ["EnvFiles"]);
    }

    #[test]
    fn refused() {
        for (set, says) in [
            (&[("Nope", true)][..], "unrecognized feature gate: Nope"),
            (
                &[("NFTablesProxyMode", false)],
                "cannot set feature gate NFTablesProxyMode to false, feature is locked to true",
            ),
            (
                &[("GitRepoVolumeDriver", true), ("WinDSR", false)],
                "[cannot set feature gate GitRepoVolumeDriver to true, feature is locked to false, \
                 cannot set feature gate WinDSR to false, feature is locked to true]",
            ),
            (
                &[("DRAWorkloadResourceClaims", true)],
                "DRAWorkloadResourceClaims is enabled, but depends on features that are disabled: \
                 [GenericWorkload]",
            ),
        ] {
            assert_eq!(gates(set).expect_err(says), says);
        }
    }
}
