//! Answers, and the loop that gives them.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to send the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest body that is looked at.
const BODY_LIMIT: usize = 4096;

/// A status, headers and a body.
#[derive(Debug)]
pub struct Answer(Response<Full<Bytes>>);

impl Answer {
    /// `application/json`.
    pub fn json(status: StatusCode, body: String) -> Self {
        Self::new(status, "application/json", body).without_sniffing()
    }

    /// `text/plain`.
    pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body).without_sniffing()
    }

    /// What Go's servers say of an error.
    pub fn error(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::text(status, body)
    }

    /// What Go's servers say of an unknown path.
    pub fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "404 page not found\n")
    }

    /// Status 200 and this body, without further headers: so are upstream's
    /// pages that nobody thought of browsers for.
    pub fn plain(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, content_type, body)
    }

    /// Any status and type, without further headers.
    pub fn new(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(Full::new(body.into()));
        *response.status_mut() = status;
        Self(response).with_header("content-type", content_type)
    }

    /// Another status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        *self.0.status_mut() = status;
        self
    }

    /// Adds a header; a value that no header can have is left out.
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Tells browsers to believe the type.
    pub fn without_sniffing(self) -> Self {
        self.with_header("x-content-type-options", "nosniff")
    }
}

/// A request with its body, which is empty if there is too much of it or it
/// takes too long: next to nothing here looks at bodies.
async fn whole(request: Request<Incoming>) -> Request<Bytes> {
    let (head, body) = request.into_parts();
    let read = Limited::new(body, BODY_LIMIT).collect();
    let body = match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(body)) => body.to_bytes(),
        _ => Bytes::new(),
    };
    Request::from_parts(head, body)
}

/// Answers every request to a listener, until the future is dropped; with it
/// go the connections.
pub(super) async fn answer_all(
    listener: TcpListener,
    answer: impl Fn(&Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let answer = answer.clone();
                    connections.spawn(async move {
                        let service = service_fn(move |request| {
                            let answer = answer.clone();
                            async move {
                                let Answer(response) = answer(&whole(request).await);
                                Ok::<_, Infallible>(response)
                            }
                        });
                        let connection = hyper::server::conn::http1::Builder::new()
                            .timer(TokioTimer::new())
                            .header_read_timeout(HEAD_TIMEOUT)
                            // As Go writes them, for scripts that look for that.
                            .title_case_headers(true)
                            .serve_connection(TokioIo::new(stream), service);
                        // A client that breaks off is no event of ours.
                        let _ = connection.await;
                    });
                }
                // Out of descriptors, most likely: let some connections end.
                Err(error) => {
                    tracing::debug!("accepting a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
