//! From flags to the rules' settings.

use crate::addresses;
use crate::options::{DetectLocalMode, RuleOptions};
use anyhow::{Context, bail};
use ipnet::IpNet;
use rules::model::{Family, Node};
use rules::{Config, LocalDetector};
use std::sync::Arc;

/// This node's name: the override or the host's own, trimmed and lower case,
/// as the kubelet registers it.
///
/// # Errors
/// There is nothing left of it.
pub fn node_name(options: &RuleOptions) -> anyhow::Result<Arc<str>> {
    let name = match &options.hostname_override {
        Some(name) => name.clone(),
        None => nix::unistd::gethostname()
            .context("reading the host's name")?
            .to_string_lossy()
            .into_owned(),
    };
    let name = name.trim().to_lowercase();
    if name.is_empty() {
        bail!("--hostname-override: the node's name is empty");
    }
    Ok(name.into())
}

/// Checks what a single flag's parser cannot see.
///
/// # Errors
/// `--cluster-cidr` holds more than one range of a family.
pub fn validate(options: &RuleOptions) -> anyhow::Result<()> {
    for family in Family::ALL {
        if ranges_of(&options.cluster_cidr, family).count() > 1 {
            bail!("--cluster-cidr: more than one {family} range; allowed: one of each family");
        }
    }
    match options.detect_local_mode {
        DetectLocalMode::BridgeInterface => {
            interface("--pod-bridge-interface", &options.pod_bridge_interface)
        }
        DetectLocalMode::InterfaceNamePrefix => {
            let name = &options.pod_interface_name_prefix;
            interface("--pod-interface-name-prefix", name)
        }
        DetectLocalMode::ClusterCidr | DetectLocalMode::NodeCidr => Ok(()),
    }
}

/// An interface's name: what the kernel takes, without what nft would read as
/// something else.
fn interface(flag: &str, name: &str) -> anyhow::Result<()> {
    /// `IFNAMSIZ` without the closing NUL.
    const MAX: usize = 15;
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/' | '*');
    if name.is_empty() || name.len() > MAX || !name.chars().all(plain) {
        bail!("{flag}: {name:?} is not an interface's name (1 to {MAX} characters)");
    }
    Ok(())
}

/// The settings of one family's rules. What the Node object says may change
/// later; see [`rules::Planner::configure`].
pub fn config(
    options: &RuleOptions,
    node_name: &Arc<str>,
    node: Option<&Node>,
    family: Family,
) -> Config {
    let primary = addresses::primary(node, options.bind_address, family);
    Config {
        masquerade_all: options.masquerade_all,
        local_detector: local_detector(options, node, family),
        node_ip: primary,
        nodeport_addresses: addresses::nodeport_addresses(
            &options.nodeport_addresses,
            primary,
            family,
        ),
        ..Config::new(family, node_name.clone())
    }
}

/// Reference: section 8. Of several ranges of a family the first one counts.
fn local_detector(options: &RuleOptions, node: Option<&Node>, family: Family) -> LocalDetector {
    let by_source = |ranges: &[IpNet]| {
        let first = ranges_of(ranges, family).next();
        first.map_or(LocalDetector::None, |range| {
            LocalDetector::Source(range.trunc())
        })
    };
    let by_interface = |name: &str, wildcard| LocalDetector::Interface {
        name: name.into(),
        wildcard,
    };
    match options.detect_local_mode {
        DetectLocalMode::ClusterCidr => by_source(&options.cluster_cidr),
        DetectLocalMode::NodeCidr => {
            by_source(node.map(|node| &node.pod_cidrs[..]).unwrap_or_default())
        }
        DetectLocalMode::BridgeInterface => by_interface(&options.pod_bridge_interface, false),
        DetectLocalMode::InterfaceNamePrefix => {
            by_interface(&options.pod_interface_name_prefix, true)
        }
    }
}

fn ranges_of(ranges: &[IpNet], family: Family) -> impl Iterator<Item = &IpNet> {
    ranges
        .iter()
        .filter(move |range| Family::of(range.addr()) == family)
}
