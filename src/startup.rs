//! From the command line to whatever it asks for, in upstream's order (docs/reference.md#start).

use crate::config::ConfigFile;
use crate::options::{Command, Complete, Options};
use crate::proxy::daemon;
use crate::settings::Settings;
use crate::{cleanup, config, logging, render};
use anyhow::Context;

/// Does what the flags ask for; as the daemon it returns at its end.
///
/// # Errors
/// Flags or file are wrong, or what was asked for cannot be done.
pub fn run(options: Options) -> anyhow::Result<()> {
    for (flag, instead) in options.deprecated() {
        eprintln!("Flag --{flag} has been deprecated, use {instead} instead");
    }
    let complete = options.clone().complete().context("failed complete")?;
    // Before anything is done by what it says, so that no change of it is missed.
    let config_file = match options.config_file.as_str() {
        "" => None,
        path => Some(ConfigFile::watch(path.as_ref())?),
    };
    config::validate_logging(&complete.config.logging, &complete.gates)
        .context("initialize logging")?;
    logging::start(&complete.config.logging);
    tell(&complete);
    config::validate(&complete.config, &complete.gates).context("failed validate")?;
    if !options.write_config_to.is_empty() {
        return write_config(&options.write_config_to, &complete);
    }
    if options.cleanup {
        return cleanup::everything();
    }
    let settings = Settings::new(&options, complete)?;
    match options.command {
        Command::Render => {
            render::render(&settings, options.family.0, &mut std::io::stdout().lock())
        }
        Command::Daemon => daemon::run(settings, config_file),
    }
}

/// What there is to say before anything is checked.
fn tell(complete: &Complete) {
    if !complete.complaints.is_empty() {
        tracing::error!(
            "Using lenient decoding as strict decoding failed: strict decoding error: {}",
            complete.complaints.join(", ")
        );
    }
    if logging::verbosity() >= 1 {
        for (name, value) in &complete.flags {
            tracing::info!("FLAG: --{name}={value:?}");
        }
    }
}

fn write_config(path: &str, complete: &Complete) -> anyhow::Result<()> {
    std::fs::write(path, complete.config.to_yaml())
        .with_context(|| format!("--write-config-to {path}"))?;
    tracing::info!("Wrote configuration to {path}");
    Ok(())
}
