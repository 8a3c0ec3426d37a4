//! Others on the node change the tables: each kind of edit is undone within a second.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::touched::{everything, ipv4, ipv6, nothing};
use super::{Course, Fault, Scale};
use crate::faults::objects::Service;
use crate::faults::site::Site;
use crate::faults::traffic::{Protocol, Source, Target};

/// The promise.
const LIMIT: Duration = Duration::from_secs(1);

/// What someone does with `nft -f`.
struct Edit {
    name: &'static str,
    script: fn(&Site) -> Result<String>,
    touches: fn(&Target) -> bool,
    /// It takes away the last NAT chain or the last rule about connections of a family.
    unhooks: bool,
}

fn calm_by_cluster_ip(target: &Target) -> bool {
    !target.is_ipv6
        && target.service == Service::Calm
        && target.source == Source::Pod
        && target.protocol == Protocol::Tcp
}

fn plain(text: &str) -> Result<String> {
    Ok(text.to_owned())
}

/// Of the whole ruleset, of tables and what tables say of themselves.
const OF_TABLES: [Edit; 8] = [
    Edit {
        name: "flush-ruleset",
        script: |_| plain("flush ruleset"),
        touches: everything,
        unhooks: true,
    },
    Edit {
        name: "delete-table-ip",
        script: |_| plain("delete table ip kube-proxy"),
        touches: ipv4,
        unhooks: true,
    },
    Edit {
        name: "delete-table-ip6",
        script: |_| plain("delete table ip6 kube-proxy"),
        touches: ipv6,
        unhooks: true,
    },
    Edit {
        name: "delete-both-tables",
        script: |_| plain("delete table ip kube-proxy\ndelete table ip6 kube-proxy"),
        touches: everything,
        unhooks: true,
    },
    Edit {
        name: "flush-table",
        script: |_| plain("flush table ip kube-proxy"),
        touches: ipv4,
        unhooks: true,
    },
    Edit {
        name: "dormant",
        script: |_| plain("add table ip6 kube-proxy { flags dormant; }"),
        touches: ipv6,
        unhooks: true,
    },
    Edit {
        name: "load-own-dump",
        script: |site| {
            let dump = site.node().namespace().exec(&["nft", "list", "ruleset"])?;
            Ok(format!("flush ruleset\n{dump}"))
        },
        touches: nothing,
        unhooks: false,
    },
    Edit {
        name: "replace-by-empty",
        script: |_| plain("delete table ip kube-proxy\nadd table ip kube-proxy"),
        touches: ipv4,
        unhooks: true,
    },
];

/// Of chains and rules.
const OF_CHAINS: [Edit; 11] = [
    Edit {
        name: "flush-nat-chain",
        script: |_| plain("flush chain ip kube-proxy nat-prerouting"),
        touches: ipv4,
        unhooks: false,
    },
    Edit {
        name: "flush-filter-chain",
        script: |_| plain("flush chain ip kube-proxy filter-forward"),
        touches: nothing,
        unhooks: false,
    },
    Edit {
        name: "flush-chain",
        script: |_| plain("flush chain ip6 kube-proxy services"),
        touches: ipv6,
        unhooks: false,
    },
    Edit {
        name: "delete-base-chain",
        script: |_| {
            plain(
                "flush chain ip kube-proxy nat-postrouting\ndelete chain ip kube-proxy nat-postrouting",
            )
        },
        touches: ipv4,
        unhooks: false,
    },
    Edit {
        name: "add-chain",
        script: |_| {
            plain("add chain ip kube-proxy foreign { type filter hook forward priority 7; }")
        },
        touches: nothing,
        unhooks: false,
    },
    Edit {
        name: "rename-chain",
        script: |_| plain("rename chain ip kube-proxy services renamed"),
        touches: nothing,
        unhooks: false,
    },
    Edit {
        name: "policy-drop",
        script: |_| plain("chain ip kube-proxy filter-forward { policy drop; }"),
        touches: ipv4,
        unhooks: false,
    },
    Edit {
        name: "insert-return",
        script: |_| plain("insert rule ip kube-proxy services return"),
        touches: ipv4,
        unhooks: false,
    },
    Edit {
        name: "add-rule",
        script: |_| plain("add rule ip6 kube-proxy nat-output counter"),
        touches: nothing,
        unhooks: false,
    },
    Edit {
        name: "delete-rule",
        script: |site| {
            let handle = first_rule(site, "nat-prerouting")?;
            Ok(format!(
                "delete rule ip kube-proxy nat-prerouting handle {handle}"
            ))
        },
        touches: ipv4,
        unhooks: false,
    },
    Edit {
        name: "replace-rule",
        script: |site| {
            let handle = first_rule(site, "nat-prerouting")?;
            Ok(format!(
                "replace rule ip kube-proxy nat-prerouting handle {handle} accept"
            ))
        },
        touches: ipv4,
        unhooks: false,
    },
];

