//! Peers for these tests, each a task.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// API servers that know four paths: `/watch` goes on, `/half` breaks off, `/never` is not
/// answered, and anything else is an empty object.
pub(super) struct Servers {
    shared: Arc<Shared>,
    tls: TlsAcceptor,
    authority: String,
}

struct Shared {
    /// How many events there were.
    events: watch::Sender<u32>,
    /// The path that was asked for last.
    asked: watch::Sender<String>,
}

impl Servers {
    pub(super) fn new() -> Self {
        let names = (1..4).map(|own| format!("10.9.1.{own}"));
        let names: Vec<String> = names.chain(["10.9.2.1".to_owned()]).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.expect("a key"))
            .expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self {
            shared: Arc::new(Shared {
                events: watch::Sender::new(0),
                asked: watch::Sender::new(String::new()),
            }),
            tls: TlsAcceptor::from(Arc::new(config)),
            authority: made.cert.pem(),
        }
    }

    /// Their own certificate.
    pub(super) fn authority(&self) -> String {
        self.authority.clone()
    }

    /// HTTP on 8080, HTTPS on 6443.
    pub(super) async fn listen(&self, address: &str) {
        let plain = TcpListener::bind((address, 8080)).await.expect("a port");
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = plain.accept().await {
                tokio::spawn(serve(stream, false, Arc::clone(&shared)));
            }
        });
        let secure = TcpListener::bind((address, 6443)).await.expect("a port");
        let (shared, tls) = (Arc::clone(&self.shared), self.tls.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = secure.accept().await {
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else {
                        return;
                    };
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    serve(stream, http2, shared).await;
                });
            }
        });
    }

    /// All watches get a line.
    pub(super) fn event(&self) {
        self.shared.events.send_modify(|count| *count += 1);
    }

    pub(super) async fn wait_for(&self, path: &str) {
        let mut asked = self.shared.asked.subscribe();
        asked.wait_for(|own| own == path).await.expect("a server");
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
    shared: Arc<Shared>,
) {
    let service =
        service_fn(move |request: Request<Incoming>| answer(request, Arc::clone(&shared)));
    let io = TokioIo::new(stream);
    // A connection that breaks is no matter here.
    if http2 {
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        server.serve_connection(io, service).await.ok();
    } else {
        let server = hyper::server::conn::http1::Builder::new();
        server.serve_connection(io, service).await.ok();
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Answer, Infallible> {
    let path = request.uri().path().to_owned();
    shared.asked.send_replace(path.clone());
    let line = || Ok(Frame::data(Bytes::from_static(b"{}\n")));
    Ok(match path.as_str() {
        "/watch" => {
            let events = shared.events.subscribe();
            let lines =
                futures::stream::unfold((true, events), move |(first, mut events)| async move {
                    if !first && events.changed().await.is_err() {
                        return None;
                    }
                    Some((line(), (false, events)))
                });
            Response::new(StreamBody::new(Box::pin(lines)).boxed_unsync())
        }
        "/half" => {
            let half = futures::stream::once(async move { line() });
            let half = futures::StreamExt::chain(half, futures::stream::pending());
            Response::new(StreamBody::new(Box::pin(half)).boxed_unsync())
        }
        "/never" => std::future::pending().await,
        _ => Response::new(Full::from("{}").boxed_unsync()),
    })
}

/// Takes connections, and says nothing.
pub(super) async fn silent(address: &str) {
    let listener = TcpListener::bind(address).await.expect("a port");
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
}

/// A load balancer of the fourth layer: both its connections live on when the server is gone.
pub(super) struct Middlebox(Arc<AtomicBool>);

impl Middlebox {
    pub(super) async fn start(address: &str, server: &'static str) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let frozen = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&frozen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let upstream = TcpStream::connect(server).await.expect("the server");
                let (from, to) = stream.into_split();
                let (back, forth) = upstream.into_split();
                tokio::spawn(relay(from, forth, Arc::clone(&flag)));
                tokio::spawn(relay(back, to, Arc::clone(&flag)));
            }
        });
        Self(frozen)
    }

    /// What comes is taken, and goes nowhere.
    pub(super) fn freeze(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn relay(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    frozen: Arc<AtomicBool>,
) {
    let mut buffer = vec![0; 1 << 14];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        if !frozen.load(Ordering::Relaxed) && to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}
