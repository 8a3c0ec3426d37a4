//! What the kernel holds beside what it should: `nft`'s listing of a node's table, and of the one
//! that `kube-proxy render` makes of the same objects.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Namespace, Node, manifest};
use serde_json::Value;

use crate::faults::proxy::rule_flags;
use crate::mode::Mode;

/// The tables' families, as nft calls them.
pub(crate) const FAMILIES: [&str; 2] = ["ip", "ip6"];

/// A table's parts: a set's or chain's first line, and the lines in it.
pub(crate) type Parts = BTreeMap<String, Vec<String>>;

/// The node's tables; one that is not there is empty.
pub(crate) fn listed(namespace: &Namespace) -> Result<[Parts; 2]> {
    let list = |family: &str| -> Result<Parts> {
        let output = namespace.run(|| {
            Command::new("nft")
                .args(["list", "table", family, "kube-proxy"])
                .output()
        })?;
        let output = output.context("run nft")?;
        Ok(meaning(&String::from_utf8_lossy(&output.stdout)))
    };
    Ok([list(FAMILIES[0])?, list(FAMILIES[1])?])
}

/// What the node's tables should be, made in `scratch`, a namespace for no other purpose.
pub(crate) fn expected(
    node: &Node,
    objects: &[Value],
    scratch: &Namespace,
    directory: &Path,
) -> Result<[Parts; 2]> {
    let text = rendered(node, Mode::Nftables, objects, directory, &[])?;
    scratch.nft(&format!("flush ruleset\n{text}"))?;
    listed(scratch)
}

/// What `kube-proxy render` prints of these objects.
pub(super) fn rendered(
    node: &Node,
    mode: Mode,
    objects: &[Value],
    directory: &Path,
    more: &[&str],
) -> Result<String> {
    let manifests = directory.join("expected");
    std::fs::create_dir_all(&manifests)?;
    manifest::write(&manifests, "all", objects)?;
    let rendered = Command::new(e2e::binary()?)
        .arg("render")
        .args(rule_flags(node, mode))
        .args(more)
        .arg("--manifests")
        .arg(&manifests)
        .output()
        .context("run kube-proxy render")?;
    ensure!(
        rendered.status.success(),
        "render: {}",
        String::from_utf8_lossy(&rendered.stderr)
    );
    Ok(String::from_utf8(rendered.stdout)?)
}

/// The first differences, a line each.
pub(crate) fn differences(seen: &[Parts; 2], expected: &[Parts; 2]) -> Vec<String> {
    let mut found = Vec::new();
    for (family, (seen, expected)) in FAMILIES.iter().zip(seen.iter().zip(expected)) {
        let heads: BTreeSet<_> = seen.keys().chain(expected.keys()).collect();
        for head in heads {
            let (there, wanted) = (seen.get(head), expected.get(head));
            if there == wanted {
                continue;
            }
            let (there, wanted) = (there.cloned(), wanted.cloned());
            let text = match (there, wanted) {
                (None, _) => "is missing".to_owned(),
                (_, None) => "should not be there".to_owned(),
                (Some(there), Some(wanted)) => {
                    let only = |left: &[String], right: &[String]| -> Vec<String> {
                        let other = left.iter().filter(|line| !right.contains(line));
                        other.take(2).cloned().collect()
                    };
                    format!(
                        "has {:?}, lacks {:?}",
                        only(&there, &wanted),
                        only(&wanted, &there)
                    )
                }
            };
            found.push(format!("{family} {head}: {text}"));
        }
    }
    found.truncate(4);
    found
}

/// A listing without what is no part of its meaning: what was counted, the order of sets, chains
/// and elements, the sizes of sets, the places of endpoints in their lists, and chains that nothing leads to.
fn meaning(text: &str) -> Parts {
    let mut parts = Parts::new();
    let mut open: Option<(String, Vec<String>)> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(head) = line.strip_suffix(" {") {
            match head.starts_with("table ") {
                // Flags of the table, dormant for one, stand behind it.
                true => drop(parts.insert("table".to_owned(), Vec::new())),
                false => open = Some((head.to_owned(), Vec::new())),
            }
        } else if line == "}" {
            parts.extend(open.take().map(|(head, lines)| {
                let lines = body(&head, &lines);
                (head, lines)
            }));
        } else if let Some((_, lines)) = &mut open {
            lines.push(line.to_owned());
        } else if let Some(table) = parts.get_mut("table")
            && !line.starts_with("comment ")
        {
            table.push(line.to_owned());
        }
    }
    without_unused(parts)
}

fn body(head: &str, lines: &[String]) -> Vec<String> {
    if head.starts_with("counter ") {
        return Vec::new();
    }
    let sized = |line: &&String| !line.starts_with("size ");
    let text = lines
        .iter()
        .filter(sized)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    let Some((before, elements)) = text.split_once("elements = {") else {
        return text.lines().map(str::to_owned).collect();
    };
    let mut body: Vec<String> = before.lines().map(str::to_owned).collect();
    let elements = elements.trim_end().strip_suffix('}').unwrap_or(elements);
    // Comments may hold commas too, but no quotes.
    let (mut list, mut quoted) = (vec![String::new()], false);
    for c in elements.chars() {
        quoted ^= c == '"';
        match c {
            ',' if !quoted => list.push(String::new()),
            '\n' => {}
            _ => list.last_mut().into_iter().for_each(|last| last.push(c)),
        }
    }
    let is_list_of_endpoints =
        head.starts_with("map ") && head.ends_with("endpoints") && !head.contains("no-endpoints");
    let mut list: Vec<String> = list
        .iter()
        .map(|element| element.split_whitespace().collect::<Vec<_>>().join(" "))
        .map(|element| match is_list_of_endpoints {
            true => without_place(&element),
            false => element,
        })
        .collect();
    list.sort();
    body.extend(list);
    body
}

