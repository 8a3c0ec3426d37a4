//! How local traffic is detected.

use super::{FieldErrors, ROOT, list, quoted};
use crate::config::{KubeProxyConfiguration, parse_cidr};
use ipnet::IpNet;

/// Checks what the mode of detection asks for.
pub(super) fn check(errors: &mut FieldErrors, config: &KubeProxyConfiguration) {
    let path = format!("{ROOT}.DetectLocalConfiguration");
    let local = &config.detect_local;
    match config.detect_local_mode.as_str() {
        "" | "NodeCIDR" => {}
        "ClusterCIDR" => {
            if !config.cluster_cidrs.is_empty() {
                cluster_cidrs(
                    errors,
                    &format!("{path}.ClusterCIDRs"),
                    &config.cluster_cidrs,
                );
            }
        }
        "BridgeInterface" => {
            interface(
                errors,
                &format!("{path}.InterfaceName"),
                &local.bridge_interface,
            );
        }
        "InterfaceNamePrefix" => {
            interface(
                errors,
                &format!("{path}.InterfacePrefix"),
                &local.interface_name_prefix,
            );
        }
        other => errors.say(
            &format!("{ROOT}.DetectLocalMode"),
            &format!(
                "Unsupported value: {other:?}: supported values: \"ClusterCIDR\", \"NodeCIDR\", \
                 \"BridgeInterface\", \"InterfaceNamePrefix\", \"\""
            ),
        ),
    }
}

fn cluster_cidrs(errors: &mut FieldErrors, path: &str, ranges: &[String]) {
    let pair = "must be a either a single CIDR or dual-stack pair of CIDRs \
                (e.g. [10.100.0.0/16, fde4:8dba:82e1::/48]";
    if ranges.len() > 2 {
        errors.invalid(path, list(ranges), pair);
        return;
    }
    let mut families = Vec::new();
    for (at, range) in ranges.iter().enumerate() {
        match parse_cidr(range) {
            Some(range) => families.push(matches!(range, IpNet::V4(_))),
            None => errors.invalid(
                &format!("{path}[{at}]"),
                quoted(range),
                "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)",
            ),
        }
    }
    if let [first, second] = families[..]
        && first == second
    {
        errors.invalid(path, list(ranges), pair);
    }
}

/// An interface's name or what it begins with: what the kernel takes, without what nftables
/// would read as something else. Upstream refuses the empty name alone.
fn interface(errors: &mut FieldErrors, path: &str, name: &str) {
    /// `IFNAMSIZ` without the closing NUL.
    const MAX: usize = 15;
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/' | '*');
    if name.is_empty() {
        errors.invalid(path, quoted(name), "must not be empty");
    } else if name.len() > MAX || !name.chars().all(plain) {
        let allowed = format!("must be the name of an interface (1 to {MAX} characters)");
        errors.invalid(path, quoted(name), &allowed);
    }
}
