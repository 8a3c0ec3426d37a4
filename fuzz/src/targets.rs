//! The targets.

pub(crate) mod config;
pub(crate) mod events;
pub(crate) mod flags;
pub(crate) mod http;
pub(crate) mod manifests;
mod settings;
