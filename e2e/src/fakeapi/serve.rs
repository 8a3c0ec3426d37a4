//! Listening, TLS, and one task for each connection.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
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

/// TLS with the server's certificate, HTTP/1.1 only.
pub(super) fn acceptor(certificates: &Certificates) -> Result<TlsAcceptor> {
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
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until it is stopped, on the calling thread, whose namespace it is.
pub(super) fn run(shared: Arc<Shared>, address: SocketAddr, tls: TlsAcceptor) -> Result<()> {
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

async fn accept(listener: &TcpListener, shared: &Arc<Shared>, tls: &TlsAcceptor) {
    loop {
        let Ok((stream, client)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let own = Arc::clone(shared);
        let task = tokio::spawn(connection(own, stream, tls.clone()));
        shared.connections().add(client.port(), task.abort_handle());
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream, tls: TlsAcceptor) {
    // Whenever it ends early the client gets a reset.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).ok();
    stream.set_nodelay(true).ok();
    if shared.behaviour().mute {
        std::future::pending::<()>().await;
    }
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        // A client that went away, or a body that was cut on purpose.
        .ok();
}
