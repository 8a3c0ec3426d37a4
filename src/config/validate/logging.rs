//! What `logging` may hold.

use super::{FieldErrors, quoted};
use crate::config::features::{FeatureGates, LOGGING_ALPHA_OPTIONS, LOGGING_BETA_OPTIONS};
use crate::config::{GoDuration, LoggingConfiguration, OutputRoutingOptions};

/// The highest verbosity that klog takes.
const MAX_VERBOSITY: u32 = i32::MAX.cast_unsigned();

/// Checks `logging` alone, which has to hold before anything is logged.
///
/// # Errors
/// Names each field that holds what it may not, and what it may.
pub fn validate_logging(
    logging: &LoggingConfiguration,
    gates: &FeatureGates,
) -> Result<(), FieldErrors> {
    let mut errors = FieldErrors::default();
    check(&mut errors, logging, gates, "logging");
    errors.result()
}

pub(super) fn check(
    errors: &mut FieldErrors,
    logging: &LoggingConfiguration,
    gates: &FeatureGates,
    path: &str,
) {
    if logging.flush_frequency.duration <= GoDuration::default() {
        errors.invalid(
            &format!("{path}.flushFrequency"),
            quoted(logging.flush_frequency.duration),
            "Must be greater than zero",
        );
    }
    format(errors, logging, gates, &format!("{path}.format"));
    if logging.verbosity > MAX_VERBOSITY {
        let allowed = format!("Must be <= {MAX_VERBOSITY}");
        errors.invalid(&format!("{path}.verbosity"), logging.verbosity, &allowed);
    }
    vmodule(errors, logging, &format!("{path}.vmodule"));
    routing(
        errors,
        &logging.options.text,
        gates,
        &format!("{path}.options.text"),
    );
    routing(
        errors,
        &logging.options.json,
        gates,
        &format!("{path}.options.json"),
    );
}

fn format(
    errors: &mut FieldErrors,
    logging: &LoggingConfiguration,
    gates: &FeatureGates,
    path: &str,
) {
    match logging.format.as_str() {
        "text" => {}
        "json" if gates.enabled(LOGGING_BETA_OPTIONS) => {}
        "json" => errors.say(
            path,
            &format!("Forbidden: Log format json is disabled, see {LOGGING_BETA_OPTIONS} feature"),
        ),
        other => errors.invalid(path, quoted(other), "Unsupported log format"),
    }
}

fn vmodule(errors: &mut FieldErrors, logging: &LoggingConfiguration, path: &str) {
    if !logging.vmodule.is_empty() && logging.format != "text" {
        errors.say(path, "Forbidden: Only supported for text log format");
    }
    for (at, item) in logging.vmodule.iter().enumerate() {
        let path = format!("{path}[{at}]");
        if item.file_pattern.is_empty() {
            errors.say(&path, "Required value: File pattern must not be empty");
        }
        if item.file_pattern.contains(['=', ',']) {
            errors.invalid(
                &path,
                quoted(&item.file_pattern),
                "File pattern must not contain equal sign or comma",
            );
        }
        if item.verbosity > MAX_VERBOSITY {
            errors.invalid(
                &path,
                item.verbosity,
                &format!("Must be <= {MAX_VERBOSITY}"),
            );
        }
    }
}

fn routing(
    errors: &mut FieldErrors,
    options: &OutputRoutingOptions,
    gates: &FeatureGates,
    path: &str,
) {
    if gates.enabled(LOGGING_ALPHA_OPTIONS) {
        return;
    }
    let disabled = format!("Forbidden: Feature {LOGGING_ALPHA_OPTIONS} is disabled");
    if options.split_stream {
        errors.say(&format!("{path}.splitStream"), &disabled);
    }
    if !options.info_buffer_size.is_zero() {
        errors.say(&format!("{path}.infoBufferSize"), &disabled);
    }
}
