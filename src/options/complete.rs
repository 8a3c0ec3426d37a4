//! From flags and the file to the configuration that holds.

use super::Options;
use crate::config::features::FeatureGates;
use crate::config::{
    self, KubeProxyConfiguration, LoggingConfiguration, MODE_IPVS, append_port, decode,
};
use anyhow::Context;

/// What flags and file come to.
#[derive(Clone, Debug)]
pub struct Complete {
    /// The configuration, with every default; not validated yet.
    pub config: KubeProxyConfiguration,
    /// The feature gates that it sets.
    pub gates: FeatureGates,
    /// The mode was not given, so that it is a default.
    pub mode_is_default: bool,
    /// What a strict reading of the file refuses, and a lenient one lets pass.
    pub complaints: Vec<String>,
    /// Every flag with its value.
    pub flags: Vec<(&'static str, String)>,
}

impl Options {
    /// Brings flags and file together; `mode` is for where neither tells one.
    ///
    /// # Errors
    /// The file cannot be read or decoded, the node's name is blank, or a feature gate is not to
    /// be set.
    pub fn complete(mut self, mode: &str) -> anyhow::Result<Complete> {
        let mut complaints = Vec::new();
        let flags_before = self.values();
        let mut config = if self.config_file.is_empty() {
            self.flags_alone()
        } else {
            let (mut config, strict) = load(&self.config_file)?;
            complaints = strict;
            self.copy_logging(&mut config.logging);
            config
        };
        if config.mode.is_empty() && !mode.is_empty() {
            let per_mode = config.per_mode();
            mode.clone_into(&mut config.mode);
            config.set_per_mode(per_mode);
        }
        let mode_is_default = config.mode.is_empty();
        config::set_mode_defaults(&mut config);
        self.name_node(&mut config)?;
        let gates = FeatureGates::new(&config.feature_gates).map_err(anyhow::Error::msg)?;
        let flags = if self.config_file.is_empty() {
            // Flags are where upstream keeps its configuration, so defaults show in them.
            self.config.clone_from(&config);
            self.values()
        } else {
            flags_before
        };
        Ok(Complete {
            config,
            gates,
            mode_is_default,
            complaints,
            flags,
        })
    }

    /// The configuration without a file.
    fn flags_alone(&self) -> KubeProxyConfiguration {
        let mut config = self.config.clone();
        if self.write_config_to.is_empty() {
            // The deprecated flags give the port that an address lacks, and 0 takes the address
            // away.
            let addresses = [
                (&mut config.healthz_bind_address, self.healthz_port),
                (&mut config.metrics_bind_address, self.metrics_port),
            ];
            for (address, port) in addresses {
                *address = match port {
                    0 => String::new(),
                    port => append_port(address, port),
                };
            }
        }
        let ipvs = config.mode == MODE_IPVS;
        let mut per_mode = self.config.per_mode();
        // Whatever the mode, upstream begins with the defaults of iptables.
        per_mode.sync_period = self.config.iptables.sync_period;
        per_mode.min_sync_period = self.config.iptables.min_sync_period;
        per_mode.masquerade_all = self.masquerade_all;
        let periods = if ipvs {
            ("ipvs", self.ipvs_sync_period, self.ipvs_min_sync_period)
        } else {
            (
                "iptables",
                self.iptables_sync_period,
                self.iptables_min_sync_period,
            )
        };
        if self.is_set(&format!("{}-sync-period", periods.0)) {
            per_mode.sync_period = periods.1;
        }
        if self.is_set(&format!("{}-min-sync-period", periods.0)) {
            per_mode.min_sync_period = periods.2;
        }
        config.set_per_mode(per_mode);
        if self.is_set("cluster-cidr") {
            config.cluster_cidrs = self.cluster_cidr.split(',').map(str::to_owned).collect();
        }
        config
    }

    /// Flags of the log that were given go before what the file says.
    fn copy_logging(&self, to: &mut LoggingConfiguration) {
        let from = &self.config.logging;
        if self.is_set("logging-format") {
            to.format.clone_from(&from.format);
        }
        if self.is_set("log-flush-frequency") {
            to.flush_frequency.duration = from.flush_frequency.duration;
        }
        if self.is_set("v") {
            to.verbosity = from.verbosity;
        }
        let mut vmodule = from.vmodule.clone();
        vmodule.append(&mut to.vmodule);
        to.vmodule = vmodule;
        let options = [
            ("text", &from.options.text, &mut to.options.text),
            ("json", &from.options.json, &mut to.options.json),
        ];
        for (name, from, to) in options {
            if self.is_set(&format!("log-{name}-split-stream")) {
                to.split_stream = from.split_stream;
            }
            if self.is_set(&format!("log-{name}-info-buffer-size")) {
                to.info_buffer_size = from.info_buffer_size;
            }
        }
    }

    /// `--hostname-override` goes before what the file says.
    fn name_node(&self, config: &mut KubeProxyConfiguration) -> anyhow::Result<()> {
        if self.hostname_override.is_empty() {
            return Ok(());
        }
        let name = self.hostname_override.trim();
        anyhow::ensure!(!name.is_empty(), "empty hostname-override is invalid");
        config.hostname_override = name.to_lowercase();
        Ok(())
    }
}

/// Reads a file; what a strict decoder would refuse comes with it.
fn load(path: &str) -> anyhow::Result<(KubeProxyConfiguration, Vec<String>)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("open {path}"))?;
    let decoded = decode(&text)
        .map_err(|error| anyhow::anyhow!("failed to decode: {error}"))
        .with_context(|| format!("--config {path}"))?;
    let mut config = decoded.config;
    config::set_defaults(&mut config);
    // It means nothing any more, and upstream does not keep it.
    config.port_range.clear();
    let per_mode = config.per_mode();
    config.set_per_mode(per_mode);
    Ok((config, decoded.complaints))
}
