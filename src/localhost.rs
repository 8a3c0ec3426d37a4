//! Node ports on `127.0.0.1` and `::1` where nftables serves: a TCP proxy in this process
//! (docs/localhost-node-ports.md). Which ports, and who serves them, [`rules::localhost`] decides.
//!
//! It runs in a thread of its own: what it copies delays no sync and no health check, and no sync
//! waits for it.

mod connection;
mod limits;
mod listener;
mod port;
mod ports;
mod start;

use crate::events::Recorder;
use crate::metrics::LocalhostMetrics;
use limits::Limits;
pub use limits::Room;
use ports::Ports;
use rules::localhost::Served;
use rules::model::Family;
pub use start::start;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What is different about one family's ports: see [`rules::localhost::LocalhostPorts::take`].
#[derive(Debug)]
pub struct LocalhostUpdate {
    /// The family.
    pub family: Family,
    /// By node port; `None` for those that are to be closed.
    pub ports: BTreeMap<u16, Option<Served>>,
}

/// The running proxy. With it go its listeners and connections.
#[derive(Debug)]
pub struct LocalhostProxy {
    updates: mpsc::UnboundedSender<LocalhostUpdate>,
}

impl LocalhostProxy {
    /// Starts it without a port, in the calling thread's network namespace.
    ///
    /// # Errors
    /// There is no thread, or no runtime, to be had.
    pub fn start(
        metrics: LocalhostMetrics,
        events: Recorder,
        room: Room,
        families: &[Family],
    ) -> io::Result<Self> {
        for family in families {
            metrics.begin(*family);
        }
        // As many wait as there were syncs that this thread had no time for.
        let (updates, mut told) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let limits = Arc::new(Limits::new(room, metrics));
        let serve = async move {
            let mut ports = Ports::new(limits, events);
            while let Some(update) = told.recv().await {
                ports.update(update).await;
            }
        };
        std::thread::Builder::new()
            .name("localhost".to_owned())
            .spawn(move || runtime.block_on(serve))?;
        Ok(Self { updates })
    }

    /// Has it serve what an update says. Never waits.
    pub fn update(&self, update: LocalhostUpdate) {
        if !update.ports.is_empty() {
            // It lives as long as this.
            let _ = self.updates.send(update);
        }
    }
}

#[cfg(test)]
mod tests;
