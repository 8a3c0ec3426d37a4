//! How much there may be at once.

use crate::metrics::LocalhostMetrics;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Connections at the most, however many descriptors there are: an idle one costs some 2 KiB here
/// and its two sockets in the kernel.
const CONNECTIONS: usize = 16_384;

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
    pub(super) connections: Arc<Semaphore>,
    pub(super) metrics: LocalhostMetrics,
}

impl Limits {
    pub(super) fn new(room: Room, metrics: LocalhostMetrics) -> Self {
        Self {
            room,
            listeners: Arc::new(Semaphore::new(room.listeners)),
            connections: Arc::new(Semaphore::new(room.connections)),
            metrics,
        }
    }
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
