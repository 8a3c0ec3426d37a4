//! What documents and comments point to is there: pages, their sections, files, tests, `make` targets.
//!
//! Needs neither root nor the network.

mod check;
mod markdown;

use check::{Repository, broken};
use std::collections::BTreeMap;
use std::path::Path;
use walkdir::WalkDir;

/// The checkout's files that are text, by their paths from its root.
fn repository() -> Repository {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shown = |entry: &walkdir::DirEntry| {
        let name = entry.file_name();
        name != "target" && name != ".git"
    };
    let mut files = BTreeMap::new();
    for entry in WalkDir::new(root).into_iter().filter_entry(shown) {
        let entry = entry.expect("a readable checkout");
        if !entry.file_type().is_file() {
            continue;
        }
        let path = entry.path().strip_prefix(root).expect("below the root");
        // Inputs of fuzzing are anything; they are there, and that is all that counts.
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        files.insert(path.to_str().expect("UTF-8").to_owned(), text);
    }
    Repository::new(files)
}

#[test]
fn what_documents_and_comments_point_to_is_there() {
    let repository = repository();
    let problems = broken(&repository);
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_page_is_in_the_index() {
    let repository = repository();
    let index = repository.text("docs/README.md").expect("docs/README.md");
    let linked: Vec<String> = markdown::links(index)
        .into_iter()
        .map(|link| link.target)
        .collect();
    let pages = repository.paths().filter_map(|path| {
        let name = path.strip_prefix("docs/")?;
        (name.ends_with(".md") && name != "README.md").then_some(name)
    });
    let missing: Vec<&str> = pages
        .filter(|page| !linked.iter().any(|target| target == page))
        .collect();
    assert!(missing.is_empty(), "not in docs/README.md: {missing:?}");
}

#[test]
fn every_code_of_a_finding_has_its_section() {
    let repository = repository();
    let page = repository
        .text("docs/findings.md")
        .expect("docs/findings.md");
    let mut sections = Vec::new();
    for section in page.split("\n## ").skip(1) {
        let (heading, text) = section.split_once('\n').expect("a heading and its text");
        for part in ["**Means:**", "**Comes about**", "**Do:**"] {
            assert!(text.contains(part), "{heading} does not say {part}");
        }
        sections.push(heading.to_owned());
    }
    let codes = rules::finding::Code::ALL.iter();
    let codes: Vec<String> = codes
        .map(|code| format!("{code}: {}", code.title()))
        .collect();
    assert_eq!(sections, codes, "docs/findings.md and rules/src/finding.rs");
}
