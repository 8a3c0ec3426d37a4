//! The daemon around the `rules` crate: sources of objects, the sync loop, the
//! kernel, the HTTP servers. Decisions live in `rules`; this is input and output.

pub mod about;
pub mod cli;
pub mod config;
pub mod descriptors;
pub mod events;
pub mod health;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod mode;
pub mod netlink;
pub mod options;
pub mod pflag;
pub mod proxy;
pub mod render;
pub mod settings;
pub mod source;
pub mod telemetry;
pub mod world;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

mod addresses;
pub mod cleanup;
mod clock;
mod jitter;
mod kernel_version;
pub mod kubernetes;
mod sysctl;
mod yaml;
