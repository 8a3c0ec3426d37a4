//! Mode iptables: others on the node change the tables that all share. What is kube-proxy's is undone
//! within a second, what is theirs stays.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{exposition, wait};

use super::touched::{everything, ipv4, ipv6, nothing};
use super::{Course, Fault, Scale, churn, swap};
use crate::faults::site::Site;
use crate::faults::traffic::{Source, Target};
use crate::mode::Mode;

/// The promise.
const LIMIT: Duration = Duration::from_secs(1);
/// All chains of the table at once, which takes iptables some commands.
const SAVED: &str = "iptables-save | iptables-restore";

/// What someone does on the node.
struct Edit {
    name: &'static str,
    commands: &'static [&'static str],
    touches: fn(&Target) -> bool,
    /// It takes away the last NAT chain of a family.
    unhooks: bool,
}

const EDITS: [Edit; 15] = [
    edit(
        "flush-services",
        &["iptables -t nat -F KUBE-SERVICES"],
        ipv4,
    ),
    edit(
        "flush-services-ipv6",
        &["ip6tables -t nat -F KUBE-SERVICES"],
        ipv6,
    ),
    edit(
        "delete-jump",
        &[
            "iptables -t nat -D PREROUTING -m comment --comment 'kubernetes service portals' -j KUBE-SERVICES",
        ],
        ipv4,
    ),
    edit(
        "delete-filter-jump",
        &[
            "ip6tables -D FORWARD -m comment --comment 'kubernetes forwarding rules' -j KUBE-FORWARD",
        ],
        nothing,
    ),
    edit("flush-prerouting", &["iptables -t nat -F PREROUTING"], ipv4),
    edit("flush-nat", &["iptables -t nat -F"], ipv4),
    edit(
        "insert-return",
        &["iptables -t nat -I KUBE-SERVICES -j RETURN"],
        ipv4,
    ),
    edit(
        "replace-rule",
        &["ip6tables -t nat -R KUBE-SERVICES 1 -j RETURN"],
        ipv6,
    ),
    edit(
        "add-chain-to-postrouting",
        &["iptables -t nat -A KUBE-POSTROUTING -j ACCEPT"],
        nothing,
    ),
    edit(
        "delete-canary",
        &["iptables -t mangle -X KUBE-PROXY-CANARY"],
        nothing,
    ),
    // It deletes the built-in chains of what it is not told, too.
    unhooking(
        "restore-nothing",
        &["printf '*nat\\nCOMMIT\\n' | iptables-restore"],
        ipv4,
    ),
    edit(
        "restore-no-filter",
        &["printf '*filter\\nCOMMIT\\n' | ip6tables-restore"],
        nothing,
    ),
    edit("restore-own-save", &[SAVED], nothing),
    edit("nft-flush-table", &["nft flush table ip nat"], ipv4),
    unhooking("nft-flush-ruleset", &["nft flush ruleset"], everything),
];

const fn edit(
    name: &'static str,
    commands: &'static [&'static str],
    touches: fn(&Target) -> bool,
) -> Edit {
    Edit {
        name,
        commands,
        touches,
        unhooks: false,
    }
}

const fn unhooking(
    name: &'static str,
    commands: &'static [&'static str],
    touches: fn(&Target) -> bool,
) -> Edit {
    Edit {
        unhooks: true,
        ..edit(name, commands, touches)
    }
}

impl Edit {
    fn fault(self) -> Fault {
        let commands = self.commands;
        let run = move |site: &mut Site, scale: Scale| repeat(site, scale, commands);
        Fault::new(&format!("iptables-edit-{}", self.name), LIMIT, run)
            .touching(self.touches)
            .unhooking(self.unhooks)
    }
}

pub(super) fn faults() -> Vec<Fault> {
    let mut faults: Vec<_> = EDITS.into_iter().map(Edit::fault).collect();
    faults.push(
        Fault::new("iptables-foreign-rules", LIMIT, foreign_rules)
            .touching(|target| !target.is_ipv6 && target.source == Source::Outside),
    );
    faults.push(Fault::new("iptables-foreign-writer", LIMIT, foreign_writer).touching(nothing));
    faults.push(Fault::new(
        "iptables-churn",
        Duration::from_secs(10),
        churn::churn,
    ));
    faults.push(Fault::new(
        "iptables-swap-with-upstream",
        Duration::from_secs(15),
        swap::swap,
    ));
    let in_mode = |fault: Fault| fault.in_mode(Mode::Iptables);
    faults.into_iter().map(in_mode).collect()
}

fn shell(site: &Site, command: &str) -> Result<String> {
    site.node().namespace().exec(&["sh", "-c", command])
}

