//! How much there may be at once.

use crate::clock;
use crate::logging::Throttle;
use crate::metrics::LocalhostMetrics;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at the most, however many descriptors there are: an idle one costs some 2 KiB here
/// and its two sockets in the kernel.
const CONNECTIONS: usize = 16_384;

/// Clients can cause such lines as often as they like.
const QUIET: Duration = Duration::from_secs(60);

/// The descriptors that the proxy may have, shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Listening sockets, each with one connection that waits for a place at the most.
    pub listeners: usize,
    /// Connections of all ports, of two sockets each.
    pub connections: usize,
    /// Of these, so many to one port: no client of one takes all.
    pub of_one_port: usize,
}

impl Room {
    /// For so many descriptors.
    pub fn of(descriptors: usize) -> Self {
        let connections = (descriptors / 4).clamp(2, CONNECTIONS);
        Self {
            listeners: (descriptors.saturating_sub(2 * connections) / 2).max(1),
            connections,
            of_one_port: connections / 2,
        }
    }
}

/// The places that are left, and who counts.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) room: Room,
    pub(super) listeners: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    full: Throttle,
    port_full: Throttle,
    failing: Throttle,
    pub(super) metrics: LocalhostMetrics,
}

impl Limits {
    pub(super) fn new(room: Room, metrics: LocalhostMetrics) -> Self {
        Self {
            room,
            listeners: Arc::new(Semaphore::new(room.listeners)),
            connections: Arc::new(Semaphore::new(room.connections)),
            full: Throttle::new(QUIET),
            port_full: Throttle::new(QUIET),
            failing: Throttle::new(QUIET),
            metrics,
        }
    }

    /// A place among all connections, at once or when there is one.
    pub(super) async fn connection(&self) -> Option<OwnedSemaphorePermit> {
        place(&self.connections, || {
            if self.full.passes(clock::now()).is_some() {
                tracing::warn!(
                    "localhost node ports: {} connections are open, as many as there may be; \
                     others wait",
                    self.room.connections
                );
            }
        })
        .await
    }

    /// A place among a port's own; `port` is its name.
    pub(super) async fn of_port(
        &self,
        places: &Arc<Semaphore>,
        port: impl FnOnce() -> String,
    ) -> Option<OwnedSemaphorePermit> {
        place(places, || {
            if self.port_full.passes(clock::now()).is_some() {
                tracing::warn!(
                    "{}: {} connections are open, as many as one port may have; others wait",
                    port(),
                    self.room.of_one_port
                );
            }
        })
        .await
    }

    /// A connection could not be accepted.
    pub(super) fn failed(&self, error: &io::Error) {
        if self.failing.passes(clock::now()).is_some() {
            tracing::warn!("localhost node ports: accepting a connection: {error}");
        }
    }
}

/// A place, at once or when there is one; says so if it has to wait.
async fn place(places: &Arc<Semaphore>, full: impl FnOnce()) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = places.clone().try_acquire_owned() {
        return Some(place);
    }
    full();
    // Never closed.
    places.clone().acquire_owned().await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_out_is_there() {
        for descriptors in [0, 8, 100, 700, 10_000, 500_000] {
            let room = Room::of(descriptors);
            assert!(room.listeners >= 1 && room.of_one_port >= 1, "{room:?}");
            let all = 2 * room.listeners + 2 * room.connections;
            assert!(all <= descriptors.max(8), "{descriptors}: {room:?}");
        }
        let room = Room::of(500_000);
        assert_eq!(room.connections, CONNECTIONS);
        assert!(room.listeners > 32_768, "every node port of both families");
    }
}
