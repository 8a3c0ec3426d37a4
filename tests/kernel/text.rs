//! Tables as text.

use e2e::Namespace;
use rules::model::Family;
use std::collections::BTreeMap;

/// A family's table in a namespace.
pub fn list(namespace: &Namespace, family: Family) -> String {
    let words = ["nft", "list", "table", family.nft(), "kube-proxy"];
    namespace.exec(&words).expect("a listing")
}

/// What the kernel says of a set that rules fill and that was declared without
/// a size: it is its own limit.
pub const OWN_LIMIT: &str = "size 65535";

/// Counters, sets and chains by their first lines, without what is counted. Their order, and that of elements, is
/// no part of what a table means, and nft has its own.
pub fn parts(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut parts = BTreeMap::new();
    let mut own: Option<(String, Vec<String>)> = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("table ") {
            continue;
        }
        if let Some(head) = line.strip_suffix(" {") {
            own = Some((head.to_owned(), Vec::new()));
        } else if line == "}" {
            parts.extend(own.take().map(|(head, lines)| (head, body(&lines))));
        } else if let Some((head, lines)) = &mut own
            && (line != OWN_LIMIT || !head.starts_with("set affinity-"))
            && !(line.starts_with("packets ") && head.starts_with("counter "))
        {
            lines.push(line.to_owned());
        }
    }
    parts
}

/// Lines of a set or chain; elements one a line and sorted.
fn body(lines: &[String]) -> Vec<String> {
    let text = lines.join("\n");
    let Some((before, elements)) = text.split_once("elements = {") else {
        return lines.to_vec();
    };
    let mut body: Vec<String> = before.lines().map(str::to_owned).collect();
    let elements = elements.strip_suffix('}').expect("elements end the set");
    // Comments may hold commas too, but no quotes.
    let (mut list, mut quoted) = (vec![String::new()], false);
    for c in elements.chars() {
        quoted ^= c == '"';
        match c {
            ',' if !quoted => list.push(String::new()),
            _ => list.last_mut().expect("never empty").push(c),
        }
    }
    let mut list: Vec<String> = list.iter().map(|own| own.trim().to_owned()).collect();
    // Those that rules put in, when packets come.
    list.retain(|own| !own.contains(" counter packets "));
    list.sort();
    body.extend(list);
    body
}