fn repeat(site: &mut Site, scale: Scale, commands: &[&str]) -> Result<Course> {
    let times = scale.choose(2, 20);
    let mut longest = Duration::ZERO;
    for round in 0..times {
        // Whoever edits again and again is met more slowly; this one is not meant.
        if round % 6 == 0 {
            site.relaunch(site.usual())?;
            site.follows(Duration::from_secs(20))?;
        }
        let before = site.expected()?;
        site.awaits_tables(&before, Duration::from_secs(5))?;
        let drifted = drift(site)?;
        let since = Instant::now();
        shell(site, &commands.join(" && "))?;
        let edited = since.elapsed();
        site.awaits_tables(&before, Duration::from_secs(8))?;
        longest = longest.max(since.elapsed().saturating_sub(edited));
        // Where nothing differs there is nothing to see.
        if commands != [SAVED] {
            ensure!(drift(site)? > drifted, "nothing was noticed");
        }
        // What comes later finds the table that it expects.
        site.follows(Duration::from_secs(10))?;
    }
    Ok(Course {
        times,
        recovered: longest,
    })
}

/// How many changes by others the daemon has counted.
fn drift(site: &Site) -> Result<f64> {
    let text = site.node().namespace().metrics()?;
    Ok(exposition::sum(&text, "kubeproxyrs_drift_total"))
}

/// A policy that drops, and rules of others beside the jumps: all of it is as before when the daemon
/// has written everything anew, and when it has put back what was its own.
fn foreign_rules(site: &mut Site, scale: Scale) -> Result<Course> {
    const ADD: [&str; 5] = [
        "iptables -N FOREIGN",
        "iptables -A FOREIGN -s 203.0.113.77 -j DROP",
        "iptables -I FORWARD -j FOREIGN",
        "iptables -A FORWARD -m comment --comment foreign -j ACCEPT",
        "iptables -P FORWARD DROP",
    ];
    const REMOVE: [&str; 5] = [
        "iptables -P FORWARD ACCEPT",
        "iptables -D FORWARD -m comment --comment foreign -j ACCEPT",
        "iptables -D FORWARD -j FOREIGN",
        "iptables -F FOREIGN",
        "iptables -X FOREIGN",
    ];
    let mut longest = Duration::ZERO;
    let times = scale.choose(1, 10);
    for _ in 0..times {
        site.relaunch(site.usual())?;
        site.follows(Duration::from_secs(20))?;
        shell(site, &ADD.join(" && "))?;
        site.relaunch(site.usual())?;
        site.follows(Duration::from_secs(20))?;
        let theirs = |site: &Site| shell(site, "iptables -S FORWARD; iptables -S FOREIGN");
        let before = theirs(site)?;
        ensure!(
            before.contains("-P FORWARD DROP") && before.contains("203.0.113.77"),
            "a restart took others' rules away:\n{before}"
        );
        let since = Instant::now();
        shell(
            site,
            "iptables -D FORWARD -m comment --comment 'kubernetes forwarding rules' -j KUBE-FORWARD",
        )?;
        wait::until("the jump", Duration::from_secs(8), || {
            let jump = theirs(site)?.contains("-j KUBE-FORWARD");
            ensure!(jump, "it is not there");
            Ok(())
        })?;
        longest = longest.max(since.elapsed());
        // The jump comes back to the head of its chain; all else stays where it was.
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let after = theirs(site)?;
        ensure!(
            sorted(&after) == sorted(&before),
            "{before}\nbecame\n{after}"
        );
        let others = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.contains("KUBE-"));
            lines.map(str::to_owned).collect()
        };
        ensure!(
            others(&after) == others(&before),
            "{before}\nbecame\n{after}"
        );
        shell(site, &REMOVE.join(" && "))?;
        site.awaits_plan(Duration::from_secs(8))?;
    }
    Ok(Course {
        times,
        recovered: longest,
    })
}

/// Another tool commits to the same tables as often as it can: that is no matter of ours, and what
/// changes meanwhile arrives.
fn foreign_writer(site: &mut Site, scale: Scale) -> Result<Course> {
    let times: u32 = scale.choose(300, 5_000);
    site.relaunch(site.usual())?;
    site.follows(Duration::from_secs(20))?;
    let drifted = drift(site)?;
    let mut longest = Duration::ZERO;
    shell(site, "iptables -t nat -N FOREIGN && iptables -N FOREIGN")?;
    for round in 0..times {
        let script = format!(
            "flush chain ip nat FOREIGN\n\
             add rule ip nat FOREIGN ip daddr 192.0.2.{0} counter\n\
             flush chain ip filter FOREIGN\n\
             add rule ip filter FOREIGN ip daddr 192.0.2.{0} counter\n",
            round % 250
        );
        site.node().namespace().nft(&script)?;
        if round % 50 == 49 {
            longest = longest.max(site.follows(Duration::from_secs(10))?);
        }
    }
    ensure!(
        drift(site)? <= drifted,
        "what others did to their own chains was taken for a change of ours"
    );
    shell(
        site,
        "iptables -t nat -F FOREIGN && iptables -t nat -X FOREIGN && iptables -F FOREIGN && iptables -X FOREIGN",
    )?;
    Ok(Course {
        times,
        recovered: longest,
    })
}
