//! `kube-proxy echo`: tells whoever connects how the connection arrived (docs/client-address.md).
//! It needs no rights and no cluster.

mod answer;
#[cfg(feature = "node")]
mod proxy_protocol;
#[cfg(feature = "node")]
mod server;
#[cfg(all(test, feature = "node"))]
mod tests;

pub use answer::{Echo, End, Identity};
#[cfg(feature = "node")]
pub use proxy_protocol::Mode;
#[cfg(feature = "node")]
pub use server::{EchoOptions, Server};
