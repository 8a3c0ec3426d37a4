//! The command line: upstream's flags, and how they and a configuration file come together
//! (docs/reference.md#command-line).
//!
//! A file, where one is given, is all that counts: of the flags only those that are no part of
//! the file do, the node's name, and those of the log.

mod complete;
mod flags;
mod help;
mod list;
mod parse;
#[cfg(test)]
mod tests;
mod value;
mod version;

pub use complete::Complete;
pub use help::usage;
pub use parse::{ParseError, parse};
pub use version::Version;

use crate::config::{self, GoDuration, KubeProxyConfiguration};
use rules::model::Family;
use std::collections::BTreeSet;

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Command {
    /// Run as the node's daemon.
    #[default]
    Daemon,
    /// Print the ruleset that manifests lead to, as text that `nft -f` loads.
    Render,
}

/// The command line's content.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to do.
    pub command: Command,
    /// `--help`.
    pub help: bool,
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
    /// `--family`.
    pub family: OneFamily,
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

/// `--family`: nothing, or one of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OneFamily(pub Option<Family>);

impl value::FlagValue for OneFamily {
    const TYPE: &'static str = "family";

    fn set(&mut self, text: &str) -> Result<(), String> {
        self.0 = Some(match text {
            "ipv4" => Family::V4,
            "ipv6" => Family::V6,
            _ => return Err("allowed: ipv4, ipv6".to_owned()),
        });
        Ok(())
    }

    fn show(&self) -> String {
        self.0.map(Family::label).unwrap_or_default().to_lowercase()
    }
}

impl Default for Options {
    fn default() -> Self {
        let mut config = KubeProxyConfiguration::default();
        config::set_defaults(&mut config);
        let per_mode = config.per_mode();
        Self {
            command: Command::Daemon,
            help: false,
            version: Version::Unset,
            config_file: String::new(),
            write_config_to: String::new(),
            cleanup: false,
            init_only: false,
            master: String::new(),
            manifests: String::new(),
            family: OneFamily(None),
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
    fn is_set(&self, flag: &str) -> bool {
        self.changed.contains(flag)
    }

    /// The deprecated flags that were given, with what to use instead.
    pub fn deprecated(&self) -> Vec<(&'static str, &'static str)> {
        let given = flags::FLAGS.iter().filter(|flag| self.is_set(flag.name));
        given
            .filter_map(|flag| Some((flag.name, flag.instead?)))
            .collect()
    }

    /// Every flag with its value, as `/flagz` shows them.
    pub fn values(&self) -> Vec<(&'static str, String)> {
        let fits = |flag: &&flags::Flag| flag.name != "family";
        let mut values: Vec<(&'static str, String)> = flags::FLAGS
            .iter()
            .filter(fits)
            .map(|flag| (flag.name, (flag.show)(self)))
            .collect();
        values.push(("help", self.help.to_string()));
        values.push(("version", self.version.show()));
        values.sort_unstable();
        values
    }
}
