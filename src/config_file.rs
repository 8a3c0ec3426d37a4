//! The configuration file while the daemon runs: a change of it ends the process, whose next
//! start reads it.

use anyhow::Context;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::path::{Path, PathBuf};

/// What counts: it is written to, or renamed.
const CHANGES: AddWatchFlags = AddWatchFlags::IN_MODIFY.union(AddWatchFlags::IN_MOVE_SELF);

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
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC).with_context(name)?;
        inotify.add_watch(path, CHANGES).with_context(name)?;
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
        let path = self.path.display().to_string();
        let (tell, told) = tokio::sync::oneshot::channel();
        // Blocked nearly always; it ends with the process.
        std::thread::Builder::new()
            .name("kube-proxy".to_owned())
            .spawn(move || tell.send(self.wait()))
            .context("starting a thread")?;
        told.await
            .context("watching the configuration")?
            .with_context(|| format!("watching --config {path}"))?;
        anyhow::bail!(
            "content of the proxy server's configuration file was updated: {path}; ending, so \
             that the next start reads it"
        )
    }

    /// Blocks until there is a change.
    fn wait(&self) -> nix::Result<()> {
        loop {
            match self.inotify.read_events() {
                Ok(events) if events.iter().any(|event| event.mask.intersects(CHANGES)) => {
                    return Ok(());
                }
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
