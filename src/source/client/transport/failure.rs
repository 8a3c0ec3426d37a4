//! What becomes of a connection that does not come about, and when it is given up.

use std::time::Duration;

/// Each for TCP with all addresses of a name together, the proxy's answer, TLS with the proxy
/// and TLS with the server.
pub(super) const PHASE_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no connection: a line for a person, with the peer in it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConnectError(String);

impl ConnectError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// What is said of a phase that took longer.
pub(super) fn silent() -> String {
    format!("no answer within {} s", PHASE_LIMIT.as_secs())
}
