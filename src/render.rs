//! `kube-proxy render`: what the daemon would program, as text.

use crate::settings::Settings;
use crate::world::{self, Loaded, Nodes};
use anyhow::Context;
use rules::model::Family;
use rules::nft::print;
use std::io::Write;

/// Prints the ruleset of one or both families for the objects of `--manifests`, or of the API
/// server; their problems go to the log.
///
/// # Errors
/// The objects cannot be had, or the output not written.
pub fn render(
    settings: &Settings,
    only: Option<Family>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let Loaded { world, problems } = runtime
        .block_on(world::load(settings, Nodes::Own))
        .context("render: objects of --manifests DIR, or of an API server")?;
    for problem in problems {
        tracing::warn!("{problem}");
    }
    let families = Family::ALL.into_iter();
    for family in families.filter(|family| only.is_none_or(|only| only == *family)) {
        if let Some(transaction) = world.here().ruleset(family) {
            out.write_all(print::transaction(&transaction).as_bytes())?;
        }
    }
    out.flush()?;
    Ok(())
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
