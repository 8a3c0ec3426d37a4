//! The same as `plan` for mode iptables: what `iptables-save` and `ip6tables-save` tell of a node, and
//! of what `kube-proxy render` prints.

use std::path::Path;

use anyhow::Result;
use e2e::{Namespace, Node, nfacct};
use serde_json::Value;

use crate::faults::plan::{Parts, rendered};
use crate::mode::Mode;
use crate::saved::normalised;

/// Name of the family, the programs that tell its tables and take them.
const FAMILIES: [(&str, &str, &str); 2] = [
    ("ipv4", "iptables-save", "iptables-restore"),
    ("ipv6", "ip6tables-save", "ip6tables-restore"),
];
/// What rules count in.
const COUNTERS: [&str; 2] = [
    "ct_state_invalid_dropped_pkts",
    "localhost_nps_accepted_pkts",
];

/// Makes a namespace take what is rendered.
pub(crate) fn prepare(scratch: &Namespace) -> Result<()> {
    COUNTERS
        .iter()
        .try_for_each(|counter| nfacct::add(scratch, counter))
}

/// The node's tables; one that is not there is empty.
pub(crate) fn listed(namespace: &Namespace) -> Result<[Parts; 2]> {
    let [v4, v6] = FAMILIES.map(|(_, save, _)| namespace.exec(&[save]));
    Ok([meaning(&v4?), meaning(&v6?)])
}

/// What the node's tables should be, made in `scratch`, a namespace for no other purpose.
pub(crate) fn expected(
    node: &Node,
    objects: &[Value],
    scratch: &Namespace,
    directory: &Path,
) -> Result<[Parts; 2]> {
    scratch.nft("flush ruleset")?;
    for (family, _, restore) in FAMILIES {
        let flags = ["--family", family];
        let text = rendered(node, Mode::Iptables, objects, directory, &flags)?;
        scratch.pipe(&[restore, "--noflush"], &text)?;
    }
    listed(scratch)
}

/// Each chain with its policy and its rules, by table and name.
fn meaning(saved: &str) -> Parts {
    let text = normalised(saved);
    let mut parts = Parts::new();
    let mut table = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(chain) = line.strip_prefix(':') {
            let (chain, policy) = chain.split_once(' ').unwrap_or((chain, "-"));
            let lines = parts.entry(format!("{table} {chain}")).or_default();
            lines.push(format!("policy {policy}"));
        } else if let Some((chain, rule)) = line
            .strip_prefix("-A ")
            .and_then(|rule| rule.split_once(' '))
        {
            let lines = parts.entry(format!("{table} {chain}")).or_default();
            lines.push(rule.to_owned());
        }
    }
    // A jump that was lost comes back at the head of its chain, as upstream puts it.
    let built_in = |lines: &&mut Vec<String>| lines.first().is_some_and(|own| own != "policy -");
    parts
        .values_mut()
        .filter(built_in)
        .for_each(|own| own.sort());
    parts
}

#[cfg(test)]
mod tests {
    use super::meaning;

    #[test]
    fn policies_and_rules_count_and_packets_do_not() {
        const SAVED: &str =
            "*nat\n:OUTPUT ACCEPT [1:2]\n:KUBE-SVC-A - [0:0]\n-A OUTPUT -j KUBE-SVC-A\nCOMMIT\n";
        let parts = meaning(SAVED);
        assert_eq!(parts["nat OUTPUT"], ["-j KUBE-SVC-A", "policy ACCEPT"]);
        assert_eq!(parts["nat KUBE-SVC-A"], ["policy -"]);
        assert_eq!(parts, meaning(&SAVED.replace("[1:2]", "[7:7]")));
        for (from, to) in [
            ("OUTPUT ACCEPT", "OUTPUT DROP"),
            ("-A OUTPUT -j KUBE-SVC-A\n", ""),
            (":KUBE-SVC-A - [0:0]\n", ""),
        ] {
            assert_ne!(parts, meaning(&SAVED.replace(from, to)), "{from}");
        }
    }
}
