//! Removing what kube-proxy has in tables of iptables: its chains, and the jumps to them. Those of
//! mode ipvs are among them.

use crate::netlink::leftovers::{FoundChain, FoundRule, Leftovers, Removal};
use rules::check::{is_proxy_chain as is_own, is_proxy_entry as is_entry};
use rules::model::Family;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// The tables of iptables that kube-proxy has chains in.
pub const TABLES: [&str; 3] = ["nat", "filter", "mangle"];

/// What was done.
#[derive(Debug, Default)]
pub struct CleanedUp {
    /// Something was there, and is not any more.
    pub removed: bool,
    /// That, and what stays and why, table by table.
    pub lines: Vec<String>,
}

/// What to do with one table.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    removal: Removal,
    /// Chains that someone else's rules lead to, and those that these lead to.
    kept: BTreeSet<String>,
}

/// Removes kube-proxy's chains and the jumps to them from nf_tables, whoever made them, but not what
/// the kubelet has as well (docs/reference.md#clean-up). A chain that rules of others lead to stays as
/// it is.
///
/// # Errors
/// Something is there and cannot be removed.
pub fn clean_up(family: Family) -> io::Result<CleanedUp> {
    let mut leftovers = Leftovers::open()?;
    let all = leftovers.chains(family)?;
    let mut removal = Removal::default();
    let mut done = CleanedUp::default();
    for table in TABLES {
        let chains: Vec<&FoundChain> = all.iter().filter(|chain| chain.table == table).collect();
        if !chains.iter().any(|chain| is_own(&chain.name)) {
            continue;
        }
        let plan = plan(&chains, |chain| leftovers.rules(family, table, chain))?;
        let name = format!("table {} {table}", family.nft());
        if !plan.removal.chains.is_empty() {
            let count = plan.removal.chains.len();
            done.removed = true;
            done.lines
                .push(format!("removed {count} chains of kube-proxy from {name}"));
        }
        for kept in &plan.kept {
            done.lines.push(format!(
                "{name}: chain {kept} stays, as rules that are not kube-proxy's lead to it"
            ));
        }
        removal.rules.extend(plan.removal.rules);
        removal.chains.extend(plan.removal.chains);
    }
    if removal != Removal::default() {
        leftovers.remove(family, &removal)?;
    }
    Ok(done)
}

/// `rules` lists those of a chain: of all that are not kube-proxy's, and of those that stay.
fn plan(
    chains: &[&FoundChain],
    mut rules: impl FnMut(&str) -> io::Result<Vec<FoundRule>>,
) -> io::Result<Plan> {
    let own = chains.iter().filter(|chain| is_own(&chain.name));
    let own: BTreeMap<_, _> = own
        .map(|chain| (chain.name.as_str(), chain.table.as_str()))
        .collect();
    let mut plan = Plan::default();
    for chain in chains.iter().filter(|chain| !is_own(&chain.name)) {
        for rule in rules(&chain.name)? {
            let Some(target) = rule.jumps_to.as_deref() else {
                continue;
            };
            if !own.contains_key(target) {
                continue;
            }
            if chain.is_base && is_jump_of_ours(&rule) {
                plan.removal
                    .rules
                    .push((rule.table, rule.chain, rule.handle));
            } else {
                plan.kept.insert(target.to_owned());
            }
        }
    }
    // And the chains of kube-proxy that those which stay lead to.
    let mut followed: Vec<String> = plan.kept.iter().cloned().collect();
    while let Some(chain) = followed.pop() {
        for target in rules(&chain)?.into_iter().filter_map(|rule| rule.jumps_to) {
            if own.contains_key(target.as_str()) && plan.kept.insert(target.clone()) {
                followed.push(target);
            }
        }
    }
    let gone = own.iter().filter(|(chain, _)| !plan.kept.contains(**chain));
    plan.removal.chains = gone
        .map(|(chain, table)| ((*table).to_owned(), (*chain).to_owned()))
        .collect();
    Ok(plan)
}

