//! The types of flags' values that the configuration has, and what upstream's flags take of them.

use crate::config::{GoDuration, Quantity, VModuleItem, parse_ip, split_host_port};
use crate::logging::parse_level;
use crate::pflag::{FlagValue, parse_uint, quote};

impl FlagValue for GoDuration {
    const TYPE: &'static str = "duration";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl FlagValue for Quantity {
    const TYPE: &'static str = "quantity";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// A log level.
impl FlagValue for u32 {
    const TYPE: &'static str = "Level";

    fn parse(text: &str) -> Result<Self, String> {
        parse_level(text)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// `pattern=N,other=M`; further occurrences add to it.
impl FlagValue for Vec<VModuleItem> {
    const TYPE: &'static str = "pattern=N,...";

    fn parse(text: &str) -> Result<Self, String> {
        let item = |pair: &str| {
            let (pattern, level) = pair
                .split_once('=')
                .filter(|(pattern, level)| {
                    !pattern.is_empty() && !level.is_empty() && !level.contains('=')
                })
                .ok_or_else(|| format!("{} does not have the pattern=N format", quote(pair)))?;
            let verbosity = parse_level(level)
                .map_err(|error| format!("parsing verbosity in {}: {error}", quote(pair)))?;
            Ok(VModuleItem {
                file_pattern: pattern.to_owned(),
                verbosity,
            })
        };
        let pairs = text.split(',').filter(|pair| !pair.is_empty());
        pairs.map(item).collect()
    }

    fn add(&mut self, mut next: Self) {
        self.append(&mut next);
    }

    fn show(&self) -> String {
        let pair = |item: &VModuleItem| format!("{}={}", item.file_pattern, item.verbosity);
        self.iter().map(pair).collect::<Vec<_>>().join(",")
    }
}

/// An IP address, or nothing.
pub(super) fn ip(text: &str) -> Result<String, String> {
    if !text.is_empty() && parse_ip(text).is_none() {
        return Err(format!("{} is not a valid IP address", quote(text)));
    }
    Ok(text.to_owned())
}

/// An IP address with or without a port, or nothing.
pub(super) fn ip_port(text: &str) -> Result<String, String> {
    if !text.is_empty() && parse_ip(text).is_none() {
        let (host, port) = split_host_port(text).ok_or_else(|| {
            let (text, why) = (quote(text), not_host_and_port(text));
            format!("{text} is not in a valid format (ip or ip:port): {why}")
        })?;
        if parse_ip(host).is_none() {
            return Err(format!("{} is not a valid IP address", quote(host)));
        }
        if parse_uint(port, 16).is_err() {
            return Err(format!("{} is not a valid number", quote(port)));
        }
    }
    Ok(text.to_owned())
}

/// What Go's `SplitHostPort` says of a text that [`split_host_port`] does not take.
fn not_host_and_port(text: &str) -> String {
    let bracketed = text.strip_prefix('[').map(|rest| rest.split_once(']'));
    let why = match bracketed {
        Some(None) => "missing ']' in address",
        Some(Some((_, ""))) => "missing port in address",
        Some(Some((_, after))) if after.starts_with(':') => "too many colons in address",
        None if text.matches(':').count() > 1 => "too many colons in address",
        _ if !text.contains(':') => "missing port in address",
        _ if text[1..].contains('[') => "unexpected '[' in address",
        _ => "unexpected ']' in address",
    };
    format!("address {text}: {why}")
}

/// Takes an address; nothing leaves what there is.
pub(super) fn set_address(address: &mut String, next: String) {
    if !next.is_empty() {
        *address = next;
    }
}
