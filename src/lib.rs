//! The daemon around the `rules` crate: sources of objects, the sync loop, the
//! kernel, the HTTP servers. Decisions live in `rules`; this is input and output.

pub mod http;
pub mod metrics;
pub mod netlink;
pub mod source;
