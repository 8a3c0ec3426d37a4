//! A node's own tools of iptables, whichever version it has, on rules that are written here: they find,
//! list, delete and insert, and what they save and restore is the same again.
//!
//! `e2e/iptables.sh target/tools 1.8.7 1.8.9 1.8.11` fetches them, as `make test` does.

#[path = "../rules/tests/build/mod.rs"]
#[expect(
    dead_code,
    reason = "only the objects are of use here, not the golden cluster"
)]
mod build;
#[path = "kernel/written/rig.rs"]
#[expect(dead_code, reason = "only what is written is of use here")]
mod rig;
#[path = "kernel/states.rs"]
mod states;

use rig::{Rig, whole};
use rules::iptables::setup::jumps;
use rules::model::Family;
use states::states;
use std::path::PathBuf;

const VERSIONS: [&str; 3] = ["1.8.7", "1.8.9", "1.8.11"];

/// One version's programs on a namespace's rules.
struct Tool<'a> {
    rig: &'a Rig,
    version: &'static str,
    programs: PathBuf,
}

impl<'a> Tool<'a> {
    fn new(rig: &'a Rig, version: &'static str) -> Self {
        let tools = e2e::target_directory().join("tools");
        let programs = tools.join(format!("iptables-{version}/bin"));
        assert!(
            programs.is_dir(),
            "no {}: e2e/iptables.sh target/tools {}",
            programs.display(),
            VERSIONS.join(" ")
        );
        Self {
            rig,
            version,
            programs,
        }
    }

    fn path(&self, kind: &str) -> String {
        let family = match self.rig.family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        let path = self.programs.join(format!("{family}{kind}"));
        path.display().to_string()
    }

    /// By a shell, as comments have blanks in them.
    fn run(&self, arguments: &str) -> Result<String, String> {
        let command = format!("{} {arguments}", self.path(""));
        let done = self.rig.namespace.exec(&["sh", "-c", &command]);
        done.map_err(|error| format!("{}: {error:#}", self.version))
    }

    /// What it saves, without comments, counts and blanks at an end.
    fn saved(&self) -> String {
        let text = self.rig.namespace.exec(&[&self.path("-save")]);
        let text = text.expect("a listing");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.map(|line| line.split(" [").next().unwrap_or_default().trim_end());
        lines.map(|line| format!("{line}\n")).collect()
    }

    fn restore(&self, text: &str) {
        let restored = self.rig.namespace.pipe(&[&self.path("-restore")], text);
        restored.unwrap_or_else(|error| panic!("{}: {error:#}", self.version));
    }
}

/// With all features.
fn rig(family: Family) -> Rig {
    let mut rig = Rig::new(family);
    let states = states(family);
    rig.apply(&whole(&states[2])).expect("all");
    rig
}

#[test]
fn each_version_tells_the_same() {
    for family in Family::ALL {
        for state in states(family) {
            let mut rig = Rig::new(family);
            rig.apply(&whole(&state)).expect("all");
            // As they are saved by the version that this machine has.
            let expected = rig.all();
            for version in VERSIONS {
                assert_eq!(Tool::new(&rig, version).saved(), expected, "{version}");
            }
        }
    }
}

/// kubernetes/kubernetes#112477: an older tool lost ports and marks, and what it restored dropped
/// everything.
#[test]
fn what_each_version_saves_and_restores_is_the_same_to_each_other() {
    for family in Family::ALL {
        for version in VERSIONS {
            let rig = rig(family);
            let tool = Tool::new(&rig, version);
            let before = tool.saved();
            let counts = rig
                .namespace
                .exec(&[&tool.path("-save")])
                .expect("a listing");
            tool.restore(&counts);
            for reader in VERSIONS {
                let after = Tool::new(&rig, reader).saved();
                // What an older tool reads of a newer one's own form is not ours to mend.
                if reader != "1.8.7" || version == "1.8.7" {
                    assert_eq!(
                        after, before,
                        "{family}: {version} restored, {reader} reads"
                    );
                }
            }
        }
    }
}

#[test]
fn each_version_finds_deletes_and_inserts() {
    for family in Family::ALL {
        for version in VERSIONS {
            let mut rig = rig(family);
            let state = states(family).swap_remove(2);
            let before = {
                let tool = Tool::new(&rig, version);
                let before = tool.saved();
                let mut found = 0;
                for table in ["filter", "nat"] {
                    let listed = tool.run(&format!("-t {table} -S")).expect("rules");
                    for rule in listed.lines().filter_map(|line| line.strip_prefix("-A ")) {
                        // This is what no mask means, but given it is another one to the tools:
                        // they do not find their own rules by it either.
                        let rule = rule.replace(" --mask 255.255.255.255", "");
                        let check = format!("-t {table} -C {rule}");
                        tool.run(&check).expect("each rule is found");
                        found += 1;
                    }
                }
                assert!(found > 40, "{found}");
                for command in [
                    "-I INPUT 1 -s 192.0.2.1 -j DROP".replace("192.0.2.1", address(family)),
                    "-t nat -A KUBE-MARK-MASQ -j RETURN".to_owned(),
                    "-D KUBE-FORWARD 1".to_owned(),
                    "-t nat -D KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0".to_owned(),
                    format!(
                        "-t nat -D OUTPUT -m comment --comment \"kubernetes service portals\" -j {}",
                        "KUBE-SERVICES"
                    ),
                ] {
                    tool.run(&command).expect("done");
                }
                let jump = jumps().len();
                let listed = tool.saved();
                let left = listed
                    .lines()
                    .filter(|line| line.contains("-j KUBE-") && !line.starts_with("-A KUBE-"));
                assert_eq!(left.count(), jump - 1, "{version}: {listed}");
                before
            };
            rig.apply(&whole(&state)).expect("all");
            let tool = Tool::new(&rig, version);
            tool.run(&format!("-D INPUT -s {} -j DROP", address(family)))
                .expect("theirs is still there");
            assert_eq!(tool.saved(), before, "{family}: {version}");
        }
    }
}

fn address(family: Family) -> &'static str {
    match family {
        Family::V4 => "192.0.2.1",
        Family::V6 => "2001:db8::1",
    }
}
