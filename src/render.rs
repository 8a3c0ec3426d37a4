//! `kube-proxy render`: the ruleset of a directory of manifests, as text.

use crate::options::{FamilyArg, RenderOptions};
use crate::source::Manifests;
use crate::{addresses, settings};
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
pub fn render(options: &RenderOptions, out: &mut impl Write) -> anyhow::Result<()> {
    settings::validate(&options.rules)?;
    let node_name = settings::node_name(&options.rules)?;
    let mut state = State::new();
    let mut problems = Vec::new();
    let mut manifests = Manifests::new(&options.manifests, &node_name);
    let found = manifests
        .load(&mut |event| problems.extend(state.apply(event).problems))
        .with_context(|| format!("reading --manifests {}", options.manifests.display()))?;
    let conflicts = problems.iter().map(ToString::to_string);
    for problem in found.iter().map(ToString::to_string).chain(conflicts) {
        tracing::warn!("{problem}");
    }
    for family in Family::ALL {
        let wanted = match options.family {
            None => true,
            Some(FamilyArg::Ipv4) => family == Family::V4,
            Some(FamilyArg::Ipv6) => family == Family::V6,
        };
        if !wanted {
            continue;
        }
        let config = settings::config(&options.rules, &node_name, state.node(), family);
        let local = stated_addresses(
            &config.nodeport_addresses,
            &state,
            options.rules.bind_address,
        );
        let mut planner = Planner::new(config);
        planner.mark(&state.take_dirty());
        if let Some(pending) = planner.prepare(&state, &local) {
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