/// Whether a rule of a built-in chain is kube-proxy's, of whichever version and mode: all say so.
fn is_jump_of_ours(rule: &FoundRule) -> bool {
    let says = rule.comment.as_deref().unwrap_or_default();
    let ours = says.starts_with("kubernetes ") || says.starts_with("kube-proxy ");
    ours && rule.jumps_to.as_deref().is_some_and(is_entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(name: &str, is_base: bool) -> FoundChain {
        FoundChain {
            table: "nat".to_owned(),
            name: name.to_owned(),
            is_base,
        }
    }

    fn rule(chain: &str, handle: u64, jumps_to: &str, comment: &str) -> FoundRule {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        FoundRule {
            table: "nat".to_owned(),
            chain: chain.to_owned(),
            handle,
            jumps_to: some(jumps_to),
            comment: some(comment),
        }
    }

    fn planned(chains: &[FoundChain], rules: &[FoundRule]) -> Plan {
        let of = |chain: &str| {
            let own = rules.iter().filter(|rule| rule.chain == chain);
            Ok(own.cloned().collect())
        };
        let chains: Vec<&FoundChain> = chains.iter().collect();
        plan(&chains, of).expect("nothing fails")
    }

    #[test]
    fn whose_a_chain_is() {
        for (name, own) in [
            ("KUBE-SERVICES", true),
            ("KUBE-SVC-ABC", true),
            ("KUBE-SEP-ABC", true),
            ("KUBE-PROXY-CANARY", true),
            ("KUBE-IPVS-FILTER", true),
            ("KUBE-FIREWALL", false),
            ("KUBE-KUBELET-CANARY", false),
            ("KUBE-MARK-DROP", false),
            ("KUBE-ROUTER-INPUT", false),
            ("PREROUTING", false),
        ] {
            assert_eq!(is_own(name), own, "{name}");
        }
    }

    #[test]
    fn chains_go_with_the_rules_that_lead_to_them() {
        let chains = [
            chain("PREROUTING", true),
            chain("KUBE-SERVICES", false),
            chain("KUBE-SVC-A", false),
            chain("CNI", false),
        ];
        let rules = [
            rule(
                "PREROUTING",
                4,
                "KUBE-SERVICES",
                "kubernetes service portals",
            ),
            rule("PREROUTING", 5, "CNI", ""),
            rule("KUBE-SERVICES", 6, "KUBE-SVC-A", "shop/web cluster IP"),
            rule("KUBE-SVC-A", 7, "", ""),
        ];
        let plan = planned(&chains, &rules);
        let place = |chain: &str| ("nat".to_owned(), chain.to_owned());
        assert_eq!(
            plan.removal,
            Removal {
                rules: vec![("nat".to_owned(), "PREROUTING".to_owned(), 4)],
                chains: vec![place("KUBE-SERVICES"), place("KUBE-SVC-A")],
            }
        );
        assert_eq!(plan.kept, BTreeSet::new());
    }

    #[test]
    fn what_others_use_stays() {
        let chains = [
            chain("PREROUTING", true),
            chain("POSTROUTING", true),
            chain("CNI", false),
            chain("KUBE-MARK-MASQ", false),
            chain("KUBE-NODEPORTS", false),
            chain("KUBE-SERVICES", false),
            chain("KUBE-EXT-A", false),
            chain("KUBE-EXT-B", false),
        ];
        let rules = [
            rule("CNI", 1, "KUBE-MARK-MASQ", ""),
            rule("CNI", 2, "KUBE-EXT-A", ""),
            rule("KUBE-EXT-A", 3, "KUBE-EXT-B", ""),
            rule(
                "POSTROUTING",
                4,
                "KUBE-MARK-MASQ",
                "kubernetes service portals",
            ),
            rule("PREROUTING", 5, "KUBE-SERVICES", "my own"),
        ];
        let plan = planned(&chains, &rules);
        let kept: Vec<&str> = plan.kept.iter().map(String::as_str).collect();
        assert_eq!(
            kept,
            [
                "KUBE-EXT-A",
                "KUBE-EXT-B",
                "KUBE-MARK-MASQ",
                "KUBE-SERVICES"
            ]
        );
        let gone = ("nat".to_owned(), "KUBE-NODEPORTS".to_owned());
        assert_eq!(plan.removal.chains, [gone]);
        assert_eq!(plan.removal.rules, []);
    }
}
