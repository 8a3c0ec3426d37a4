//! Being told when a directory changes, as far as the kernel tells.

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Between two attempts to get a watch that could not be had.
const RETRY: Duration = Duration::from_secs(10);

/// A watch on whatever directory a path leads to. Only for haste: whoever follows a directory has
/// to look at it now and then all the same, for what a symbolic link beyond it leads to, what the
/// kernel lost, and the time without a watch.
pub(super) struct Watch {
    dir: PathBuf,
    wake: Sender<()>,
    woken: Receiver<()>,
    watcher: Option<(RecommendedWatcher, Identity)>,
    /// When a watch was last asked for.
    tried: Option<Instant>,
    /// That there is none has been said.
    said: bool,
}

/// Device and inode, and when the inode came to be, in seconds and nanoseconds, as far as that is
/// known: numbers are given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64, Option<std::time::SystemTime>);

impl Identity {
    fn of(dir: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(dir).ok()?;
        Some(Self(
            metadata.dev(),
            metadata.ino(),
            metadata.created().ok(),
        ))
    }
}

impl Watch {
    /// None yet; [`Watch::renew`] gets one.
    pub(super) fn new(dir: &Path) -> Self {
        let (wake, woken) = mpsc::channel(1);
        Self {
            dir: dir.to_owned(),
            wake,
            woken,
            watcher: None,
            tried: None,
            said: false,
        }
    }

    /// Whether the directory that is there now is watched. Gets a watch where there is none, to be
    /// called before the directory is read; that there is none to be had is said once.
    pub(super) fn renew(&mut self, now: Instant) -> bool {
        let identity = Identity::of(&self.dir);
        if let Some((_, watched)) = self.watcher {
            if Some(watched) == identity {
                return true;
            }
            // Another one has taken its place.
            (self.watcher, self.tried) = (None, None);
        }
        let early = |at: Instant| now.saturating_duration_since(at) < RETRY;
        let Some(identity) = identity.filter(|_| !self.tried.is_some_and(early)) else {
            return false;
        };
        self.tried = Some(now);
        match self.start() {
            Ok(watcher) => {
                self.watcher = Some((watcher, identity));
                if std::mem::take(&mut self.said) {
                    tracing::info!("--manifests {}: watched again", self.dir.display());
                }
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.said, true) {
                    tracing::warn!(
                        "--manifests {}: cannot be watched: {error}; it is looked at every \
                         second instead (see fs.inotify.max_user_watches and \
                         fs.inotify.max_user_instances)",
                        self.dir.display()
                    );
                }
                false
            }
        }
    }

    fn start(&self) -> notify::Result<RecommendedWatcher> {
        let wake = self.wake.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<_>| {
            // Reading the files is an event too, but none that matters.
            let only_read = matches!(
                event,
                Ok(notify::Event {
                    kind: EventKind::Access(_),
                    ..
                })
            );
            if !only_read {
                // A wake-up that is already waiting will do for this one too.
                let _ = wake.try_send(());
            }
        })?;
        watcher.watch(&self.dir, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }

    /// Waits until something has happened, and then until nothing has for a moment, or it has
    /// gone on for too long.
    pub(super) async fn settled(&mut self, quiet: Duration, limit: Duration) {
        // Its other end is here.
        let _ = self.woken.recv().await;
        let end = tokio::time::Instant::now() + limit;
        while tokio::time::Instant::now() < end {
            if tokio::time::timeout(quiet, self.woken.recv())
                .await
                .is_err()
            {
                break;
            }
        }
    }
}
