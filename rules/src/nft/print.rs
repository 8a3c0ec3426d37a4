//! Rules as text: what `nft -f` loads and `nft list ruleset` shows.

mod chain;
mod element;

pub use chain::{rule, statement};
pub use element::{client, element, key, prefix, value};

use crate::model::Family;
use crate::nft::ruleset::{
    AffinitySet, Chain, Client, Counter, DataType, Element, KeyField, Op, SetId, SourceSet, TABLE,
    TABLE_COMMENT, Transaction,
};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A transaction: the whole table as `nft list` shows it if it replaces the
/// table, or else one `nft` command a line.
pub fn transaction(transaction: &Transaction) -> String {
    match transaction.ops.first() {
        Some(Op::ReplaceTable) => table(transaction),
        _ => commands(transaction),
    }
}

/// A comment as nft accepts it: what would end or break the quoted text is
/// replaced, and what is too long is cut. Printer and encoder share this, as
/// nothing from the cluster may reach a rule unescaped or unbounded.
pub fn comment(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| !c.is_control() && c != '"' && c != '\\';
    if text.len() <= Element::COMMENT_MAX && text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(Element::COMMENT_MAX);
    for c in text.chars().map(|c| if harmless(c) { c } else { '_' }) {
        if clean.len() + c.len_utf8() > Element::COMMENT_MAX {
            break;
        }
        clean.push(c);
    }
    Cow::Owned(clean)
}

fn table(transaction: &Transaction) -> String {
    let family = transaction.family;
    let mut elements: BTreeMap<SetId, Vec<Element>> = BTreeMap::new();
    let mut counters = Vec::new();
    let mut sets = Vec::new();
    let mut affinity_sets = Vec::new();
    let mut source_sets = Vec::new();
    let mut clients: BTreeMap<&AffinitySet, &[Client]> = BTreeMap::new();
    let mut chains = Vec::new();
    for op in &transaction.ops {
        match op {
            Op::AddSet { set, size } => sets.push((*set, *size)),
            Op::AddCounter(counter) => counters.push(*counter),
            Op::AddAffinitySet(set) => affinity_sets.push(set),
            Op::AddSourceSet(set) => source_sets.push(set),
            Op::AddClients(set, own) => {
                clients.insert(set, own);
            }
            Op::AddElements(..) | Op::AddElementsOf(..) => {
                for (set, element) in op.elements() {
                    elements.entry(set).or_default().push(element);
                }
            }
            Op::AddChain(chain) => chains.push(chain),
            _ => {}
        }
    }
    let nft = family.nft();
    // Adding before deleting makes the deletion work on any machine.
    let mut out = format!("add table {nft} {TABLE}\ndelete table {nft} {TABLE}\n");
    let _ = writeln!(out, "table {nft} {TABLE} {{\n\tcomment \"{TABLE_COMMENT}\"");
    for counter in counters {
        let _ = writeln!(out, "\n\tcounter {counter} {{");
        for line in counter_lines(counter) {
            let _ = writeln!(out, "\t\t{line}");
        }
        out.push_str("\t}\n");
    }
    for (set, size) in sets {
        out.push('\n');
        write_set(
            &mut out,
            (set, size),
            family,
            elements.get(&set).map(Vec::as_slice).unwrap_or_default(),
        );
    }
    for set in affinity_sets {
        let _ = writeln!(out, "\n\tset {set} {{");
        for line in affinity_set(family) {
            let _ = writeln!(out, "\t\t{line}");
        }
        let own = clients.get(set).copied().unwrap_or_default();
        write_elements(&mut out, own.iter().map(client));
        out.push_str("\t}\n");
    }
    for set in source_sets {
        let _ = writeln!(out, "\n\tset {set} {{");
        for line in source_set(family) {
            let _ = writeln!(out, "\t\t{line}");
        }
        write_elements(&mut out, set.ranges().iter().map(prefix));
        out.push_str("\t}\n");
    }
    for chain in chains {
        out.push('\n');
        write_chain(&mut out, chain, family);
    }
    out.push_str("}\n");
    out
}

fn write_set(
    out: &mut String,
    (set, size): (SetId, Option<u32>),
    family: Family,
    elements: &[Element],
) {
    let _ = writeln!(out, "\t{} {set} {{", set_kind(set));
    for line in set_lines(set, size, family) {
        let _ = writeln!(out, "\t\t{line}");
    }
    let _ = writeln!(out, "\t\tcomment \"{}\"", set.comment());
    write_elements(out, elements.iter().map(element));
    out.push_str("\t}\n");
}

fn set_kind(set: SetId) -> &'static str {
    if set.data().is_some() { "map" } else { "set" }
}

/// What a set's braces begin with.
fn set_lines(set: SetId, size: Option<u32>, family: Family) -> Vec<String> {
    let size = size.map(|size| format!("size {size}"));
    let counts = ["flags dynamic", "counter"].map(str::to_owned);
    let counts = counts.into_iter().filter(|_| set.is_counting());
    let first = [set_type(set, family)].into_iter().chain(size);
    first.chain(counts).collect()
}

/// What stands between the braces of a counter.
fn counter_lines(counter: Counter) -> [String; 2] {
    [
        format!("comment \"{}\"", counter.comment()),
        "packets 0 bytes 0".to_owned(),
    ]
}

fn write_elements(out: &mut String, elements: impl Iterator<Item = String>) {
    let mut any = false;
    for own in elements {
        out.push_str(if any {
            ",\n\t\t\t     "
        } else {
            "\t\telements = { "
        });
        out.push_str(&own);
        any = true;
    }
    if any {
        out.push_str(" }\n");
    }
}

