//! What a node has once in tables that are everybody's: it is put back, nothing of others is touched,
//! and whoever follows hears of what is ours only.

use super::states::states;
use super::written::rig::{Listed, Rig, whole};
use e2e::Namespace;
use kube_proxy::netlink::iptables::clean_up;
use kube_proxy::netlink::{Follower, Iptables};
use rules::drift::{Damage, ForeignChange, Notice};
use rules::iptables::{Kernel, Transaction};
use rules::model::Family;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// What looks for jumps and for what they need, and does nothing else.
fn jumps_alone(family: Family) -> Transaction {
    Transaction {
        restores_jumps: true,
        ..Listed::default().transaction(family, false)
    }
}

/// Rules and policies of others, as commands of iptables.
const OTHERS: [&str; 8] = [
    "-P FORWARD DROP",
    "-N THEIRS",
    "-A INPUT -i lo -j ACCEPT",
    "-A INPUT -m comment --comment kubernetes -j THEIRS",
    "-A FORWARD -j THEIRS",
    "-t nat -A POSTROUTING -o eth7 -j MASQUERADE",
    "-t nat -A PREROUTING -i eth7 -j RETURN",
    "-t mangle -A PREROUTING -i eth7 -j ACCEPT",
];

fn add_others(rig: &Rig) {
    for command in OTHERS {
        rig.tool(command).expect("a rule of others");
    }
}

/// Lines of others, in order, of what `iptables-save` tells.
fn others(saved: &str) -> Vec<&str> {
    let of_ours = |line: &&str| !line.contains("KUBE-");
    saved.lines().filter(of_ours).collect()
}

fn sorted(saved: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = saved.lines().collect();
    lines.sort_unstable();
    lines
}

/// The jumps that a listing has, as they were added.
fn jumps(rig: &Rig) -> Vec<(&'static str, String)> {
    let mut jumps = Vec::new();
    for table in ["filter", "nat"] {
        let listed = rig.tool(&format!("-t {table} -S")).expect("rules");
        let ours = |line: &&str| line.contains("-j KUBE-") && !line.starts_with("-A KUBE-");
        let rules = listed.lines().filter(ours);
        jumps.extend(rules.map(|rule| (table, rule.trim_start_matches("-A ").to_owned())));
    }
    jumps
}

/// A rule as arguments: comments have blanks in them.
fn delete(rig: &Rig, table: &str, rule: &str) {
    let program = match rig.family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    };
    let command = format!("{program} -t {table} -D {rule}");
    rig.namespace
        .exec(&["sh", "-c", &command])
        .expect("it is there");
}

#[test]
fn each_jump_is_put_back_and_nothing_of_others_moves() {
    for family in Family::ALL {
        let mut rig = Rig::new(family);
        add_others(&rig);
        rig.apply(&whole(&states(family)[1])).expect("all");
        let before = rig.all();
        let all = jumps(&rig);
        assert_eq!(all.len(), 14);
        for (table, rule) in &all {
            delete(&rig, table, rule);
            assert_ne!(sorted(&rig.all()), sorted(&before));
            rig.apply(&jumps_alone(family)).expect("jumps");
            let after = rig.all();
            assert_eq!(sorted(&after), sorted(&before), "{table} {rule}");
            assert_eq!(others(&after), others(&before), "{table} {rule}");
        }
        // All at once come back in upstream's order.
        for (table, rule) in &all {
            delete(&rig, table, rule);
        }
        rig.apply(&jumps_alone(family)).expect("jumps");
        assert_eq!(rig.all(), before);
        let bytes = rig.kernel.sent_bytes();
        rig.apply(&jumps_alone(family)).expect("none");
        assert!(rig.kernel.sent_bytes() < bytes / 2, "none was missing");
        assert_eq!(rig.all(), before);
    }
}

#[test]
fn a_rule_of_others_that_leads_to_our_chain_is_no_jump_of_ours() {
    let mut rig = Rig::new(Family::V4);
    let state = &states(Family::V4)[0];
    rig.apply(&whole(state)).expect("all");
    let before = rig.all();
    for rule in [
        "OUTPUT -j KUBE-SERVICES",
        "OUTPUT -d 192.0.2.1/32 -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES",
        "OUTPUT -m comment --comment \"kubernetes service portals\" -g KUBE-SERVICES",
    ] {
        delete(
            &rig,
            "nat",
            "OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES",
        );
        let add = format!("iptables -t nat -A {rule}");
        rig.namespace.exec(&["sh", "-c", &add]).expect("a rule");
        rig.apply(&jumps_alone(Family::V4)).expect("jumps");
        assert!(
            rig.all().contains(&format!("-A {rule}\n")),
            "theirs stays: {rule}"
        );
        delete(&rig, "nat", rule);
        assert_eq!(rig.all(), before, "{rule}");
    }
}

