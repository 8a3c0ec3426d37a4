//! `kube-proxy render`: the ruleset of a directory of manifests, as text.

use crate::addresses;
use crate::settings::{self, Settings};
use crate::source::Manifests;
use anyhow::Context;
use rules::model::Family;
use rules::nft::{Planner, print};
use rules::{NodeportAddresses, State};
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
    let mut state = settings::state(&settings.rules);
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
        let config = settings::config(&settings.rules, node_name, state.last_node(), family);
        let local = stated_addresses(
            &config.nodeport_addresses,
            &state,
            settings.rules.bind_address,
        );
        let mut planner = Planner::new(config);
        planner.mark(&state.take_dirty());
        if let Some(pending) = planner.prepare(&state, &local, Default::default) {
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
        .filter_map(|family| addresses::primary(state.last_node(), bind_address, family))
        .collect();
    stated.extend(
        state
            .last_node()
            .into_iter()
            .flat_map(|node| node.addresses.iter().copied()),
    );
    debug_assert!(
        *nodeport != NodeportAddresses::Within(Vec::new()),
        "a list has ranges"
    );
    stated
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2e::cleanup::ScratchDir;

    const OBJECTS: &str = r#"{"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"clusterIP": "10.96.0.10", "externalIPs": ["198.51.100.1"],
                 "ports": [{"port": 80}]}}"#;

    fn rendered(flags: &[&str]) -> String {
        let dir = ScratchDir::create("render").expect("a directory");
        std::fs::write(dir.path().join("all.json"), OBJECTS).expect("a file");
        let manifests = format!("--manifests={}", dir.path().display());
        let mut words = vec![
            "--hostname-override=n1",
            "--proxy-mode=nftables",
            &manifests,
        ];
        words.extend(flags);
        let settings = Settings::from_flags(&words).expect("valid flags");
        let mut out = Vec::new();
        render(&settings, Some(Family::V4), &mut out).expect("rules");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn it_heeds_what_the_daemon_heeds() {
        assert!(rendered(&[]).contains("198.51.100.1"));
        let without = rendered(&["--feature-gates=AllowServiceExternalIPs=false"]);
        assert!(without.contains("10.96.0.10"));
        assert!(!without.contains("198.51.100.1"), "{without}");
    }
}
