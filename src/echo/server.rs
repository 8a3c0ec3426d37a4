//! The server.

use super::proxy_protocol::{self, Mode};
use super::{Echo, Identity};
use crate::http::{Answer, Terms, listen, serve_each};
use crate::{descriptors, http};
use anyhow::Context;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// Where it listens, and how.
#[derive(Clone, Copy, Debug)]
pub struct EchoOptions {
    /// An unspecified one takes both families.
    pub address: SocketAddr,
    /// What becomes of PROXY headers.
    pub proxy_protocol: Mode,
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    proxy_protocol: Mode,
}

impl Server {
    /// Listens; inside a runtime.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn bind(options: EchoOptions) -> anyhow::Result<Self> {
        let EchoOptions {
            address,
            proxy_protocol,
        } = options;
        let listener = listen(address, false).with_context(|| format!("listening on {address}"))?;
        Ok(Self {
            listener,
            proxy_protocol,
        })
    }

    /// Where it listens, with the port that the kernel chose.
    ///
    /// # Errors
    /// The kernel's.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.listener.local_addr().context("the listening socket")
    }

    /// Answers until `stop`, then finishes what is under way, which takes some seconds at most.
    pub async fn answer(self, identity: Identity, stop: impl Future<Output = ()>) {
        let identity = Arc::new(identity);
        let mode = self.proxy_protocol;
        let greet = move |stream, remote| greet(stream, remote, mode, identity.clone());
        let terms = Terms::echo(descriptors::Shares::current().echo());
        serve_each(self.listener, terms, greet, stop).await;
    }
}

/// Reads a PROXY header, if one comes; `None` closes the connection.
async fn greet(
    mut stream: TcpStream,
    remote: SocketAddr,
    mode: Mode,
    identity: Arc<Identity>,
) -> Option<(
    impl AsyncRead + AsyncWrite + Unpin,
    impl Fn(&Request<Bytes>) -> http::Answer + Clone,
)> {
    let local = stream.local_addr().ok()?;
    let before = proxy_protocol::read(&mut stream, mode).await;
    let (claim, rest) = before
        .inspect_err(|error| tracing::debug!("{remote}: PROXY protocol: {error}"))
        .ok()?;
    let answer = move |request: &Request<Bytes>| {
        let echo = Echo::new(remote, local, claim, &identity, request);
        match serde_json::to_string_pretty(&echo) {
            Ok(body) => Answer::json(StatusCode::OK, body + "\n"),
            Err(error) => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    };
    let (reader, writer) = stream.into_split();
    let reader = io::Cursor::new(rest).chain(reader);
    Some((tokio::io::join(reader, writer), answer))
}
