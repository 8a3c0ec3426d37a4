//! The configuration file while the daemon runs: a change of it ends the process, whose next
//! start reads it.

use anyhow::Context;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use tokio::io::unix::AsyncFd;

/// Watches one file.
///
/// It is the file itself that is watched, whatever its name leads to later: writing to it or
/// renaming it counts, replacing or removing it does not. A ConfigMap's volume replaces the
/// directory that a link points to, so that a change of the ConfigMap is none of the file, here
/// as with upstream.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    inotify: Inotify,
}

impl ConfigFile {
    /// Begins to watch.
    ///
    /// # Errors
    /// The file is not there, or the kernel has no more watches.
    pub fn watch(path: &Path) -> anyhow::Result<Self> {
        let name = || format!("watching --config {}", path.display());
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .with_context(name)?;
        let events = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_MOVE_SELF;
        inotify.add_watch(path, events).with_context(name)?;
        Ok(Self {
            path: path.to_owned(),
            inotify,
        })
    }

    /// Waits for a change, for ever if there is none.
    ///
    /// # Errors
    /// There was one, or it cannot be watched any more.
    pub async fn changed(self) -> anyhow::Result<()> {
        let ready = AsyncFd::new(self.inotify.as_fd()).context("watching the configuration")?;
        loop {
            let mut guard = ready.readable().await.context("watching the configuration")?;
            guard.clear_ready();
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(nix::errno::Errno::EAGAIN) => continue,
                Err(error) => return Err(error).context("watching the configuration"),
            };
            let change = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_MOVE_SELF;
            if events.iter().any(|event| event.mask.intersects(change)) {
                anyhow::bail!(
                    "content of the proxy server's configuration file was updated: {}; ending, \
                     so that the next start reads it",
                    self.path.display()
                );
            }
        }
    }
}
