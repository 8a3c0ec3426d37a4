//! How the outside is told: metrics, health, and events of the API server.

use crate::events::Recorder;
use crate::health::Health;
use crate::metrics::Metrics;
use std::sync::Arc;

/// Handles to all three; clones share them.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Prometheus metrics.
    pub metrics: Metrics,
    /// The state behind `/healthz` and `/livez`.
    pub health: Arc<Health>,
    /// Events of the API server.
    pub events: Recorder,
}
