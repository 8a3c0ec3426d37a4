//! The monotonic clock of everything that waits.

use std::time::Instant;

/// What the runtime's clock shows: the kernel's, unless a test has paused it. Outside of a
/// runtime it is the kernel's always.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
