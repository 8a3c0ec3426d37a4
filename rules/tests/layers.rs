//! Modules import one another one way: among the children of each module there is no circle, and
//! nothing outside `nft` knows nftables, nothing outside `iptables` its chains.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module's path from the crate's root.
type Module = Vec<String>;

/// The modules of a crate: what each says without its tests, and what it exports of others.
struct Sources {
    texts: BTreeMap<Module, String>,
}

impl Sources {
    fn read(src: &Path) -> Self {
        let mut texts = BTreeMap::new();
        let mut folders = vec![src.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(module) = module(src, &path) {
                    let text = fs::read_to_string(&path).expect("a source");
                    texts.insert(module, product(&text));
                }
            }
        }
        Self { texts }
    }

    /// The modules that a path leads to: itself or the one that holds what it names, by way of
    /// what that exports of others.
    fn target(&self, path: &[String], depth: usize) -> Module {
        let mut known = path.len();
        while known > 0 && !self.texts.contains_key(&path[..known]) {
            known -= 1;
        }
        let module = &path[..known];
        if let Some(name) = path.get(known)
            && depth < 4
        {
            let text = &self.texts[module];
            let exported = text
                .split("pub use ")
                .skip(1)
                .chain(text.split("pub(crate) use ").skip(1));
            for statement in exported.filter_map(|rest| rest.split_once(';')) {
                for used in expand(statement.0) {
                    if used.last() == Some(name) {
                        let used = resolve(module, &used);
                        if used != path {
                            return self.target(&used, depth + 1);
                        }
                    }
                }
            }
        }
        module.to_vec()
    }

    /// Which module imports which.
    fn imports(&self) -> BTreeSet<(Module, Module)> {
        let mut imports = BTreeSet::new();
        for (from, text) in &self.texts {
            for (at, _) in text
                .match_indices("crate::")
                .chain(text.match_indices("super::"))
            {
                let before = text[..at].chars().next_back();
                if before.is_some_and(|c| c.is_alphanumeric() || c == ':' || c == '_') {
                    continue;
                }
                for path in expand(&text[at..]) {
                    imports.insert((from.clone(), self.target(&resolve(from, &path), 0)));
                }
            }
        }
        imports
    }
}

/// The module of a file; none for tests.
fn module(src: &Path, path: &Path) -> Option<Module> {
    let relative = path.strip_prefix(src).ok()?.with_extension("");
    let parts = relative
        .iter()
        .map(|part| part.to_string_lossy().into_owned());
    let mut parts: Module = parts.collect();
    if path.extension()? != "rs" || parts.iter().any(|part| part == "tests") {
        return None;
    }
    if parts == ["lib"] || parts == ["main"] {
        parts.clear();
    }
    Some(parts)
}

/// A source without comments and without what only tests have.
fn product(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join("\n")
}

/// The paths of a use tree, which ends where no path goes on.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let mut path = Vec::new();
    let mut rest = tree.trim_start();
    loop {
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let (name, after) = rest.split_at(length.unwrap_or(rest.len()));
        if !name.is_empty() {
            path.push(name.to_owned());
        }
        match after.strip_prefix("::") {
            Some(next) if next.starts_with('{') => return branches(&path, &next[1..]),
            Some(next) if !name.is_empty() => rest = next,
            _ => return vec![path],
        }
    }
}

/// The paths of the branches up to the closing brace.
fn branches(path: &[String], text: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                let branch = text[start..at].trim();
                if !branch.is_empty() {
                    let expanded = expand(branch).into_iter();
                    paths.extend(expanded.map(|rest| [path, &rest].concat()));
                }
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    paths
}

/// A path as it is seen from a module, from the crate's root.
fn resolve(from: &[String], path: &[String]) -> Vec<String> {
    let mut base = from.to_vec();
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => drop(base.pop()),
            _ => break,
        }
        rest = after;
    }
    base.extend(rest.iter().filter(|part| *part != "self").cloned());
    base
}

