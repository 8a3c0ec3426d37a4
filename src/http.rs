//! HTTP servers: health, metrics, and one per healthCheckNodePort.
