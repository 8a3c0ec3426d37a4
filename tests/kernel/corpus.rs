//! Manifests as odd as fuzzing found them: what the table in memory takes, the real one takes too, and
//! lists as it was printed.

use super::table::Both;
use kube_proxy::source::Manifests;
use rules::model::Family;
use rules::nft::Planner;
use rules::{Config, Pending as _, State};
use std::fs;
use std::path::{Path, PathBuf};

fn corpus() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/manifests");
    let entries = fs::read_dir(dir).expect("a corpus");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort_unstable();
    paths
}

/// What is in a directory with this file alone; none if it is no text.
fn state(path: &Path) -> Option<State> {
    let text = fs::read_to_string(path).ok()?;
    let extension = if text.starts_with('{') {
        "json"
    } else {
        "yaml"
    };
    let dir = std::env::temp_dir().join(format!("kernel-corpus-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(dir.join("input").with_extension(extension), text).expect("a file");
    let mut state = State::new();
    let loaded = Manifests::new(&dir, "n1").load(&mut |event| drop(state.apply(event)));
    fs::remove_dir_all(&dir).ok();
    loaded.expect("a directory that can be read");
    Some(state)
}

#[test]
fn whatever_manifests_come_to_the_kernel_takes() {
    let mut programmed = 0;
    for family in Family::ALL {
        let mut both = Both::new(family);
        for path in corpus() {
            let Some(state) = state(&path) else { continue };
            let mut planner = Planner::new(Config::new(family, "n1"));
            let pending = planner.prepare(&state, &[], Default::default);
            let pending = pending.expect("a first sync");
            let name = path.display().to_string();
            let [real, memory] = both.apply(pending.transaction.ops.clone());
            memory.unwrap_or_else(|refusal| panic!("{name}: memory: {refusal}"));
            real.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
            both.compare(&name);
            programmed += usize::from(pending.service_count() > 0);
        }
    }
    assert!(programmed > 10, "{programmed} with Services");
}
