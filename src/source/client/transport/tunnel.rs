//! Proxies that are asked for a connection: HTTP's CONNECT, and SOCKS.

use super::limit::{PHASE_LIMIT, silent};
use super::stream::BoxDuplex;
use crate::source::client::proxy::{Proxy, host_port};
use crate::source::client::server::Server;
use crate::source::describe;
use crate::source::told::ConnectError;
use futures::future::{Either, select};
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{Request, StatusCode, Uri};
use hyper::client::conn::http1;
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use std::pin::pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tower::{Service, service_fn};

/// The same authorities for a proxy as for the server, as Go has it; HTTP/2 is not for proxies.
pub(super) fn for_proxy(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols.clear();
    Arc::new(config)
}

/// Asks for a connection to the server by CONNECT (RFC 9110, section 9.3.6).
pub(super) async fn connect(
    proxy: &Proxy,
    stream: BoxDuplex,
    server: &Server,
) -> Result<BoxDuplex, ConnectError> {
    let wrong = |why: &str| ConnectError::new(format!("proxy {}: {why}", proxy.authority()));
    match tokio::time::timeout(PHASE_LIMIT, exchange(proxy, stream, server)).await {
        Ok(result) => result.map_err(|why| wrong(&why)),
        Err(_) => Err(wrong(&silent())),
    }
}

async fn exchange(proxy: &Proxy, stream: BoxDuplex, server: &Server) -> Result<BoxDuplex, String> {
    let to = host_port(server.host(), server.port());
    let uri: Uri = to.parse().map_err(|_| format!("{to:?} is no address"))?;
    let mut request = Request::connect(uri).header(HOST, to.as_str());
    if let Some(value) = proxy.authorization() {
        request = request.header(PROXY_AUTHORIZATION, value);
    }
    let request = request
        .body(String::new())
        .map_err(|error| error.to_string())?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| describe(&error))?;
    let connection = pin!(connection.with_upgrades());
    let answer = pin!(async {
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| describe(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(refusal(answer.status(), &to));
        }
        let upgraded = hyper::upgrade::on(answer).await;
        upgraded.map_err(|error| describe(&error))
    });
    let upgraded = match select(answer, connection).await {
        Either::Left((upgraded, _)) => upgraded?,
        Either::Right((_, answer)) => answer.await?,
    };
    match upgraded.downcast::<TokioIo<BoxDuplex>>() {
        Ok(parts) if parts.read_buf.is_empty() => Ok(parts.io.into_inner()),
        // In TLS the client speaks first.
        _ => Err("it sent more than its answer".to_owned()),
    }
}

/// What a proxy's answer to CONNECT means.
fn refusal(status: StatusCode, to: &str) -> String {
    let hint = match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            " (it wants a user and a password, which go into its URL)"
        }
        StatusCode::BAD_REQUEST => " (is it a proxy?)",
        _ => "",
    };
    let name = status.canonical_reason().unwrap_or_default();
    let line = format!("{} {name}", status.as_u16());
    format!("it refuses a connection to {to}: {}{hint}", line.trim_end())
}

/// Asks for a connection to the server by SOCKS (RFC 1928); names are the proxy's to resolve.
pub(super) async fn socks(
    proxy: &Proxy,
    stream: TcpStream,
    server: &Server,
) -> Result<TcpStream, ConnectError> {
    let wrong = |why: &str| ConnectError::new(format!("proxy {}: {why}", proxy.authority()));
    let mut stream = Some(TokioIo::new(stream));
    let made = service_fn(move |_: Uri| {
        std::future::ready(
            stream
                .take()
                .ok_or(std::io::Error::other("one connection, one use")),
        )
    });
    let to = host_port(server.host(), server.port());
    let uri = |authority: &str| {
        let uri = Uri::builder().scheme("http").authority(authority);
        uri.path_and_query("/")
            .build()
            .map_err(|error| wrong(&error.to_string()))
    };
    let mut socks = SocksV5::new(uri(&proxy.authority())?, made);
    if let Some((name, password)) = proxy.user() {
        socks = socks.with_auth(name.to_owned(), password.to_owned());
    }
    match tokio::time::timeout(PHASE_LIMIT, socks.call(uri(&to)?)).await {
        Ok(Ok(stream)) => Ok(stream.into_inner()),
        Ok(Err(error)) => {
            let why = describe(&error);
            let why = why.strip_prefix("SOCKS error: ").unwrap_or(&why);
            Err(wrong(&format!("no connection to {to} by SOCKS: {why}")))
        }
        Err(_) => Err(wrong(&silent())),
    }
}
