//! Which references lead nowhere.

use super::markdown::{Spot, anchors, blocks, code, links};
use std::collections::{BTreeMap, BTreeSet};

/// Files by their paths from the root, and what they hold of what can be pointed to.
pub struct Repository {
    files: BTreeMap<String, String>,
    directories: BTreeSet<String>,
    anchors: BTreeMap<String, Vec<String>>,
    make_targets: BTreeSet<String>,
}

impl Repository {
    pub fn new(files: BTreeMap<String, String>) -> Self {
        let directories = files.keys().flat_map(|path| {
            let ends = path
                .match_indices('/')
                .map(|(end, _)| path[..end].to_owned());
            ends.collect::<Vec<String>>()
        });
        let pages = files.iter().filter(|(path, _)| path.ends_with(".md"));
        let make_targets = files.get("Makefile").map_or("", String::as_str);
        Self {
            directories: directories.collect(),
            anchors: pages
                .map(|(path, text)| (path.clone(), anchors(text)))
                .collect(),
            make_targets: targets(make_targets),
            files,
        }
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.contains_key(path) || self.directories.contains(path)
    }

    /// Whether a page has this section.
    fn has_anchor(&self, page: &str, anchor: &str) -> bool {
        let anchors = self.anchors.get(page);
        anchors.is_some_and(|anchors| anchors.iter().any(|known| known == anchor))
    }

    /// Whether some path ends in these whole names, like `state/claims.rs`.
    fn has_ending(&self, ending: &str) -> bool {
        let inner = format!("/{ending}");
        self.paths()
            .any(|path| path == ending || path.ends_with(&inner))
    }

    /// Whether a test, or another function of Rust, is called so.
    fn has_function(&self, name: &str) -> bool {
        let definition = format!("fn {name}(");
        let mut sources = self.files.iter().filter(|(path, _)| path.ends_with(".rs"));
        sources.any(|(_, text)| text.contains(&definition))
    }
}

/// Targets of a Makefile that are names of their own, not files.
fn targets(makefile: &str) -> BTreeSet<String> {
    let joined = makefile.replace("\\\n", " ");
    let phony = joined
        .lines()
        .filter_map(|line| line.strip_prefix(".PHONY:"));
    phony
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

/// Every reference that leads nowhere, as `FILE:LINE: what`.
pub fn broken(repository: &Repository) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in &repository.files {
        let found = if path.ends_with(".md") {
            in_page(repository, path, text)
        } else if is_source(path) {
            in_source(repository, path, text)
        } else {
            Vec::new()
        };
        let lines = found
            .iter()
            .map(|Spot { line, target }| format!("{path}:{line}: {target}"));
        problems.extend(lines);
    }
    problems
}

fn is_source(path: &str) -> bool {
    // The tests of this very check point to what is not there.
    let ends = [
        ".rs",
        ".toml",
        ".sh",
        ".go",
        ".yaml",
        "Makefile",
        "Containerfile",
        ".ci/run",
    ];
    ends.iter().any(|end| path.ends_with(end)) && !path.starts_with("tests/docs/")
}

fn in_page(repository: &Repository, path: &str, text: &str) -> Vec<Spot> {
    let mut found = Vec::new();
    let mut say = |line, target| found.push(Spot { line, target });
    for Spot { line, target } in links(text) {
        if !leads_somewhere(repository, path, &target) {
            say(line, format!("the link {target} leads nowhere"));
        }
    }
    for Spot { line, target } in code(text) {
        if let Some(problem) = code_problem(repository, path, &target) {
            say(line, problem);
        }
    }
    for Spot { line, target } in code(text).into_iter().chain(blocks(text)) {
        let mut words = target.split_whitespace();
        if words.next() == Some("make")
            && let Some(goal) = words.next()
            && !repository.make_targets.contains(goal)
        {
            say(line, format!("there is no `make {goal}`"));
        }
    }
    found
}

/// Whether a link of a page is to another site, or to a file and section that are there.
fn leads_somewhere(repository: &Repository, page: &str, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let (file, anchor) = match target.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (target, None),
    };
    let file = if file.is_empty() {
        page.to_owned()
    } else {
        resolve(page, file)
    };
    repository.has(&file) && anchor.is_none_or(|anchor| repository.has_anchor(&file, anchor))
}