/// What stands between the braces of a set of clients.
fn affinity_set(family: Family) -> [String; 2] {
    [
        format!("type {}", address_type(family)),
        "flags dynamic,timeout".to_owned(),
    ]
}

/// What stands between the braces of a set of sources, but for its ranges.
fn source_set(family: Family) -> [String; 2] {
    [
        format!("type {}", address_type(family)),
        "flags interval".to_owned(),
    ]
}

fn add_source_set(set: &SourceSet, place: &str, family: Family) -> String {
    let lines = source_set(family).join("; ");
    let ranges: Vec<String> = set.ranges().iter().map(prefix).collect();
    let ranges = ranges.join(", ");
    format!("add set {place} {set} {{ {lines}; elements = {{ {ranges} }}; }}\n")
}

fn address_type(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4_addr",
        Family::V6 => "ipv6_addr",
    }
}

/// A set's type. Keys with an index are declared by expressions, as nft has no
/// name for the type of a random number.
fn set_type(set: SetId, family: Family) -> String {
    let (address, ip) = (address_type(family), family.nft());
    let by_expression = set.key().contains(&KeyField::Index);
    let fields: Vec<String> = set
        .key()
        .iter()
        .map(|field| match (field, by_expression) {
            (KeyField::Address, true) => format!("{ip} daddr"),
            (KeyField::Protocol, true) => "meta l4proto".to_owned(),
            (KeyField::Port, true) => "th dport".to_owned(),
            (KeyField::Index, _) => "numgen random mod 65536".to_owned(),
            (KeyField::Address, false) => address.to_owned(),
            (KeyField::Protocol, false) => "inet_proto".to_owned(),
            (KeyField::Port, false) => "inet_service".to_owned(),
        })
        .collect();
    let keyword = if by_expression { "typeof" } else { "type" };
    let data = match set.data() {
        None => String::new(),
        Some(DataType::Verdict) => " : verdict".to_owned(),
        Some(DataType::Endpoint) => format!(" : {ip} daddr . th dport"),
    };
    format!("{keyword} {}{data}", fields.join(" . "))
}

fn write_chain(out: &mut String, own: &Chain, family: Family) {
    let _ = writeln!(out, "\tchain {} {{", own.id);
    for line in chain::lines(own, family) {
        let _ = writeln!(out, "\t\t{line}");
    }
    out.push_str("\t}\n");
}

/// Changes of an existing table, one command a line.
fn commands(transaction: &Transaction) -> String {
    let family = transaction.family;
    let place = format!("{} {TABLE}", family.nft());
    let mut out = String::new();
    let with_elements = |verb: &str, op: &Op| {
        let mut lists: BTreeMap<SetId, Vec<String>> = BTreeMap::new();
        op.for_each_element(|set, own| lists.entry(set).or_default().push(element(own)));
        let line = |(set, list): (SetId, Vec<String>)| {
            format!("{verb} element {place} {set} {{ {} }}\n", list.join(", "))
        };
        lists.into_iter().map(line).collect::<String>()
    };
    for op in &transaction.ops {
        match op {
            Op::ReplaceTable => {
                let _ = writeln!(
                    out,
                    "add table {place}\ndelete table {place}\nadd table {place}"
                );
            }
            Op::AddSet { set, size } => {
                let lines = set_lines(*set, *size, family).join("; ");
                let _ = writeln!(out, "add {} {place} {set} {{ {lines}; }}", set_kind(*set));
            }
            Op::AddCounter(counter) => {
                let lines = counter_lines(*counter).join("; ");
                let _ = writeln!(out, "add counter {place} {counter} {{ {lines}; }}");
            }
            Op::AddAffinitySet(set) => {
                let lines = affinity_set(family).join("; ");
                let _ = writeln!(out, "add set {place} {set} {{ {lines}; }}");
            }
            Op::AddClients(set, clients) => {
                let list: Vec<String> = clients.iter().map(client).collect();
                let _ = writeln!(out, "add element {place} {set} {{ {} }}", list.join(", "));
            }
            Op::DeleteAffinitySet(set) => {
                let _ = writeln!(out, "delete set {place} {set}");
            }
            Op::AddSourceSet(set) => out.push_str(&add_source_set(set, &place, family)),
            Op::DeleteSourceSet(set) => {
                let _ = writeln!(out, "delete set {place} {set}");
            }
            Op::AddChain(own) => {
                let lines = chain::lines(own, family).join("; ");
                let _ = writeln!(out, "add chain {place} {} {{ {lines}; }}", own.id);
            }
            Op::RefillChain(own) => {
                let _ = writeln!(out, "flush chain {place} {}", own.id);
                for line in &own.rules {
                    let _ = writeln!(out, "add rule {place} {} {}", own.id, rule(line, family));
                }
            }
            Op::DeleteChain(id) => {
                let _ = writeln!(out, "delete chain {place} {id}");
            }
            Op::DeleteElements(..) => out.push_str(&with_elements("delete", op)),
            Op::AddElements(..) | Op::AddElementsOf(..) => {
                out.push_str(&with_elements("add", op));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::comment;

    #[test]
    fn comments_are_harmless_and_short() {
        assert_eq!(comment("default/web:http"), "default/web:http");
        assert_eq!(comment("a\"; flush ruleset; \\\n"), "a_; flush ruleset; __");
        let long = comment(&"ä".repeat(100)).into_owned();
        assert_eq!(long.len(), 126, "whole characters only");
        assert_eq!(comment(&"x".repeat(300)).len(), 127);
    }
}
