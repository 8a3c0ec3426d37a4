//! The targets.

pub(crate) mod api;
pub(crate) mod config;
pub(crate) mod events;
pub(crate) mod flags;
pub(crate) mod http;
pub(crate) mod kubeconfig;
pub(crate) mod manifests;
pub(crate) mod netlink;
pub(crate) mod proxies;
mod settings;
