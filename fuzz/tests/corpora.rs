//! What fuzzing found so far, without the engine: every input of every corpus once more.

use fuzz::TARGETS;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// All corpora together, in bytes: they are part of every checkout.
const LIMIT: u64 = 2 << 20;

fn inputs(target: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort_unstable();
    paths
}

#[test]
fn every_input_of_every_corpus_holds() {
    let mut broken = Vec::new();
    for target in TARGETS {
        let inputs = inputs(target.name);
        assert!(!inputs.is_empty(), "{}: no corpus", target.name);
        for path in inputs {
            let data = fs::read(&path).expect("an input");
            if catch_unwind(AssertUnwindSafe(|| (target.run)(&data))).is_err() {
                broken.push(format!("{} {}", target.name, path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn corpora_are_small() {
    let paths = TARGETS.iter().flat_map(|target| inputs(target.name));
    let sizes = paths.map(|path| path.metadata().expect("metadata").len());
    let total: u64 = sizes.sum();
    assert!(
        total < LIMIT,
        "{total} bytes; see docs/fuzzing.md on minimising"
    );
}
