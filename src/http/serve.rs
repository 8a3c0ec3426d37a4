//! The loop that answers, and what bounds it: connections at once, a connection's life, the time
//! that a peer takes, and the bytes that it sends.

use super::Answer;
use super::pool::{Pool, Slot};
use super::request::{self, Pages};
use super::timed::{Answered, Patience, Timed};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::{Future, pending, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Bytes of a request's line and headers; Go takes a megabyte, which is much for what nobody
/// looks at.
const HEAD_LIMIT: usize = 16 << 10;
/// Headers of a request.
const HEADERS: usize = 256;
/// The largest body that is looked at.
const BODY_LIMIT: usize = 4096;
/// How long an answer that is under way when a connection's life ends may still take.
const LAST_ANSWER: Duration = Duration::from_secs(5);
/// Between two attempts to accept a connection while that is impossible.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a peer may take to send a request, and to read some of an answer.
const TURN: Duration = Duration::from_secs(10);

/// What bounds a server.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pool: Pool,
    pages: Pages,
    patience: Patience,
    life: Duration,
}

impl Terms {
    /// For those who ask one question and go.
    pub(super) fn probes(pool: Pool, pages: Pages) -> Self {
        Self {
            pool,
            pages,
            patience: Patience {
                request: TURN,
                idle: TURN,
                write: TURN,
            },
            life: Duration::from_secs(30),
        }
    }

    /// For whoever asks how a connection arrives, on any path.
    pub(crate) fn echo(connections: usize) -> Self {
        Self::probes(Pool::new("echo", connections), Pages::One)
    }

    /// For those who come again every minute at least, and may keep their connection for a while.
    pub(super) fn scrapes(pool: Pool, pages: Pages) -> Self {
        Self {
            pool,
            pages,
            patience: Patience {
                request: TURN,
                idle: Duration::from_secs(75),
                write: TURN,
            },
            life: Duration::from_secs(600),
        }
    }
}

/// Answers every request to a listener, until the future is dropped; with it go the connections.
pub(super) async fn answer_all(
    listener: TcpListener,
    terms: Terms,
    answer: impl Fn(&Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
) {
    let greet = move |stream: TcpStream, _| ready(Some((stream, answer.clone())));
    serve_each(listener, terms, greet, pending()).await;
}

/// Serves every connection as `greet` says, which sees the stream first and may read what comes
/// before HTTP: it yields the stream to go on with and what answers there, or nothing to close
/// it. It has as long as a request may take. At `stop` nothing more is accepted, and answers under
/// way are finished.
pub(crate) async fn serve_each<Greeted, S, A>(
    listener: TcpListener,
    terms: Terms,
    greet: impl Fn(TcpStream, SocketAddr) -> Greeted,
    stop: impl Future<Output = ()>,
) where
    Greeted: Future<Output = Option<(S, A)>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(&Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
{
    let (last, stopping) = watch::channel(false);
    let mut connections = tokio::task::JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Who is turned away sees the connection closed.
                    if let Some(slot) = terms.pool.admit(peer.ip()).await {
                        let greeting = greet(stream, peer);
                        connections.spawn(greeted(slot, greeting, terms.clone(), stopping.clone()));
                    }
                }
                Err(error) if is_the_connections(&error) => {}
                Err(error) => {
                    terms.pool.failed(&error);
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stop.as_mut() => break,
        }
    }
    drop(listener);
    last.send_replace(true);
    while connections.join_next().await.is_some() {}
}

/// A connection that is greeted, and then lives.
async fn greeted<S, A>(
    mut slot: Slot,
    greeting: impl Future<Output = Option<(S, A)>>,
    terms: Terms,
    mut stopping: Stopping,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(&Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
{
    let greeted = tokio::select! {
        greeted = timeout(terms.patience.request, greeting) => greeted.ok().flatten(),
        () = slot.cut() => None,
        () = told(&mut stopping) => None,
    };
    if let Some((stream, answer)) = greeted {
        live(slot, stream, terms, answer, stopping).await;
    }
}

/// Becomes true when answers under way are the last ones.
type Stopping = watch::Receiver<bool>;

/// Waits until the server is to stop.
async fn told(stopping: &mut Stopping) {
    if stopping.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could say so.
        pending::<()>().await;
    }
}

/// Whether an error of accept(2) is about the connection that was to be accepted, and the next
/// one may well be fine.
pub(crate) fn is_the_connections(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    ) || error.raw_os_error() == Some(libc::EPROTO)
}

/// Answers on a stream that somebody else has accepted.
#[cfg(feature = "fuzzing")]
pub(super) async fn answer_one(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    terms: Terms,
    answer: impl Fn(&Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
) {
    if let Some(slot) = terms.pool.admit([127, 0, 0, 1].into()).await {
        let (_last, stopping) = watch::channel(false);
        live(slot, stream, terms, answer, stopping).await;
    }
}

/// A connection's whole life. The slot is free when the stream is closed.
async fn live(
    mut slot: Slot,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    terms: Terms,
    answer: impl Fn(&Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
    mut stopping: Stopping,
) {
    let answered = Answered::default();
    let stream = Timed::new(stream, terms.patience, answered.clone());
    let Terms {
        pool, pages, life, ..
    } = terms;
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, answered, pool) = (answer.clone(), answered.clone(), pool.clone());
        async move {
            let mut response = match request::refusal(&request, pages) {
                Some(refusal) => refusal,
                None => answer(&whole(request).await),
            };
            answered.tell();
            if pool.is_crowded() {
                response = response.closing();
            }
            Ok::<Response<_>, Infallible>(response.into())
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .max_buf_size(HEAD_LIMIT)
        .max_headers(HEADERS)
        // As Go writes them, for scripts that look for that.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // How it ends is the client's affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = slot.cut() => return,
        () = told(&mut stopping) => connection.as_mut().graceful_shutdown(),
        () = sleep(life) => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = timeout(LAST_ANSWER, connection) => {}
        () = slot.cut() => {}
    }
}

/// A request with its body, which is empty if there is too much of it or it takes too long. Only
/// one method's is read: nothing here looks at others'.
async fn whole(request: Request<Incoming>) -> Request<Bytes> {
    let (head, body) = request.into_parts();
    let read = match head.method {
        Method::PUT => Limited::new(body, BODY_LIMIT).collect().await.ok(),
        _ => None,
    };
    let body = read.map_or_else(Bytes::new, |body| body.to_bytes());
    Request::from_parts(head, body)
}
