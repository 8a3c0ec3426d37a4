//! Feature gates: which are known, which are on, and which mean something here.

use std::collections::BTreeMap;

/// Off: Services' external IPs get no rules.
pub const ALLOW_SERVICE_EXTERNAL_IPS: &str = "AllowServiceExternalIPs";
/// On: `/flagz` is served.
pub const COMPONENT_FLAGZ: &str = "ComponentFlagz";
/// On: `/statusz` is served.
pub const COMPONENT_STATUSZ: &str = "ComponentStatusz";
/// On: `mode: ipvs` passes validation.
pub const KUBE_PROXY_IPVS: &str = "KubeProxyIPVS";
/// On: in mode nftables node ports on loopback addresses are served, or refused and counted.
pub const LOCALHOST_NODE_PORTS: &str = "KubeProxyNFTablesLocalhostNodePorts";
/// On: streams may be split and buffered.
pub const LOGGING_ALPHA_OPTIONS: &str = "LoggingAlphaOptions";
/// On: the log may be JSON.
pub const LOGGING_BETA_OPTIONS: &str = "LoggingBetaOptions";

/// Sets all alpha gates that are not set themselves.
const ALL_ALPHA: &str = "AllAlpha";
/// Sets all beta gates that are not set themselves.
const ALL_BETA: &str = "AllBeta";

/// The gates that kube-proxy knows: those of every Kubernetes component, as clusters give one list
/// to all of them. `make gates` takes them from upstream's source and `make compare` looks whether
/// they are still the same.
const KNOWN: &str = include_str!("features/gates.txt");

/// The gates that upstream's kube-proxy itself asks for, and whether setting them changes anything
/// here: the rest are for rules that this one has in any case, or lacks.
const OF_KUBE_PROXY: [(&str, bool); 12] = [
    (ALL_ALPHA, true),
    (ALL_BETA, true),
    (ALLOW_SERVICE_EXTERNAL_IPS, true),
    (COMPONENT_FLAGZ, true),
    (COMPONENT_STATUSZ, true),
    (KUBE_PROXY_IPVS, true),
    (LOCALHOST_NODE_PORTS, true),
    (LOGGING_ALPHA_OPTIONS, true),
    (LOGGING_BETA_OPTIONS, true),
    ("MultiCIDRServiceAllocator", false),
    ("NFTablesProxyMode", false),
    ("PreferSameTrafficDistribution", false),
];

/// Which gates are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureGates {
    set: BTreeMap<String, bool>,
}

/// One of [`KNOWN`]: a line of words.
struct Gate {
    /// As `kubernetes_feature_enabled` has it; nothing for a stable one.
    stage: &'static str,
    default: bool,
    is_locked: bool,
    /// The gates that have to be on where it is.
    needs: Vec<&'static str>,
}

impl Gate {
    fn parse(mut words: impl Iterator<Item = &'static str>) -> Option<Self> {
        let stage = match words.next()? {
            "alpha" => "ALPHA",
            "beta" => "BETA",
            "deprecated" => "DEPRECATED",
            _ => "",
        };
        let default = words.next()? == "on";
        let mut words = words.peekable();
        let is_locked = words.next_if_eq(&"locked").is_some();
        let needs = words.skip(1).collect();
        Some(Self {
            stage,
            default,
            is_locked,
            needs,
        })
    }
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
            let gate = look_up(name).ok_or_else(|| format!("unrecognized feature gate: {name}"))?;
            if gate.is_locked && gate.default != *on {
                errors.push(format!(
                    "cannot set feature gate {name} to {on}, feature is locked to {}",
                    gate.default
                ));
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
        let Some(gate) = look_up(name) else {
            return false;
        };
        let all = match gate.stage {
            "ALPHA" => self.set.get(ALL_ALPHA),
            "BETA" => self.set.get(ALL_BETA),
            _ => None,
        };
        all.copied().unwrap_or(gate.default)
    }

    /// The gates that are set and mean nothing here.
    pub fn without_effect(&self) -> Vec<&str> {
        let has_effect = |name: &&str| OF_KUBE_PROXY.contains(&(*name, true));
        let names = self.set.keys().map(String::as_str);
        names.filter(|name| !has_effect(name)).collect()
    }

    /// Name, stage and whether it is on, of each gate that upstream's kube-proxy asks for: what
    /// `kubernetes_feature_enabled` shows (docs/reference.md#feature-gates).
    pub fn of_kube_proxy(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        OF_KUBE_PROXY.iter().map(|(name, _)| {
            let stage = match *name {
                ALL_ALPHA => "ALPHA",
                ALL_BETA => "BETA",
                name => look_up(name).map_or("", |gate| gate.stage),
            };
            (*name, stage, self.enabled(name))
        })
    }

    fn missing_dependencies(&self) -> Vec<String> {
        let mut errors = Vec::new();
        for (name, gate) in known() {
            let is_off = |needed: &&str| !self.enabled(needed);
            let off: Vec<&str> = gate.needs.into_iter().filter(is_off).collect();
            if !off.is_empty() && self.enabled(name) {
                errors.push(format!(
                    "{name} is enabled, but depends on features that are disabled: [{}]",
                    off.join(" ")
                ));
            }
        }
        errors
    }
}

fn known() -> impl Iterator<Item = (&'static str, Gate)> {
    KNOWN.lines().filter_map(|line| {
        let (name, words) = line.split_once(' ')?;
        Some((name, Gate::parse(words.split(' '))?))
    })
}

fn look_up(name: &str) -> Option<Gate> {
    known().find_map(|(known, gate)| (known == name).then_some(gate))
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
    fn every_line_is_a_gate_and_what_it_needs_is_one() {
        assert_eq!(known().count(), KNOWN.lines().count());
        for (name, gate) in known() {
            for needed in gate.needs {
                assert!(look_up(needed).is_some(), "{name} needs {needed}");
            }
        }
        for (name, stage, _) in FeatureGates::default().of_kube_proxy() {
            let of_all = [(ALL_ALPHA, "ALPHA"), (ALL_BETA, "BETA")].contains(&(name, stage));
            assert!(of_all || look_up(name).is_some(), "{name}");
        }
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
