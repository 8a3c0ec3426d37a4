//! `kube-proxy render`: the ruleset of a directory of manifests, as text.

use crate::addresses;
use crate::settings::{self, Settings};
use crate::source::Manifests;
use anyhow::Context;
use rules::model::Family;
use rules::{NodeportAddresses, Planner, State, print};
use std::io::Write;
use std::net::IpAddr;

/// Prints the ruleset of one or both families; problems of the manifests go to
/// the log.
///
/// # Errors
/// The directory cannot be read, or the output not written.
pub fn render(
    settings: &Settings,
    only: Option<Family>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let node_name = &settings.node_name;
    let dir = settings
        .source
        .manifests
        .as_ref()
        .context("render: --manifests DIR is missing")?;
    let mut state = State::new();
    let mut problems = Vec::new();
    let mut manifests = Manifests::new(dir, node_name);
    let found = manifests
        .load(&mut |event| problems.extend(state.apply(event).problems))
        .with_context(|| format!("reading --manifests {}", dir.display()))?;
    let conflicts = problems.iter().map(ToString::to_string);
    for problem in found.iter().map(ToString::to_string).chain(conflicts) {
        tracing::warn!("{problem}");
    }
    for family in Family::ALL {
        if only.is_some_and(|only| only != family) {
            continue;
        }
        let config = settings::config(&settings.rules, node_name, state.node(), family);
        let local = stated_addresses(
            &config.nodeport_addresses,
            &state,
            settings.rules.bind_address,
        );
        let mut planner = Planner::new(config);
        planner.mark(&state.take_dirty());
        if let Some(pending) = planner.prepare(&state, &local, Vec::new) {
            out.write_all(print::transaction(&pending.transaction).as_bytes())?;
        }
    }
    out.flush()?;
    Ok(())
}

/// The node's addresses as its object tells them: the machine that renders is
/// seldom the node itself.
fn stated_addresses(
    nodeport: &NodeportAddresses,
    state: &State,
    bind_address: IpAddr,
) -> Vec<IpAddr> {
    let mut stated: Vec<IpAddr> = Family::ALL
        .into_iter()
        .filter_map(|family| addresses::primary(state.node(), bind_address, family))
        .collect();
    stated.extend(
        state
            .node()
            .into_iter()
            .flat_map(|node| node.addresses.iter().copied()),
    );
    debug_assert!(
        *nodeport != NodeportAddresses::Within(Vec::new()),
        "a list has ranges"
    );
    stated
}
