//! When the making of a connection is given up.

use std::time::Duration;

/// Each for TCP with all addresses of a name together, the proxy's answer, TLS with the proxy
/// and TLS with the server.
pub(super) const PHASE_LIMIT: Duration = Duration::from_secs(10);

/// What is said of a phase that took longer.
pub(super) fn silent() -> String {
    format!("no answer within {} s", PHASE_LIMIT.as_secs())
}
