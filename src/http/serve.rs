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
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
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
pub(super) struct Terms {
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
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Who is turned away sees the connection closed.
                    if let Some(slot) = terms.pool.admit(peer.ip()).await {
                        connections.spawn(live(slot, stream, terms.clone(), answer.clone()));
                    }
                }
                Err(error) if is_the_connections(&error) => {}
                Err(error) => {
                    terms.pool.failed(&error);
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Whether an error of accept(2) is about the connection that was to be accepted, and the next
/// one may well be fine.
fn is_the_connections(error: &io::Error) -> bool {
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
        live(slot, stream, terms, answer).await;
    }
}

/// A connection's whole life. The slot is free when the stream is closed.
async fn live(
    mut slot: Slot,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    terms: Terms,
    answer: impl Fn(&Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
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
