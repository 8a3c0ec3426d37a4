//! What commands with a configuration do first, in upstream's order (docs/reference.md#start).

use crate::options::{Complete, Options};
use crate::{config, logging};
use anyhow::Context;

/// Brings flags and file together; `mode` is for where neither tells one.
pub(super) fn complete(options: &Options, mode: &str) -> anyhow::Result<Complete> {
    for (flag, instead) in options.deprecated() {
        eprintln!("Flag --{flag} has been deprecated, use {instead} instead");
    }
    options.clone().complete(mode).context("failed complete")
}

/// Starts the log, and says what there is to say before anything else is checked.
pub(super) fn start_logging(complete: &Complete) -> anyhow::Result<()> {
    config::validate_logging(&complete.config.logging, &complete.gates)
        .context("initialize logging")?;
    logging::start(&complete.config.logging);
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
    Ok(())
}

pub(super) fn validate(complete: &Complete) -> anyhow::Result<()> {
    config::validate(&complete.config, &complete.gates).context("failed validate")
}
