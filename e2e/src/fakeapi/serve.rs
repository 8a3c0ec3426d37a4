//! Listening, TLS, and one task for each connection.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::answer::answer;
use super::{Phase, Shared};
use crate::controlplane::Certificates;

/// TLS with the server's certificate, for clients that may choose HTTP/2 and for those that may not.
#[derive(Clone)]
pub(super) struct Tls {
    http2: TlsAcceptor,
    http1: TlsAcceptor,
}

/// Reads the server's certificate and key.
pub(super) fn tls(certificates: &Certificates) -> Result<Tls> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("read {}", path.display()));
    let certificate = CertificateDer::from_pem_slice(&read(&certificates.server)?)
        .context("the server's certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&read(&certificates.server_key)?)
        .context("the server's key")?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let http1 = TlsAcceptor::from(Arc::new(config.clone()));
    config.alpn_protocols.insert(0, b"h2".to_vec());
    let http2 = TlsAcceptor::from(Arc::new(config));
    Ok(Tls { http2, http1 })
}

/// Serves until it is stopped, on the calling thread, whose namespace it is.
pub(super) fn run(shared: Arc<Shared>, address: SocketAddr, tls: Tls) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let mut phase = shared.phase.subscribe();
        loop {
            let now = *phase.borrow_and_update();
            match now {
                Phase::Stopped => return Ok(()),
                Phase::Closed => phase.changed().await?,
                Phase::Open => {
                    let listener =
                        listen(address).with_context(|| format!("listen on {address}"))?;
                    tokio::select! {
                        changed = phase.changed() => changed?,
                        () = accept(&listener, &shared, &tls) => {}
                    }
                }
            }
        }
    });
    shared.connections().abort_all();
    result
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(256)
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>, tls: &Tls) {
    loop {
        let Ok((stream, client)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let served = Arc::clone(shared);
        let task = tokio::spawn(connection(served, stream, tls.clone()));
        shared.connections().add(client.port(), task.abort_handle());
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream, tls: Tls) {
    // Whenever it ends early the client gets a reset.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).ok();
    stream.set_nodelay(true).ok();
    let behaviour = shared.behaviour();
    if behaviour.mute {
        std::future::pending::<()>().await;
    }
    let acceptor = if behaviour.http1 {
        tls.http1
    } else {
        tls.http2
    };
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = TokioIo::new(stream);
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    // An error is a client that went away, or a body that was cut on purpose.
    if is_http2 {
        let builder = http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(stream, service).await.ok();
    } else {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new());
        builder.serve_connection(stream, service).await.ok();
    }
}
