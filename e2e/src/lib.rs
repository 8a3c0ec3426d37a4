//! A cluster's network on one machine: every node, pod and client is a
//! network namespace, and a Service is proved by connections through it.
//!
//! A [`Bed`] holds the nodes, the outside client and the load balancer;
//! everything it made is gone when it is dropped, on a panic, and on a signal
//! once [`cleanup::on_signals`] was called.

pub mod address;
pub mod cleanup;
pub mod client;
pub mod container;
pub mod controlplane;
pub mod exposition;
pub mod fakeapi;
pub mod flows;
pub mod http;
pub mod manifest;
pub mod nfacct;
pub mod probe;
pub mod sctp;
pub mod usage;
pub mod wait;

use std::path::{Path, PathBuf};

mod balancer;
mod bed;
mod black_hole;
mod conversation;
mod daemon;
mod link;
mod namespace;
mod node;
mod process;
mod server;
mod stream;
mod worker;

pub use balancer::{LoadBalancer, Vip};
pub use bed::Bed;
pub use black_hole::{Lost, black_hole};
pub use conversation::Conversation;
pub use daemon::{CONNTRACK_FLAGS, Daemon, binary};
pub use link::{ip, veth};
pub use namespace::Namespace;
pub use node::{Node, Pod};
pub use process::Process;
pub use server::{Answers, Server};
pub use stream::{Stream, StreamReport};
pub use usage::KernelMemory;
pub use worker::Worker;

/// The checkout's own `target`, for what `make` targets leave for a reader.
pub fn target_directory() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).join("target")
}
