//! The daemon and its commands around the `rules` crate, in the order in which one builds on the
//! other. Decisions live in `rules`; this is input and output.
//!
//! Public is what the binary, the testbed, the fuzz targets and the tests of `tests/` use; it is
//! no API for others.

// Without the daemon some of what it shares with commands lies idle.
#![cfg_attr(not(feature = "node"), allow(dead_code, unused_imports))]

// What the process is told, and what it knows of itself.
mod about;
pub mod config;
mod kubernetes;
mod logging;
pub mod options;
mod pflag;
pub mod report;
pub mod settings;
mod yaml;

// The kernel and the machine.
mod addresses;
mod clock;
#[cfg(feature = "node")]
mod descriptors;
mod jitter;
#[cfg(feature = "node")]
mod kernel_version;
mod mode;
#[cfg(feature = "node")]
pub mod netlink;
#[cfg(feature = "node")]
mod sysctl;

// How the outside is told.
mod events;
mod health;
#[cfg(feature = "node")]
mod http;
mod metrics;
mod telemetry;

// The cluster's objects, and what is made of them.
#[cfg(feature = "node")]
mod event_sender;
mod inspect;
pub mod source;
pub mod world;

// What it does.
mod advise;
#[cfg(feature = "node")]
mod check;
#[cfg(feature = "node")]
mod cleanup;
pub mod cli;
#[cfg(feature = "node")]
mod counts;
mod echo;
#[cfg(feature = "node")]
mod explain;
#[cfg(feature = "node")]
mod localhost;
#[cfg(feature = "plugin")]
pub mod plugin;
mod probe;
#[cfg(feature = "node")]
mod proxy;
mod render;
#[cfg(feature = "node")]
mod top;
#[cfg(feature = "node")]
mod trace;

#[cfg(all(test, feature = "node", feature = "plugin"))]
mod schemas;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
