//! The command line: upstream's flags, and how they and a configuration file come together
//! (docs/reference.md#command-line).
//!
//! A file, where one is given, is all that counts: of the flags only those that are no part of
//! the file do, the node's name, and those of the log.

mod complete;
pub mod flags;
#[cfg(test)]
mod tests;
mod value;
mod version;

pub use complete::Complete;
pub use version::Version;

use crate::config::{self, GoDuration, KubeProxyConfiguration};
use crate::pflag::{self, FlagValue, UsageError};
use clap::ArgMatches;
use flags::Flag;
use std::collections::BTreeSet;

/// Three time series for each: what a node's kubelet tells of thirty pods.
const SERVICE_METRICS_LIMIT: i32 = 500;

/// What flags set: those of upstream's kube-proxy, `--manifests` and `--service-metrics`.
#[derive(Clone, Debug)]
pub struct Options {
    /// `--version`.
    pub version: Version,
    /// `--config`.
    pub config_file: String,
    /// `--write-config-to`.
    pub write_config_to: String,
    /// `--cleanup`.
    pub cleanup: bool,
    /// `--init-only`.
    pub init_only: bool,
    /// `--master`.
    pub master: String,
    /// `--manifests`.
    pub manifests: String,
    /// `--service-metrics`.
    pub service_metrics: bool,
    /// `--service-metrics-limit`.
    pub service_metrics_limit: i32,
    hostname_override: String,
    healthz_port: i32,
    metrics_port: i32,
    cluster_cidr: String,
    masquerade_all: bool,
    iptables_sync_period: GoDuration,
    iptables_min_sync_period: GoDuration,
    ipvs_sync_period: GoDuration,
    ipvs_min_sync_period: GoDuration,
    /// What flags set of the configuration.
    config: KubeProxyConfiguration,
    /// The flags that were given.
    changed: BTreeSet<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        let mut config = KubeProxyConfiguration::default();
        config::set_defaults(&mut config);
        let per_mode = config.per_mode();
        Self {
            version: Version::Unset,
            config_file: String::new(),
            write_config_to: String::new(),
            cleanup: false,
            init_only: false,
            master: String::new(),
            manifests: String::new(),
            service_metrics: false,
            service_metrics_limit: SERVICE_METRICS_LIMIT,
            hostname_override: String::new(),
            healthz_port: 10256,
            metrics_port: 10249,
            cluster_cidr: String::new(),
            masquerade_all: per_mode.masquerade_all,
            iptables_sync_period: per_mode.sync_period,
            iptables_min_sync_period: per_mode.min_sync_period,
            ipvs_sync_period: per_mode.sync_period,
            ipvs_min_sync_period: per_mode.min_sync_period,
            config,
            changed: BTreeSet::new(),
        }
    }
}

impl Options {
    /// What was given of flags in [`flags`]; a command need not have all of them.
    pub fn new(matches: &ArgMatches) -> Self {
        let mut options = Self::default();
        options.add(matches);
        options
    }

    /// Adds what was given of flags, as if they stood behind those of before.
    pub fn add(&mut self, matches: &ArgMatches) {
        for flag in all() {
            // A flag that the command does not have is an error here, and was not given.
            if matches.try_contains_id(flag.name).unwrap_or(false) {
                (flag.set)(self, matches, flag.name);
                self.changed.insert(flag.name);
            }
        }
    }

    /// Whether one of the flags says where objects come from.
    pub fn names_a_source(&self) -> bool {
        ["config", "kubeconfig", "manifests", "master"]
            .iter()
            .any(|flag| self.is_set(flag))
    }

    /// What these words, all flags of the daemon, set.
    ///
    /// # Errors
    /// The first word that is no flag, or has a value that is none of its flag's.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, UsageError> {
        let defaults = Self::default();
        let args = flags::ALL.iter().flat_map(|group| group.args(&defaults));
        let command = clap::Command::new("kube-proxy").args(args);
        pflag::matches(command, words).map(|matches| Self::new(&matches))
    }

    fn is_set(&self, flag: &str) -> bool {
        self.changed.contains(flag)
    }

    /// The deprecated flags that were given, with what to use instead.
    pub fn deprecated(&self) -> Vec<(&'static str, &'static str)> {
        let given = all().filter(|flag| self.is_set(flag.name));
        given
            .filter_map(|flag| Some((flag.name, flag.instead?)))
            .collect()
    }

    /// Every flag with its value, as `/flagz` shows them.
    pub fn values(&self) -> Vec<(&'static str, String)> {
        let mut values: Vec<(&'static str, String)> =
            all().map(|flag| (flag.name, (flag.show)(self))).collect();
        // With it nothing runs that could be asked.
        values.push(("help", false.show()));
        values.sort_unstable();
        values
    }
}

fn all() -> impl Iterator<Item = &'static Flag> {
    flags::ALL.iter().flat_map(|group| group.flags)
}
