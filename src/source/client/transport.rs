//! Connections to the API server: one HTTP/2 connection for all requests where the server has
//! it, as client-go does, else HTTP/1.1.
//!
//! A peer that vanishes without a word is noticed within 30 s whatever we are at. Each phase of
//! a new connection has a deadline of its own. On a connection that is there, the kernel looks
//! for the peer (keepalive when nothing is under way, `TCP_USER_TIMEOUT` when something is), and
//! HTTP/2's PINGs look through whatever stands between us and the server, like a load balancer
//! that lives on when the server behind it is gone.

mod connect;
mod limit;
mod resolve;
mod stream;
mod tunnel;

use super::proxy::Proxy;
use super::server::Server;
use connect::Connector;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::Body;
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tower::BoxError;

/// After so long without a frame there is a PING.
const PING_AFTER: Duration = Duration::from_secs(10);
/// And without an answer for so long, the connection is dead.
const PING_ANSWER: Duration = Duration::from_secs(12);
/// A connection without a request is closed. Watches hold theirs, so few ever are.
const IDLE: Duration = Duration::from_secs(30);

/// What the server may send of one answer before we have read it, in bytes: enough for a
/// gigabit at 8 ms. As much is held in memory at worst, for each of the watches.
const STREAM_WINDOW: u32 = 1 << 20;
/// For all answers together; an answer that is not read does not hold up the others.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Fewer frames of long lists.
const FRAME: u32 = 64 << 10;

/// What a connection needs to know.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) server: Arc<Server>,
    pub(super) proxy: Option<Arc<Proxy>>,
    /// `None` for a server without TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// To be checked instead of the server's host.
    pub(super) server_name: Option<rustls::pki_types::ServerName<'static>>,
}

/// A pool of connections; clones share it.
#[derive(Clone)]
pub(super) struct Transport {
    client: Client<Connector, Body>,
    connector: Connector,
    target: Target,
}

impl Transport {
    pub(super) fn new(target: Target) -> Self {
        Self::with(Connector::new(target.clone()), target)
    }

    fn with(connector: Connector, target: Target) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PING_ANSWER)
            .http2_keep_alive_while_idle(true)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_frame_size(FRAME)
            .build(connector.clone());
        Self {
            client,
            connector,
            target,
        }
    }

    /// Another pool for the same server, which has none of this one's connections. Requests
    /// that are under way on those go on.
    pub(super) fn fresh(&self) -> Self {
        // Look-ups that hang count for the next pool as well.
        Self::with(self.connector.clone(), self.target.clone())
    }

    /// Sends a request for a path of the API server.
    ///
    /// # Errors
    /// There is no answer; [`describe`](crate::source::describe) has the words.
    pub(super) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, BoxError> {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = uri(&self.target.server, path.as_ref())?;
        if self.target.tls.is_none()
            && let Some(value) = self
                .target
                .proxy
                .as_ref()
                .and_then(|own| own.authorization())
        {
            // Such a proxy is asked for each request instead of for a connection.
            let header = http::header::PROXY_AUTHORIZATION;
            request.headers_mut().insert(header, value);
        }
        Ok(self.client.request(request).await?)
    }
}

/// A path below the server's own, which it has where a gateway stands before it.
fn uri(server: &Server, path: Option<&PathAndQuery>) -> Result<Uri, http::Error> {
    let path = path.map_or("/", PathAndQuery::as_str);
    Uri::builder()
        .scheme(server.scheme())
        .authority(server.authority())
        .path_and_query(format!("{}{path}", server.prefix()))
        .build()
}

#[cfg(test)]
mod tests;
