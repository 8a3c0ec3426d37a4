//! What the daemon's flags ask for.

use crate::cleanup;
use crate::cli::startup;
use crate::config::ConfigFile;
use crate::options::{Complete, Options};
use crate::proxy::daemon;
use crate::settings::Settings;
use anyhow::Context;

pub(super) fn start(options: &Options) -> anyhow::Result<()> {
    let complete = startup::complete(options, "")?;
    // Before anything is done by what it says, so that no change of it is missed.
    let config_file = match options.config_file.as_str() {
        "" => None,
        path => Some(ConfigFile::watch(path.as_ref())?),
    };
    startup::start_logging(&complete)?;
    startup::validate(&complete)?;
    if !options.write_config_to.is_empty() {
        return write_config(&options.write_config_to, &complete);
    }
    if options.cleanup {
        return cleanup::everything();
    }
    daemon::run(Settings::new(options, complete)?, config_file)
}

fn write_config(path: &str, complete: &Complete) -> anyhow::Result<()> {
    std::fs::write(path, complete.config.to_yaml())
        .with_context(|| format!("--write-config-to {path}"))?;
    tracing::info!("Wrote configuration to {path}");
    Ok(())
}
