//! The daemon and its commands around the `rules` crate, in the order in which one builds on the
//! other. Decisions live in `rules`; this is input and output.
//!
//! Public is what the binary, the testbed, the fuzz targets and the tests of `tests/` use; it is
//! no API for others.

// What the process is told, and what it knows of itself.
mod about;
mod advise;
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
mod descriptors;
mod jitter;
mod kernel_version;
mod mode;
pub mod netlink;
mod sysctl;

// How the outside is told.
mod events;
mod health;
mod http;
mod metrics;
mod telemetry;

// The cluster's objects, and what is made of them.
mod event_sender;
#[allow(dead_code, unused_imports)]
mod inspect;
pub mod source;
pub mod world;

// What it does.
mod cleanup;
pub mod cli;
mod echo;
mod probe;
mod proxy;
mod render;
mod top;
mod trace;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
