//! A new connection: name, TCP, proxy, TLS, each with a deadline.

use super::Target;
use super::limit::{PHASE_LIMIT, silent};
use super::resolve::Resolver;
use super::stream::{BoxDuplex, Stream};
use super::tunnel;
use crate::source::client::proxy::{Kind, host_port};
use crate::source::describe;
use crate::source::told::ConnectError;
use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::Service;

/// Nothing under way: the first look after so long, then every few seconds.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;
/// What was sent, or a keepalive, is not acknowledged for so long: the peer is gone.
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// Makes the connections of a pool.
#[derive(Clone)]
pub(super) struct Connector {
    target: Target,
    tcp: HttpConnector<Resolver>,
}

impl Connector {
    pub(super) fn new(target: Target) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(PHASE_LIMIT));
        tcp.set_keepalive(Some(KEEPALIVE_IDLE));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
        tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
        Self { target, tcp }
    }

    async fn connect(mut self) -> Result<Stream, ConnectError> {
        let target = self.target.clone();
        let (host, port) = (target.server.host(), target.server.port());
        let Some(proxy) = &target.proxy else {
            let stream = self.dial(host, port, "").await?;
            return secure(&target, Box::new(stream)).await;
        };
        let stream = self.dial(&proxy.host, proxy.port, "proxy ").await?;
        match proxy.kind {
            Kind::Socks5 => {
                let stream = tunnel::socks(proxy, stream, &target.server).await?;
                secure(&target, Box::new(stream)).await
            }
            Kind::Http => through(&target, Box::new(stream)).await,
            Kind::Https => {
                let config = target.tls.as_ref().map_or_else(
                    || Err(ConnectError::new("a proxy over TLS needs an authority")),
                    |config| Ok(tunnel::for_proxy(config)),
                )?;
                let name = server_name(&proxy.host)?;
                let peer = format!("proxy {}", proxy.authority());
                let (stream, _) = handshake(config, name, Box::new(stream), &peer).await?;
                through(&target, stream).await
            }
        }
    }

    async fn dial(&mut self, host: &str, port: u16, role: &str) -> Result<TcpStream, ConnectError> {
        let peer = host_port(host, port);
        let wrong = |why: String| ConnectError::new(format!("connecting to {role}{peer}: {why}"));
        // The scheme is for the port that is not given, and here it is given.
        let uri = Uri::builder().scheme("http").authority(peer.as_str());
        let uri = uri.path_and_query("/").build();
        let uri = uri.map_err(|error| wrong(error.to_string()))?;
        let connected = self.tcp.call(uri).await;
        connected.map(TokioIo::into_inner).map_err(|error| {
            // Its own words say only that it is about TCP or DNS.
            let cause = error.source().unwrap_or(&error);
            match cause.downcast_ref::<std::io::Error>() {
                Some(error) if error.kind() == std::io::ErrorKind::TimedOut => wrong(silent()),
                _ => wrong(describe(cause)),
            }
        })
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Stream, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// By way of an HTTP proxy: it is asked for a connection where TLS is to go through it, and
/// for each request where not (RFC 9110, section 3.7; Go's net/http does it so).
async fn through(target: &Target, stream: BoxDuplex) -> Result<Stream, ConnectError> {
    let (Some(proxy), Some(_)) = (&target.proxy, &target.tls) else {
        return Ok(Stream {
            io: TokioIo::new(stream),
            http2: false,
            proxied: true,
        });
    };
    let stream = tunnel::connect(proxy, stream, &target.server).await?;
    secure(target, stream).await
}

/// TLS with the server, if it has it.
async fn secure(target: &Target, stream: BoxDuplex) -> Result<Stream, ConnectError> {
    let Some(config) = &target.tls else {
        return Ok(Stream {
            io: TokioIo::new(stream),
            http2: false,
            proxied: false,
        });
    };
    let name = match &target.server_name {
        Some(name) => name.clone(),
        None => server_name(target.server.host())?,
    };
    let peer = host_port(target.server.host(), target.server.port());
    let (stream, http2) = handshake(Arc::clone(config), name, stream, &peer).await?;
    Ok(Stream {
        io: TokioIo::new(stream),
        http2,
        proxied: false,
    })
}

fn server_name(host: &str) -> Result<ServerName<'static>, ConnectError> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| ConnectError::new(format!("{host:?} is no name that TLS can check")))
}

/// TLS; and whether it agreed on HTTP/2.
async fn handshake(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: BoxDuplex,
    peer: &str,
) -> Result<(BoxDuplex, bool), ConnectError> {
    let wrong = |why: &str| ConnectError::new(format!("TLS with {peer}: {why}"));
    let shaking = TlsConnector::from(config).connect(name, stream);
    let stream = match tokio::time::timeout(PHASE_LIMIT, shaking).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(wrong("the peer ended the connection; does it speak TLS?"));
        }
        Ok(Err(error)) => return Err(wrong(&describe(&error))),
        Err(_) => return Err(wrong(&silent())),
    };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok((Box::new(stream), http2))
}
