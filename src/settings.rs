//! From flags to the rules' settings.

use crate::addresses;
use crate::options::RuleOptions;
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
    Ok(())
}

/// The settings of one family's rules. What the Node object says may change
/// later; see [`rules::Planner::set_nodeport_addresses`].
pub fn config(
    options: &RuleOptions,
    node_name: &Arc<str>,
    node: Option<&Node>,
    family: Family,
) -> Config {
    let primary = addresses::primary(node, options.bind_address, family);
    let local_detector = ranges_of(&options.cluster_cidr, family)
        .next()
        .map_or(LocalDetector::None, |range| {
            LocalDetector::Source(range.trunc())
        });
    Config {
        masquerade_all: options.masquerade_all,
        local_detector,
        nodeport_addresses: addresses::nodeport_addresses(
            &options.nodeport_addresses,
            primary,
            family,
        ),
        ..Config::new(family, node_name.clone())
    }
}

fn ranges_of(ranges: &[IpNet], family: Family) -> impl Iterator<Item = &IpNet> {
    ranges
        .iter()
        .filter(move |range| Family::of(range.addr()) == family)
}