/// Circles among the children of each module: who can come back to himself, all of one circle
/// together.
fn circles(imports: &BTreeSet<(Module, Module)>) -> Vec<String> {
    let mut below: BTreeMap<&[String], BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for (from, to) in imports {
        let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        if let (Some(importer), Some(imported)) = (from.get(common), to.get(common)) {
            let children = below.entry(&from[..common]).or_default();
            children.entry(importer).or_default().insert(imported);
        }
    }
    let mut found = Vec::new();
    for (parent, children) in below {
        let reached = |from: &str| {
            let mut reached = BTreeSet::new();
            let mut next: Vec<&str> = children.get(from).into_iter().flatten().copied().collect();
            while let Some(name) = next.pop() {
                if reached.insert(name) {
                    next.extend(children.get(name).into_iter().flatten());
                }
            }
            reached
        };
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            children.keys().map(|name| (*name, reached(name))).collect();
        let circle = |name: &str| {
            let others = reached[name].iter().copied();
            let back = |other: &&str| reached.get(other).is_some_and(|to| to.contains(name));
            others.filter(back).collect::<Vec<_>>()
        };
        let circles: BTreeSet<Vec<&str>> = children.keys().map(|name| circle(name)).collect();
        for names in circles.iter().filter(|names| !names.is_empty()) {
            found.push(format!("{} {{{}}}", parent.join("::"), names.join(", ")));
        }
    }
    found
}

fn src(crate_root: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(crate_root)
        .join("src")
}

#[test]
fn no_module_imports_what_imports_it() {
    for crate_root in [".", ".."] {
        let imports = Sources::read(&src(crate_root)).imports();
        assert!(imports.len() > 50, "{crate_root}: they were not found");
        let found = circles(&imports);
        assert!(found.is_empty(), "{crate_root}: {found:?}");
    }
}

#[test]
fn nothing_but_nft_knows_nftables() {
    alone("nft", &["crate::nft", "SetId", "ChainId", "AffinitySet"]);
}

#[test]
fn nothing_but_iptables_knows_chains_of_iptables() {
    alone("iptables", &["crate::iptables", "ChainName"]);
}

/// Nobody outside of a module says these words.
fn alone(owner: &str, words: &[&str]) {
    let sources = Sources::read(&src("."));
    let mut looked_at = 0;
    for (module, text) in &sources.texts {
        if module.is_empty() || module[0] == owner {
            continue;
        }
        looked_at += 1;
        for word in words {
            assert!(!text.contains(word), "{module:?} says {word}");
        }
    }
    assert!(looked_at > 20, "{looked_at} modules");
}

#[test]
fn a_circle_is_found_by_whatever_way_it_is_written() {
    let sources = |texts: &[(&str, &str)]| {
        let module = |path: &str| -> Module {
            let parts = path.split("::").filter(|part| !part.is_empty());
            parts.map(String::from).collect()
        };
        let texts = texts
            .iter()
            .map(|(path, text)| (module(path), product(text)));
        Sources {
            texts: texts.collect(),
        }
    };
    let circle = |texts: &[(&str, &str)]| circles(&sources(texts).imports()).len();
    let root = ("", "mod a;\nmod b;\npub use b::{T, c::U};");
    let nothing = ("b::c", "");
    assert_eq!(
        circle(&[root, ("a", "use crate::b::T;"), ("b", ""), nothing]),
        0
    );
    for (one, other) in [
        ("use crate::b::T;", "use crate::a::{self, X};"),
        ("use crate::T;", "use super::a;"),
        ("fn f() { crate::b::g(); }", "use crate::{Y, a::X};"),
        ("use crate::U;", "use super::{a::X};"),
    ] {
        assert_eq!(
            circle(&[root, ("a", one), ("b", other), nothing]),
            1,
            "{one} {other}"
        );
    }
    let test_only = "use crate::T;\n#[cfg(test)]\nmod tests {\n    use crate::a;\n}\n";
    assert_eq!(
        circle(&[
            root,
            ("a", "use crate::T; // crate::a"),
            ("b", test_only),
            nothing
        ]),
        0
    );
    let below = [
        ("", ""),
        ("a", ""),
        ("a::x", "use super::y;"),
        ("a::y", "use crate::a::x::Z;"),
    ];
    assert_eq!(circle(&below), 1);
}
