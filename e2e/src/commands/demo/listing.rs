//! The part of `nft list table` that a connection to a Service meets.

/// One map, set or chain of a listing.
struct Block<'a> {
    kind: &'a str,
    name: &'a str,
    lines: Vec<&'a str>,
}

/// No block is shown longer than this.
const LINES: usize = 14;

/// From `listing`: the map `services`, then the chains that its verdicts lead to and the maps
/// that those look up, each once, in the order of a packet.
pub(crate) fn excerpt(listing: &str) -> Vec<String> {
    let blocks = blocks(listing);
    let mut order = vec!["services"];
    let mut next = 0;
    while let Some(name) = order.get(next).copied() {
        next += 1;
        for block in blocks.iter().filter(|block| block.name == name) {
            // The way into the map is not part of the way out of it.
            if block.kind == "chain" && name == "services" {
                continue;
            }
            for found in block.lines.iter().flat_map(|line| references(line)) {
                if !order.contains(&found) {
                    order.push(found);
                }
            }
        }
    }
    let mut lines = Vec::new();
    for name in order {
        for block in blocks.iter().filter(|block| block.name == name) {
            lines.extend(shorten(&block.lines));
        }
    }
    lines
}

fn blocks(listing: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::<Block>::new();
    for line in listing.lines().skip(1) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [kind @ ("map" | "set" | "chain"), name, "{"] => blocks.push(Block {
                kind,
                name,
                lines: vec![line],
            }),
            [] => {}
            _ => {
                if let Some(block) = blocks.last_mut().filter(|_| line.starts_with('\t')) {
                    block.lines.push(line);
                }
            }
        }
    }
    blocks
}

/// The chains and maps that a line names.
fn references(line: &str) -> impl Iterator<Item = &str> {
    let words: Vec<_> = line
        .split_whitespace()
        .map(|word| word.trim_end_matches(','))
        .collect();
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if let Some(map) = word.strip_prefix('@') {
            found.push(map);
        } else if matches!(*word, "goto" | "jump") {
            found.extend(words.get(index + 1));
        }
    }
    found.into_iter()
}

fn shorten(lines: &[&str]) -> Vec<String> {
    let mut shown: Vec<_> = lines
        .iter()
        .map(|line| line.replace('\t', "    "))
        .collect();
    if shown.len() > LINES {
        let left_out = shown.len() - LINES;
        let last = shown.pop();
        shown.truncate(LINES - 1);
        shown.push(format!("        … {left_out} more lines"));
        shown.extend(last);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn follows_verdicts_and_maps() {
        let listing = "table ip t {\n\tmap services {\n\t\telements = { 10.0.0.1 : goto pick }\n\t}\n\n\
                       \tset other {\n\t\ttype ipv4_addr\n\t}\n\n\
                       \tchain pick {\n\t\tdnat to @endpoints\n\t}\n\n\
                       \tmap endpoints {\n\t}\n}\n";
        let names: Vec<_> = excerpt(listing)
            .into_iter()
            .filter(|line| line.ends_with(" {"))
            .collect();
        assert_eq!(
            names,
            [
                "    map services {",
                "    chain pick {",
                "    map endpoints {"
            ]
        );
    }
}
