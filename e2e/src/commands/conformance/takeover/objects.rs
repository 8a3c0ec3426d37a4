//! What a proxy leaves behind for the next one.

use std::collections::BTreeSet;

use anyhow::Result;

use super::row;
use crate::conformance::rig::Side;
use crate::conformance::run::Row;

/// What stands between a table and the name of a chain that has a hook.
const HOOK: &str = "/hook of ";

/// Every table, chain, set, map and hook of node-1, as `family table/kind name`.
pub(super) fn names(side: &Side) -> Result<BTreeSet<String>> {
    let text = side.node().namespace().exec(&["nft", "list", "ruleset"])?;
    Ok(parse(&text))
}

fn parse(ruleset: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let (mut table, mut chain) = ("", "");
    for line in ruleset.lines() {
        if line.starts_with("\t\ttype ") && line.contains(" hook ") {
            names.insert(format!("{table}{HOOK}{chain}"));
        }
        let Some(head) = line.strip_suffix(" {") else {
            continue;
        };
        if let Some(name) = head.strip_prefix("table ") {
            table = name;
            names.insert(name.to_owned());
        } else if let Some(object) = head.strip_prefix('\t') {
            chain = object.strip_prefix("chain ").unwrap_or(chain);
            let kinds = ["chain ", "set ", "map "];
            if kinds.iter().any(|kind| object.starts_with(kind)) {
                names.insert(format!("{table}/{object}"));
            }
        }
    }
    names
}

/// Whether a chain may be there or not, one sync more or less: ours for a number of endpoints stays
/// for one sync after its last user left, upstream's of a Service that is gone for a second.
fn passing(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let counted = name.contains("/chain ") && name.rsplit('-').next().is_some_and(digits);
    counted || name.contains("/canary-")
}

/// What is there beside what the proxy has that runs after a start from nothing.
pub(super) fn left(side: &Side, fresh: &BTreeSet<String>) -> Result<Vec<String>> {
    let mut left: Vec<_> = names(side)?.difference(fresh).cloned().collect();
    left.retain(|name| !passing(name));
    Ok(left)
}

/// A row for these, of which there shall be none.
pub(super) fn none(name: &str, what: &str, left: &[String]) -> Row {
    row(name, what, &said(&[]), said(left))
}

/// A row that only tells what is left.
pub(super) fn told(name: &str, left: &[String]) -> Row {
    let said = said(left);
    println!("       takeover {name}: {} objects are left", left.len());
    row(name, "left", &said, said.clone())
}

fn said(left: &[String]) -> String {
    match left.len() {
        0 => "nothing is left".to_owned(),
        count => format!("{count} left: {}", left.join(", ")),
    }
}

/// Those that have a hook, and so see packets.
pub(super) fn hooks(left: &[String]) -> Vec<String> {
    let hooks = left.iter().filter(|name| name.contains(HOOK));
    hooks.cloned().collect()
}

/// Those that upstream takes for Services' chains, and would delete.
pub(super) fn services(left: &[String]) -> Vec<String> {
    let chains = left.iter().filter(|name| {
        let chain = name.split_once("/chain ");
        chain.is_some_and(|(_, chain)| chain.contains('/'))
    });
    chains.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_tables_and_their_objects() {
        let text = "table ip kube-proxy {\n\tmap services {\n\t\ttype x\n\t}\n\tchain cluster-2 {\n\t}\n}\n";
        let names = parse(text);
        let expected = [
            "ip kube-proxy",
            "ip kube-proxy/map services",
            "ip kube-proxy/chain cluster-2",
        ];
        assert_eq!(names, expected.map(str::to_owned).into());
        assert!(
            passing("ip kube-proxy/chain cluster-2") && !passing("ip kube-proxy/chain services")
        );
    }
}