#[test]
fn what_jumps_need_is_made_without_a_word_about_policies() {
    for family in Family::ALL {
        let mut rig = Rig::new(family);
        let state = &states(family)[1];
        rig.apply(&whole(state)).expect("all");
        rig.tool("-P FORWARD DROP").expect("a policy");
        rig.tool("-P INPUT DROP").expect("a policy");
        let before = rig.all();
        let protocol = family.nft();
        for nft in [
            format!("flush chain {protocol} filter OUTPUT; delete chain {protocol} filter OUTPUT"),
            format!(
                "flush chain {protocol} nat PREROUTING; delete chain {protocol} nat PREROUTING"
            ),
            format!("delete table {protocol} mangle"),
            format!("delete chain {protocol} filter KUBE-PROXY-CANARY"),
        ] {
            rig.namespace.exec(&["nft", &nft]).expect("it is there");
            rig.apply(&jumps_alone(family)).expect("jumps");
            assert_eq!(rig.all(), before, "{nft}");
        }
        for table in ["filter", "nat"] {
            let nft = format!("delete table {protocol} {table}");
            rig.namespace.exec(&["nft", &nft]).expect("it is there");
            rig.apply(&whole(state)).expect("all");
            let policies = before.replace("FORWARD DROP", "FORWARD ACCEPT");
            let policies = policies.replace("INPUT DROP", "INPUT ACCEPT");
            assert_eq!(rig.all(), policies, "{nft}: the policies went with it");
        }
    }
}

#[test]
fn jumps_come_back_beside_a_tool_that_commits_all_the_time() {
    let mut rig = Rig::new(Family::V4);
    let state = &states(Family::V4)[1];
    rig.apply(&whole(state)).expect("all");
    let before = rig.all();
    let all = jumps(&rig);
    let (stop, commits) = (AtomicBool::new(false), AtomicU32::new(0));
    let Rig {
        namespace, kernel, ..
    } = &mut rig;
    std::thread::scope(|scope| {
        let namespace: &Namespace = namespace;
        scope.spawn(|| {
            let mut nft = "add table ip busy; add chain ip busy a".to_owned();
            while !stop.load(Ordering::Relaxed) {
                namespace.exec(&["nft", &nft]).expect("a change");
                "flush chain ip busy a; add rule ip busy a accept".clone_into(&mut nft);
                commits.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 0..10 {
            // Each round sees some of them.
            let seen = commits.load(Ordering::Relaxed);
            while commits.load(Ordering::Relaxed) < seen + 3 {
                std::thread::yield_now();
            }
            for (table, rule) in &all {
                let delete = format!("iptables -t {table} -D {rule}");
                namespace.exec(&["sh", "-c", &delete]).expect("a jump");
            }
            let transaction = match round % 2 {
                0 => jumps_alone(Family::V4),
                _ => whole(state),
            };
            kernel.apply(&transaction).expect("taken in the end");
        }
        stop.store(true, Ordering::Relaxed);
    });
    rig.namespace
        .exec(&["nft", "delete table ip busy"])
        .expect("it was there");
    assert_eq!(rig.all(), before);
}

/// What the kubelet has, by the tools that it runs.
const KUBELET: [&str; 8] = [
    "-t mangle -N KUBE-IPTABLES-HINT",
    "-t mangle -N KUBE-KUBELET-CANARY",
    "-t nat -N KUBE-KUBELET-CANARY",
    "-t filter -N KUBE-KUBELET-CANARY",
    "-N KUBE-FIREWALL",
    "-I OUTPUT -j KUBE-FIREWALL",
    "-I INPUT -j KUBE-FIREWALL",
    "-A KUBE-FIREWALL -m comment --comment martians -d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
];

#[test]
fn after_cleaning_up_there_is_what_was_there_before() {
    for family in Family::ALL {
        let mut rig = Rig::new(family);
        add_others(&rig);
        // The last one is about IPv4.
        let kubelets = match family {
            Family::V4 => &KUBELET[..],
            Family::V6 => &KUBELET[..KUBELET.len() - 1],
        };
        for command in kubelets {
            rig.tool(command).expect("the kubelet's");
        }
        // With all built-in chains, as tools make them where they look.
        rig.tool("-P OUTPUT ACCEPT").expect("a policy");
        rig.tool("-t nat -P OUTPUT ACCEPT").expect("a policy");
        let before = rig.all();
        // Ours with the kubelet's martians replaced by the same under its own name.
        let mut state = states(family).swap_remove(2);
        state
            .filter
            .chains
            .retain(|own| own.as_str() != "KUBE-FIREWALL");
        let chains = &mut state.filter.rules;
        chains.retain(|(own, _)| own.as_str() != "KUBE-FIREWALL");
        rig.apply(&whole(&state)).expect("all");
        let with_ours = rig.all();
        assert_ne!(with_ours, before);
        for line in before.lines() {
            assert!(with_ours.contains(line), "{line}");
        }
        let cleaned = || {
            rig.namespace
                .run(|| clean_up(family))
                .expect("the namespace")
        };
        let done = cleaned().expect("all is removed");
        assert!(done.removed);
        assert_eq!(rig.all(), before, "{:?}", done.lines);
        let done = cleaned().expect("nothing is there");
        assert!(!done.removed && done.lines.is_empty(), "{:?}", done.lines);
    }
}

#[test]
fn what_others_lead_to_stays_and_is_named_when_cleaning_up() {
    let family = Family::V4;
    let mut rig = Rig::new(family);
    rig.apply(&whole(&states(family)[1])).expect("all");
    rig.tool("-t nat -N CNI").expect("a chain");
    rig.tool("-t nat -A CNI -s 192.0.2.7 -j KUBE-MARK-MASQ")
        .expect("a rule");
    let done = rig
        .namespace
        .run(|| clean_up(family))
        .expect("the namespace");
    let done = done.expect("the rest is removed");
    let kept =
        "table ip nat: chain KUBE-MARK-MASQ stays, as rules that are not kube-proxy's lead to it";
    assert!(
        done.lines.iter().any(|line| line == kept),
        "{:?}",
        done.lines
    );
    let left = rig.tool("-t nat -S").expect("rules");
    assert!(left.contains("-A KUBE-MARK-MASQ -j MARK"), "{left}");
    assert!(!left.contains("KUBE-SERVICES"), "{left}");
}

/// Rules of both families are written while somebody follows what others do.
struct Followed<'a> {
    namespace: &'a Namespace,
    follower: Follower,
    kernel: Iptables,
}

impl Followed<'_> {
    fn sh(&self, command: &str) {
        self.namespace.exec(&["sh", "-c", command]).expect("done");
    }

    /// What is told next. It comes, however long it takes on a busy machine.
    async fn next(&mut self) -> ForeignChange {
        let told = tokio::time::timeout(Duration::from_secs(60), self.follower.next());
        let mut told = told.await.expect("something is told");
        match told.swap_remove(0) {
            Notice::Changed(change) => change,
            Notice::Lost => panic!("nothing is lost"),
        }
    }
}

#[test]
fn who_follows_hears_of_what_is_ours_and_of_nothing_else() {
    let namespace = Namespace::create("followed").expect("a namespace, which needs root");
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut kernel = Iptables::open().expect("nf_tables");
            let mut followed = Followed {
                namespace: &namespace,
                follower: kernel.follow().expect("a socket"),
                kernel,
            };
            told(&mut followed).await;
        });
    };
    namespace.run(work).expect("the namespace");
}

