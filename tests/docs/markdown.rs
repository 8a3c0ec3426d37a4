//! What a page of Markdown has: sections, links, code.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::collections::BTreeMap;

/// Something in a page, and the line that it begins on, from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Spot {
    pub line: usize,
    pub target: String,
}

/// The anchors of a page's headings, as GitHub makes them: in lower case, without punctuation, a
/// hyphen for each space, and a number behind what is there already.
pub fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = Vec::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::Text(part) | Event::Code(part), Some(words)) => words.push_str(&part),
            (Event::End(TagEnd::Heading(_)), Some(words)) => {
                let anchor = slug(words);
                let before = seen.entry(anchor.clone()).or_default();
                anchors.push(match *before {
                    0 => anchor,
                    number => format!("{anchor}-{number}"),
                });
                *before += 1;
                heading = None;
            }
            _ => {}
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let lower = heading.to_lowercase();
    lower
        .chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
}

/// Where links and images of a page lead.
pub fn links(text: &str) -> Vec<Spot> {
    spots(text, |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some(dest_url.to_string())
        }
        _ => None,
    })
}

/// What stands between backticks, one word or several.
pub fn code(text: &str) -> Vec<Spot> {
    spots(text, |event| match event {
        Event::Code(code) => Some(code.to_string()),
        _ => None,
    })
}

/// The lines of blocks of code.
pub fn blocks(text: &str) -> Vec<Spot> {
    let mut inside = false;
    spots(text, |event| match event {
        Event::Start(Tag::CodeBlock(_)) => {
            inside = true;
            None
        }
        Event::End(TagEnd::CodeBlock) => {
            inside = false;
            None
        }
        Event::Text(part) if inside => Some(part.to_string()),
        _ => None,
    })
}

fn spots(text: &str, mut pick: impl FnMut(&Event<'_>) -> Option<String>) -> Vec<Spot> {
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES);
    parser
        .into_offset_iter()
        .filter_map(|(event, range)| {
            let target = pick(&event)?;
            let line = text[..range.start].matches('\n').count() + 1;
            Some(Spot { line, target })
        })
        .collect()
}

#[test]
fn anchors_are_those_of_github() {
    let text = "# A `b` & C, d\n\n## A b\n\n## a b\n\n### Läuft_so -\n";
    assert_eq!(anchors(text), ["a-b--c-d", "a-b", "a-b-1", "läuft_so--"]);
}

#[test]
fn links_and_code_are_found_with_their_lines() {
    let text = "a [b](c.md#d)\n\n| x |\n|---|\n| `e/f.rs` |\n\n    make g\n\n![h](i.svg)\n";
    let spot = |line, target: &str| Spot {
        line,
        target: target.to_owned(),
    };
    assert_eq!(links(text), [spot(1, "c.md#d"), spot(9, "i.svg")]);
    assert_eq!(code(text), [spot(5, "e/f.rs")]);
    assert_eq!(blocks(text), [spot(7, "make g\n")]);
}
