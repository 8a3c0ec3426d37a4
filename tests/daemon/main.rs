//! The daemon itself, as a process: bad input, changes, interference, its end,
//! and taking over from another proxy.
//!
//! Each test has network namespaces of its own, and fails where it cannot.

mod affinity;
mod api_server;
mod config;
mod counts;
mod descriptors;
mod drift;
mod explained;
mod growth;
mod input;
mod iptables;
mod life;
mod localhost;
mod objects;
mod owner;
mod rendered;
mod rig;
mod takeover;
#[path = "../kernel/text.rs"]
mod text;
mod watch;
