//! `kube-proxy render`: rules as text.

use crate::config::MODE_IPTABLES;
use crate::settings::Settings;
use crate::world::{self, Loaded, Nodes};
use anyhow::Context;
use rules::iptables::Ruleset;
use rules::iptables::print::{restore, setup};
use rules::model::Family;
use rules::nft::print;
use std::io::Write;

/// Prints the rules of one or both families, those of nftables or of mode iptables, for the objects of `--manifests`, or of the API
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
    let iptables = settings.config.mode == MODE_IPTABLES;
    for family in families.filter(|family| only.is_none_or(|only| only == *family)) {
        if iptables {
            out.write_all(chains(&world.here().chains(family)).as_bytes())?;
        } else if let Some(transaction) = world.here().ruleset(family) {
            out.write_all(print::transaction(&transaction).as_bytes())?;
        }
    }
    out.flush()?;
    Ok(())
}

/// Both parts, with comments that say which program takes them and what they need.
fn chains(ruleset: &Ruleset) -> String {
    let program = match ruleset.family {
        Family::V4 => "iptables-restore",
        Family::V6 => "ip6tables-restore",
    };
    let counters = ruleset.counters();
    let counters = match counters.len() {
        0 => String::new(),
        _ => format!(
            "# These counters have to be there: {}\n",
            Vec::from_iter(counters).join(" ")
        ),
    };
    format!(
        "# {}: {program} --noflush\n{counters}{}# Once, where none of it is there yet\n{}",
        ruleset.family,
        restore(ruleset),
        setup(ruleset)
    )
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
        in_mode("nftables", flags)
    }

    fn in_mode(mode: &str, flags: &[&str]) -> String {
        let dir = ScratchDir::create("render").expect("a directory");
        std::fs::write(dir.path().join("all.json"), OBJECTS).expect("a file");
        let manifests = format!("--manifests={}", dir.path().display());
        let mode = format!("--proxy-mode={mode}");
        let mut words = vec!["--hostname-override=n1", &mode, &manifests];
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

    #[test]
    fn mode_iptables_heeds_its_own_settings() {
        let lines = |flags: &[&str]| -> Vec<String> {
            in_mode("iptables", flags)
                .lines()
                .map(str::to_owned)
                .collect()
        };
        let plain = lines(&[]);
        let has = |lines: &[String], text: &str| lines.iter().any(|line| line.contains(text));
        assert_eq!(plain[0], "# IPv4: iptables-restore --noflush");
        for text in [
            "-d 198.51.100.1 --dport 80 -j REJECT",
            "--mark 0x00004000",
            ":KUBE-FIREWALL",
            "--ctstate INVALID",
            "-I INPUT",
        ] {
            assert!(has(&plain, text), "{text}: {plain:#?}");
        }
        for (flag, absent) in [
            ("--iptables-localhost-nodeports=false", ":KUBE-FIREWALL"),
            ("--nodeport-addresses=10.0.0.0/8", ":KUBE-FIREWALL"),
            ("--iptables-masquerade-bit=3", "0x00004000"),
            ("--conntrack-tcp-be-liberal", "--ctstate INVALID"),
            (
                "--feature-gates=AllowServiceExternalIPs=false",
                "198.51.100.1",
            ),
        ] {
            assert!(!has(&lines(&[flag]), absent), "{flag}");
        }
        let localhost = lines(&["--nodeport-addresses=localhost"]);
        assert!(
            has(&localhost, "-d 127.0.0.1 -j KUBE-NODEPORTS"),
            "{localhost:#?}"
        );
    }
}