async fn told(followed: &mut Followed<'_>) {
    for family in Family::ALL {
        let state = states(family).swap_remove(1);
        followed.kernel.apply(&whole(&state)).expect("all");
    }
    let rows = [
        (
            "iptables -t nat -D OUTPUT 1",
            "deleted 1 ip nat jump (OUTPUT)",
            Damage::Jumps,
        ),
        (
            "ip6tables -F INPUT",
            "deleted 4 ip6 filter jumps (INPUT)",
            Damage::Jumps,
        ),
        (
            "nft 'flush chain ip nat POSTROUTING; delete chain ip nat POSTROUTING'",
            "deleted 1 ip nat jump (POSTROUTING)",
            Damage::Jumps,
        ),
        (
            "iptables -F KUBE-FORWARD",
            "deleted 3 ip filter rules (KUBE-FORWARD)",
            Damage::Rules,
        ),
        (
            "ip6tables -t mangle -X KUBE-PROXY-CANARY",
            "deleted 1 ip6 mangle chain (KUBE-PROXY-CANARY)",
            Damage::Rules,
        ),
    ];
    for (command, words, damage) in rows {
        // What others and the kubelet do beside it is told to nobody, however often it is done.
        followed.sh("iptables -N X; iptables -A INPUT -j X; iptables -D INPUT -j X; iptables -X X");
        followed.sh(
            "iptables -A FORWARD -j DROP; iptables -R FORWARD 5 -j DROP; iptables -D FORWARD 5",
        );
        followed.sh(
            "iptables -t mangle -N KUBE-IPTABLES-HINT; iptables -t mangle -X KUBE-IPTABLES-HINT",
        );
        followed.sh("iptables -A KUBE-FIREWALL -s 192.0.2.1 -j DROP; iptables -P FORWARD DROP");
        followed.sh(
            "nft 'add table ip t; add chain ip t c; add rule ip t c accept; delete table ip t'",
        );
        // And what we do ourselves.
        for family in Family::ALL {
            followed.kernel.apply(&jumps_alone(family)).expect("jumps");
        }
        followed.sh(command);
        let change = followed.next().await;
        let edits: Vec<String> = change.edits.iter().map(ToString::to_string).collect();
        assert_eq!(edits, [words], "{command}");
        assert_eq!(change.damage(), damage, "{command}");
        for family in Family::ALL {
            let state = states(family).swap_remove(1);
            followed.kernel.apply(&whole(&state)).expect("all");
        }
    }
}
