//! The chains that kube-proxy has in tables of iptables: which are its own, and what goes with
//! them.

use crate::netlink::leftovers::{FoundChain, FoundRule, Leftovers, Removal};
use rules::check::{is_proxy_chain as is_own, is_proxy_entry as is_entry};
use rules::model::Family;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// The tables of iptables that kube-proxy has chains in.
pub(super) const TABLES: [&str; 3] = ["nat", "filter", "mangle"];

/// What to do with one table.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    removal: Removal,
    /// Chains that someone else's rules lead to, and those that these lead to.
    kept: BTreeSet<String>,
}

/// Removes them from nf_tables; each line tells what was done.
pub(crate) fn remove(family: Family) -> io::Result<Vec<String>> {
    let mut leftovers = Leftovers::open()?;
    let all = leftovers.chains(family)?;
    let mut removal = Removal::default();
    let mut lines = Vec::new();
    for table in TABLES {
        let mut chains = all.iter().filter(|chain| chain.table == table);
        if !chains.clone().any(|chain| is_own(&chain.name)) {
            continue;
        }
        let rules = leftovers.rules(family, table)?;
        let plan = plan(&mut chains, &rules);
        let name = format!("table {} {table}", family.nft());
        if !plan.removal.chains.is_empty() {
            let count = plan.removal.chains.len();
            lines.push(format!("removed {count} chains of kube-proxy from {name}"));
        }
        for kept in &plan.kept {
            lines.push(format!(
                "{name}: chain {kept} stays, as rules that are not kube-proxy's lead to it"
            ));
        }
        removal.rules.extend(plan.removal.rules);
        removal.chains.extend(plan.removal.chains);
    }
    if removal != Removal::default() {
        leftovers.remove(family, &removal)?;
    }
    Ok(lines)
}

fn plan(chains: &mut dyn Iterator<Item = &FoundChain>, rules: &[FoundRule]) -> Plan {
    let (mut own, mut base) = (BTreeMap::new(), BTreeSet::new());
    for chain in chains {
        if is_own(&chain.name) {
            own.insert(chain.name.as_str(), chain.table.as_str());
        } else if chain.is_base {
            base.insert(chain.name.as_str());
        }
    }
    let mut plan = Plan::default();
    for rule in rules.iter().filter(|rule| !is_own(&rule.chain)) {
        let Some(target) = rule
            .jumps_to
            .as_deref()
            .filter(|target| own.contains_key(target))
        else {
            continue;
        };
        if base.contains(rule.chain.as_str()) && is_entry(target) {
            let place = (rule.table.clone(), rule.chain.clone(), rule.handle);
            plan.removal.rules.push(place);
        } else {
            plan.kept.insert(target.to_owned());
        }
    }
    keep_what_is_led_to(&mut plan.kept, rules);
    let gone = own.iter().filter(|(chain, _)| !plan.kept.contains(**chain));
    plan.removal.chains = gone
        .map(|(chain, table)| ((*table).to_owned(), (*chain).to_owned()))
        .collect();
    plan
}

/// Adds the chains of kube-proxy that those which stay lead to.
fn keep_what_is_led_to(kept: &mut BTreeSet<String>, rules: &[FoundRule]) {
    loop {
        let next: Vec<String> = rules
            .iter()
            .filter(|rule| kept.contains(&rule.chain))
            .filter_map(|rule| rule.jumps_to.clone())
            .filter(|target| is_own(target) && !kept.contains(target))
            .collect();
        if next.is_empty() {
            return;
        }
        kept.extend(next);
    }
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

    fn rule(chain: &str, handle: u64, jumps_to: &str) -> FoundRule {
        FoundRule {
            table: "nat".to_owned(),
            chain: chain.to_owned(),
            handle,
            jumps_to: (!jumps_to.is_empty()).then(|| jumps_to.to_owned()),
        }
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
            rule("PREROUTING", 4, "KUBE-SERVICES"),
            rule("PREROUTING", 5, "CNI"),
            rule("KUBE-SERVICES", 6, "KUBE-SVC-A"),
            rule("KUBE-SVC-A", 7, ""),
        ];
        let plan = plan(&mut chains.iter(), &rules);
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
            chain("KUBE-EXT-A", false),
            chain("KUBE-EXT-B", false),
        ];
        let rules = [
            rule("CNI", 1, "KUBE-MARK-MASQ"),
            rule("CNI", 2, "KUBE-EXT-A"),
            rule("KUBE-EXT-A", 3, "KUBE-EXT-B"),
            rule("POSTROUTING", 4, "KUBE-MARK-MASQ"),
        ];
        let plan = plan(&mut chains.iter(), &rules);
        let kept: Vec<&str> = plan.kept.iter().map(String::as_str).collect();
        assert_eq!(kept, ["KUBE-EXT-A", "KUBE-EXT-B", "KUBE-MARK-MASQ"]);
        let gone = ("nat".to_owned(), "KUBE-NODEPORTS".to_owned());
        assert_eq!(plan.removal.chains, [gone]);
        assert_eq!(plan.removal.rules, []);
    }
}