/// An endpoint's element without its place: the last part of its key.
fn without_place(element: &str) -> String {
    let Some((key, value)) = element.split_once(" : ") else {
        return element.to_owned();
    };
    let key = key.rsplit_once(" . ").map_or(key, |(key, _)| key);
    format!("{key} : {value}")
}

/// Without the chains that no hook, rule or element leads to, and a Service's own sets that no
/// rule looks into: one may stay for a while after its last user.
fn without_unused(mut parts: Parts) -> Parts {
    loop {
        // Apart, as a chain may have the name of the set that it looks into.
        let (mut chains, mut sets) = (BTreeSet::new(), BTreeSet::new());
        for line in parts.values().flatten() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let to = words
                .windows(2)
                .filter(|pair| matches!(pair[0], "goto" | "jump"));
            chains.extend(to.map(|pair| pair[1].to_owned()));
            let looked_into = words.iter().filter_map(|word| word.strip_prefix('@'));
            sets.extend(looked_into.map(str::to_owned));
        }
        let unused: Vec<String> = parts
            .iter()
            .filter(|(head, lines)| !is_used(head, lines, &chains, &sets))
            .map(|(head, _)| head.clone())
            .collect();
        if unused.is_empty() {
            return parts;
        }
        parts.retain(|head, _| !unused.contains(head));
    }
}

fn is_used(
    head: &str,
    lines: &[String],
    chains: &BTreeSet<String>,
    sets: &BTreeSet<String>,
) -> bool {
    const OF_SERVICES: [&str; 2] = ["sources-", "affinity-"];
    if let Some(name) = head.strip_prefix("chain ") {
        let has_hook = lines.iter().any(|line| line.starts_with("type "));
        return has_hook || chains.contains(name);
    }
    let Some(name) = head.strip_prefix("set ") else {
        return true;
    };
    let of_service = OF_SERVICES.iter().any(|prefix| name.starts_with(prefix));
    !of_service || sets.contains(name)
}

#[cfg(test)]
mod tests {
    use super::{differences, meaning};

    const TABLE: &str = "table ip kube-proxy {\n\tcomment \"x\"\n\tmap services {\n\t\tsize 6\n\t\telements = { a . b comment \"d/w, x\" : goto one,\n\t\t\t     c : goto one }\n\t}\n\tmap endpoints {\n\t\telements = { a . 1 : p, a . 0 : q }\n\t}\n\tchain one {\n\t\taccept\n\t}\n\tchain two {\n\t\taccept\n\t}\n\tchain hook {\n\t\ttype nat hook output priority 0\n\t}\n}\n";

    #[test]
    fn order_sizes_places_and_unused_chains_do_not_count() {
        let table = [meaning(TABLE), meaning("")];
        let other = TABLE
            .replace("\t\tsize 6\n", "")
            .replace("a . 1 : p, a . 0 : q", "a . 0 : p, a . 1 : q")
            .replace("\tchain two {\n\t\taccept\n\t}\n", "");
        assert_eq!(
            differences(&table, &[meaning(&other), meaning("")]),
            [""; 0]
        );
    }

    #[test]
    fn counters_have_to_be_there_whatever_they_counted() {
        let with = |packets: u32| {
            let counter =
                format!("\tcounter drops {{\n\t\tpackets {packets} bytes 9\n\t}}\n\tchain hook {{");
            meaning(&TABLE.replace("\tchain hook {", &counter))
        };
        assert_eq!(with(0), with(3));
        assert_ne!(with(0), meaning(TABLE));
    }

    #[test]
    fn an_unused_chain_does_not_count_for_looking_into_a_set_of_its_own_name() {
        let unused = "\tset sources-1 {\n\t\ttype ipv4_addr\n\t}\n\tchain sources-1 {\n\t\tip saddr != @sources-1 drop\n\t}\n\tchain hook {";
        let other = TABLE.replace("\tchain hook {", unused);
        assert_eq!(meaning(&other), meaning(TABLE));
    }

    #[test]
    fn rules_elements_flags_and_families_count() {
        let table = [meaning(TABLE), meaning("")];
        for (from, to) in [
            ("accept", "drop"),
            ("a . 0 : q", "a . 0 : z"),
            ("d/w, x", "d/w, y"),
            ("\tcomment \"x\"\n", "\tflags dormant\n"),
            ("\tchain one {\n\t\taccept\n\t}\n", ""),
        ] {
            let other = [meaning(&TABLE.replacen(from, to, 1)), meaning("")];
            assert_eq!(differences(&table, &other).len(), 1, "{from}");
        }
        assert!(!differences(&table, &[meaning(""), meaning(TABLE)]).is_empty());
    }
}
