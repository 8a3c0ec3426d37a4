//! What `iptables-save` tells, brought into an order that depends on nothing but the rules.

use std::collections::BTreeMap;

/// Chains in which upstream has the Services in the order of a map of Go, another one every time.
const BY_CHANCE: [&str; 4] = [
    "KUBE-SERVICES",
    "KUBE-NODEPORTS",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-PROXY-FIREWALL",
];
/// What the comment of rules begins with that have to be the last ones of their chain.
const LAST: &str = "--comment \"kubernetes service nodeports; NOTE: this must be the last rule";

/// All tables, without comments and counts of packets. Rules stay in their order, but where that is
/// chance: there those of each Service port stay in theirs, and ports are in the order of names.
pub(crate) fn normalised(saved: &str) -> String {
    let mut tables: BTreeMap<&str, Table<'_>> = BTreeMap::new();
    let mut name = "";
    for line in saved.lines() {
        if let Some(table) = line.strip_prefix('*') {
            name = table;
            continue;
        }
        let table = tables.entry(name).or_default();
        if let Some(chain) = line.strip_prefix(':') {
            let policy = chain.split(" [").next().unwrap_or_default();
            table.chains.push(policy);
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let (chain, rule) = rule.split_once(' ').unwrap_or((rule, ""));
            table.rules.entry(chain).or_default().push(rule);
        }
    }
    let tables = tables.into_iter().filter(|(name, _)| !name.is_empty());
    tables.map(|(name, table)| table.text(name)).collect()
}

#[derive(Default)]
struct Table<'a> {
    chains: Vec<&'a str>,
    rules: BTreeMap<&'a str, Vec<&'a str>>,
}

impl Table<'_> {
    fn text(mut self, name: &str) -> String {
        self.chains.sort_unstable();
        let chains = self.chains.iter().map(|chain| format!(":{chain}\n"));
        let mut text: String = [format!("*{name}\n")].into_iter().chain(chains).collect();
        for (chain, mut rules) in self.rules {
            if BY_CHANCE.contains(&chain) {
                rules = in_order(rules);
            }
            text.extend(rules.iter().map(|rule| format!("-A {chain} {rule}\n")));
        }
        text
    }
}

/// Those of each port together. Rules at the end that have to stand there are sorted as text; one
/// that stands elsewhere is left where it would be found missing.
fn in_order(mut rules: Vec<&str>) -> Vec<&str> {
    let last = rules.iter().rev().take_while(|rule| rule.contains(LAST));
    let mut last: Vec<_> = rules.split_off(rules.len() - last.count());
    last.sort_unstable();
    // A stable sort.
    rules.sort_by_key(port);
    rules.extend(last);
    rules
}

/// The Service port that a rule's comment begins with.
fn port<'a>(rule: &&'a str) -> &'a str {
    let comment = rule.split("--comment ").nth(1).unwrap_or_default();
    let comment = comment.trim_start_matches('"');
    comment.split([' ', '"']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_chance_may_differ() {
        let saved = |rules: &[&str]| {
            let rules = rules.iter().map(|rule| format!("-A {rule}\n"));
            let rules: String = rules.collect();
            normalised(&format!(
                "# Generated\n*nat\n:KUBE-SVC-A - [0:0]\n:INPUT ACCEPT [3:4]\n{rules}COMMIT\n"
            ))
        };
        let one = r#"KUBE-SERVICES -m comment --comment "ns/a:p cluster IP" -j X"#;
        let two = r#"KUBE-SERVICES -m comment --comment "ns/a:p external IP" -j X"#;
        let other = r#"KUBE-SERVICES -m comment --comment "ns/b cluster IP" -j X"#;
        let last = format!("KUBE-SERVICES -m comment {LAST} in this chain\" -j Y");
        let text = saved(&[one, two, other, &last]);
        assert!(
            text.starts_with("*nat\n:INPUT ACCEPT\n:KUBE-SVC-A -\n-A"),
            "{text}"
        );
        assert_eq!(text, saved(&[other, one, two, &last]));
        assert_eq!(text, saved(&[one, other, two, &last]));
        for differs in [
            vec![two, one, other, &last],
            vec![&last, one, two, other],
            vec![one, &last, two, other],
            vec![one, two, other],
        ] {
            assert_ne!(text, saved(&differs), "{differs:?}");
        }
        let (first, second) = ("KUBE-SVC-A -j B", "KUBE-SVC-A -j C");
        assert_ne!(saved(&[first, second]), saved(&[second, first]));
    }
}