/// Of sets, maps and elements.
const OF_SETS: [Edit; 7] = [
    Edit {
        name: "delete-element",
        script: |_| plain("delete element ip kube-proxy services { 10.96.0.10 . tcp . 80 }"),
        touches: calm_by_cluster_ip,
        unhooks: false,
    },
    Edit {
        name: "add-element",
        script: |_| plain("add element ip kube-proxy services { 10.96.0.99 . tcp . 80 : drop }"),
        touches: nothing,
        unhooks: false,
    },
    Edit {
        name: "delete-cluster-ip",
        script: |_| plain("delete element ip kube-proxy cluster-ips { 10.96.0.10 }"),
        touches: calm_by_cluster_ip,
        unhooks: false,
    },
    Edit {
        name: "flush-map",
        script: |_| plain("flush map ip6 kube-proxy services"),
        touches: ipv6,
        unhooks: false,
    },
    Edit {
        name: "flush-endpoints",
        script: |_| plain("flush map ip kube-proxy endpoints"),
        touches: ipv4,
        unhooks: false,
    },
    Edit {
        name: "add-set",
        script: |_| plain("add set ip kube-proxy foreign { type ipv4_addr; }"),
        touches: nothing,
        unhooks: false,
    },
    Edit {
        name: "delete-map",
        script: |_| {
            plain(
                "flush chain ip kube-proxy services\nflush map ip kube-proxy nodeports\ndelete map ip kube-proxy nodeports",
            )
        },
        touches: ipv4,
        unhooks: false,
    },
];

/// The handle of a chain's first rule.
fn first_rule(site: &Site, chain: &str) -> Result<String> {
    let words = ["nft", "-a", "list", "chain", "ip", "kube-proxy", chain];
    let listing = site.node().namespace().exec(&words)?;
    let rules = listing
        .lines()
        .filter(|line| !line.contains(" {") && !line.trim().starts_with("type "));
    let mut handles = rules.filter_map(|line| line.split_once(" # handle "));
    let (_, handle) = handles.next().context("a rule with a handle")?;
    Ok(handle.trim().to_owned())
}

pub(super) fn faults() -> Vec<Fault> {
    let edits = OF_TABLES.into_iter().chain(OF_CHAINS).chain(OF_SETS);
    let mut faults: Vec<_> = edits.map(fault).collect();
    faults.push(Fault::new("edit-foreign-tables", LIMIT, neighbours).touching(nothing));
    faults
}

fn fault(edit: Edit) -> Fault {
    let script = edit.script;
    let run = move |site: &mut Site, scale: Scale| repeat(site, scale, script);
    Fault::new(&format!("edit-{}", edit.name), LIMIT, run)
        .touching(edit.touches)
        .unhooking(edit.unhooks)
}

fn repeat(site: &mut Site, scale: Scale, script: fn(&Site) -> Result<String>) -> Result<Course> {
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
        let script = script(site)?;
        let since = Instant::now();
        site.node().namespace().nft(&script)?;
        site.awaits_tables(&before, Duration::from_secs(8))?;
        longest = longest.max(since.elapsed());
        // What comes later finds the table that it expects.
        site.follows(Duration::from_secs(10))?;
    }
    Ok(Course {
        times,
        recovered: longest,
    })
}

/// Others change tables of their own, often: that is no matter of ours.
fn neighbours(site: &mut Site, scale: Scale) -> Result<Course> {
    let times: u32 = scale.choose(200, 5_000);
    let mut longest = Duration::ZERO;
    for round in 0..times {
        let script = format!(
            "table inet foreign {{\nset s {{ type ipv4_addr; }}\nchain c {{ }}\n}}\n\
             flush chain inet foreign c\n\
             add rule inet foreign c counter\n\
             add element inet foreign s {{ 192.0.2.{} }}\n",
            round % 250
        );
        site.node().namespace().nft(&script)?;
        if round % 50 == 49 {
            longest = longest.max(site.follows(Duration::from_secs(10))?);
        }
    }
    site.node().namespace().nft("delete table inet foreign")?;
    Ok(Course {
        times,
        recovered: longest,
    })
}