/// A path that is relative to a file's directory, from the root.
fn resolve(from: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// What is wrong with words between backticks: a path, a test's name, a module that is not there.
fn code_problem(repository: &Repository, page: &str, code: &str) -> Option<String> {
    if code.contains(char::is_whitespace) {
        let (target, module) = code.split_once(' ')?;
        let is_module = target == "daemon" && is_lower(module);
        let file = format!("tests/{target}/{module}.rs");
        return (is_module && !repository.has(&file)).then(|| format!("there is no {file}"));
    }
    if is_path(code) {
        let there = repository.has(code) || repository.has(&resolve(page, code));
        return (!there).then(|| format!("there is no {code}"));
    }
    if code.ends_with(".rs") || code.ends_with(".md") {
        let there = is_pattern(code) || repository.has_ending(code);
        return (!there).then(|| format!("there is no {code}"));
    }
    // Names of metrics and sysctls look the same; a test's says more.
    if is_lower(code) && code.matches('_').count() >= 5 && !code.contains("seconds") {
        let known = repository.has_function(code) || !reads_like_a_test(code);
        return (!known).then(|| format!("there is no test {code}"));
    }
    if let Some(module) = code.strip_suffix("::tests")
        && module.split("::").all(is_lower)
    {
        let file = format!("{}.rs", module.replace("::", "/"));
        // It may begin with the crate.
        let inner = file.split_once('/').map(|(_, inner)| inner);
        let there =
            repository.has_ending(&file) || inner.is_some_and(|inner| repository.has_ending(inner));
        return (!there).then(|| format!("there is no {file} with tests"));
    }
    None
}

fn is_lower(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Tests are sentences, and those have small words.
fn reads_like_a_test(name: &str) -> bool {
    const SMALL: [&str; 11] = [
        "a", "an", "and", "are", "in", "is", "it", "of", "not", "that", "the",
    ];
    name.split('_').any(|word| SMALL.contains(&word))
}

/// A placeholder or a pattern, which no file is called.
fn is_pattern(path: &str) -> bool {
    path.contains(['*', '…', '<', '{', '$'])
        || path.split(['/', '.']).any(|part| {
            part.len() > 1
                && part.chars().all(|c| c.is_ascii_uppercase() || c == '_')
                && !matches!(
                    part,
                    "README" | "CONTRIBUTING" | "CHANGELOG" | "SECURITY" | "LICENSE"
                )
        })
}

/// Directories of the root that paths in documents and comments begin with.
const ROOTS: [&str; 12] = [
    ".ci/",
    "charts/",
    "crates/",
    "deploy/",
    "docs/",
    "e2e/",
    "examples/",
    "fuzz/",
    "image/",
    "rules/",
    "src/",
    "tests/",
];

/// A file of this repository, by its path from the root.
fn is_path(word: &str) -> bool {
    ROOTS.iter().any(|root| word.starts_with(root)) && !is_pattern(word)
}

fn in_source(repository: &Repository, path: &str, text: &str) -> Vec<Spot> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let in_comment = is_comment(line);
        if in_comment && cites_by_number(line) {
            found.push(Spot {
                line: number + 1,
                target: "cites a section of something that is not here".to_owned(),
            });
        }
        let tokens = line.split(|c: char| !c.is_alphanumeric() && !"_./#:*-".contains(c));
        for token in tokens {
            let token = token.trim_end_matches(['.', ':', '/', '#']);
            let (file, anchor) = match token.split_once('#') {
                Some((file, anchor)) => (file, Some(anchor)),
                None => (token, None),
            };
            let is_page = file.starts_with("docs/") && file.ends_with(".md");
            // Paths in code are the program's matter; those in comments are a reader's.
            let is_file = in_comment && is_path(file) && file.contains('.');
            if !(is_page || is_file) || is_pattern(file) {
                continue;
            }
            let there = repository.has(file) || in_crate(repository, path, file);
            let anchored = anchor.is_none_or(|anchor| repository.has_anchor(file, anchor));
            if !there || !anchored {
                found.push(Spot {
                    line: number + 1,
                    target: format!("{token} leads nowhere"),
                });
            }
        }
    }
    found
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || line.starts_with('#')
}

