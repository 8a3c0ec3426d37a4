//! The configuration file while the daemon runs: a change of it ends the process, whose next
//! start reads it.

use anyhow::Context;
use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc::{self, Receiver};

/// Watches one file.
///
/// It is the file itself that is watched, whatever its name leads to later: writing to it or
/// renaming it counts, replacing or removing it does not. A ConfigMap's volume replaces the
/// directory that a link points to, so that a change of the ConfigMap is none of the file, here
/// as with upstream.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    changes: Receiver<notify::Result<()>>,
    /// Watches as long as it is there.
    _watcher: RecommendedWatcher,
}

impl ConfigFile {
    /// Begins to watch.
    ///
    /// # Errors
    /// The file is not there, or the kernel has no more watches.
    pub fn watch(path: &Path) -> anyhow::Result<Self> {
        // The first change is the only one that counts.
        let (tell, changes) = mpsc::channel(1);
        let on_event = move |event: notify::Result<notify::Event>| {
            let change = event.map(|event| counts(event.kind).then_some(()));
            if let Some(change) = change.transpose() {
                let _ = tell.try_send(change);
            }
        };
        let watcher = notify::recommended_watcher(on_event)
            .and_then(|mut watcher| {
                watcher.watch(path, RecursiveMode::NonRecursive)?;
                Ok(watcher)
            })
            .with_context(|| format!("watching --config {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            changes,
            _watcher: watcher,
        })
    }

    /// Waits for a change, for ever if there is none.
    ///
    /// # Errors
    /// There was one, or it cannot be watched any more.
    pub async fn changed(mut self) -> anyhow::Result<()> {
        let path = self.path.display();
        let change = self.changes.recv().await.context("the watch has ended");
        change
            .and_then(|change| change.map_err(anyhow::Error::from))
            .with_context(|| format!("watching --config {path}"))?;
        anyhow::bail!(
            "content of the proxy server's configuration file was updated: {path}; ending, so \
             that the next start reads it"
        )
    }
}

/// It was written to, or renamed.
fn counts(event: EventKind) -> bool {
    matches!(
        event,
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Name(_))
    )
}
