//! The daemon itself, as a process: bad input, changes, interference, its end,
//! and taking over from another proxy.
//!
//! Each test has network namespaces of its own, and fails where it cannot.

#[path = "daemon/affinity.rs"]
mod affinity;
#[path = "daemon/api_server.rs"]
mod api_server;
#[path = "daemon/config.rs"]
mod config;
#[path = "daemon/descriptors.rs"]
mod descriptors;
#[path = "daemon/drift.rs"]
mod drift;
#[path = "daemon/growth.rs"]
mod growth;
#[path = "daemon/input.rs"]
mod input;
#[path = "daemon/life.rs"]
mod life;
#[path = "daemon/objects.rs"]
mod objects;
#[path = "daemon/rig.rs"]
mod rig;
#[path = "daemon/rights.rs"]
mod rights;
#[path = "daemon/takeover.rs"]
mod takeover;
#[path = "kernel/text.rs"]
mod text;
#[path = "daemon/watch.rs"]
mod watch;