/// A page of this repository is cited by its sections' names; an RFC has numbers.
fn cites_by_number(line: &str) -> bool {
    let line = line.to_lowercase();
    let cited = line.split_once("reference: ").map(|(_, behind)| behind);
    cited.is_some_and(|cited| cited.starts_with("section"))
}

/// Whether a path is meant from the crate that a file belongs to.
fn in_crate(repository: &Repository, from: &str, path: &str) -> bool {
    let mut directory = from;
    while let Some((parent, _)) = directory.rsplit_once('/') {
        let manifest = format!("{parent}/Cargo.toml");
        if repository.has(&manifest) && repository.has(&format!("{parent}/{path}")) {
            return true;
        }
        directory = parent;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a repository of two pages, two sources and a Makefile, and this page.
    fn found(page: &str) -> Vec<String> {
        found_in("docs/page.md", page)
    }

    fn found_in(path: &str, text: &str) -> Vec<String> {
        let files = [
            ("README.md", "# Top\n"),
            ("docs/other.md", "# Other\n\n## A section\n"),
            ("rules/Cargo.toml", ""),
            (
                "rules/src/state/claims.rs",
                "fn one_of_the_tests_that_there_are() {}\n",
            ),
            ("tests/daemon/watch.rs", ""),
            ("Makefile", ".PHONY: test \\\n\tbench-all\n"),
            (path, text),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        broken(&Repository::new(BTreeMap::from(files)))
    }

    #[test]
    fn what_is_there_is_no_problem() {
        let page = "# Page\n\n[a](other.md) [b](other.md#a-section) [c](#page) [d](../README.md)\n\
                    [e](https://example.org/x.md) `rules/src/state/claims.rs` `state/claims.rs`\n\
                    `rules/src/` `daemon watch` `state::claims::tests` `make test` `src/NAME.rs`\n\
                    `one_of_the_tests_that_there_are` `make bench-all`\n\n    make bench-all\n";
        assert_eq!(found(page), [""; 0]);
    }

    #[test]
    fn what_leads_nowhere_is_said_with_its_line() {
        for (page, problem) in [
            ("[a](gone.md)", "the link gone.md leads nowhere"),
            ("[a](other.md#gone)", "the link other.md#gone leads nowhere"),
            ("[a](#gone)", "the link #gone leads nowhere"),
            ("[a](../docs)\n[b](docs)", "the link docs leads nowhere"),
            ("`src/gone.rs`", "there is no src/gone.rs"),
            ("`gone/claims.rs`", "there is no gone/claims.rs"),
            ("`gone.md`", "there is no gone.md"),
            ("`daemon gone`", "there is no tests/daemon/gone.rs"),
            (
                "`state::gone::tests`",
                "there is no state/gone.rs with tests",
            ),
            ("`make gone`", "there is no `make gone`"),
            ("x\n\n    make gone FLAGS=1", "there is no `make gone`"),
            (
                "`a_test_that_is_not_in_here`",
                "there is no test a_test_that_is_not_in_here",
            ),
        ] {
            let line = page.lines().count();
            assert_eq!(found(page), [format!("docs/page.md:{line}: {problem}")]);
        }
    }

    #[test]
    fn comments_are_read_as_well() {
        let path = "rules/src/a.rs";
        let fine = "// docs/other.md#a-section, rules/src/state/claims.rs; src/state/claims.rs.\n\
                    let name = \"tests/anything.rs\";\n";
        assert_eq!(found_in(path, fine), [""; 0]);
        for (line, problem) in [
            ("/// (docs/other.md#gone).", "docs/other.md#gone"),
            ("    // see docs/gone.md:", "docs/gone.md"),
            ("let help = \"docs/gone.md\";", "docs/gone.md"),
            ("# tests/gone.rs", "tests/gone.rs"),
        ] {
            let text = format!("\n{line}\n");
            let said = format!("{path}:2: {problem} leads nowhere");
            assert_eq!(found_in(path, &text), [said]);
        }
    }

    #[test]
    fn a_citation_of_a_page_without_a_name_for_its_section_is_no_link() {
        assert_eq!(
            found_in("a.rs", "// (reference: section 4.1)\n"),
            ["a.rs:1: cites a section of something that is not here"]
        );
    }
}
