//! Answers, and the loop that gives them.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A status, headers and a body.
#[derive(Debug)]
pub struct Answer(Response<Full<Bytes>>);

impl Answer {
    /// `application/json`.
    pub fn json(status: StatusCode, body: String) -> Self {
        Self::new(status, "application/json", body)
    }

    /// `text/plain`.
    pub fn text(status: StatusCode, body: String) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    /// The text format of Prometheus.
    pub fn metrics(body: Vec<u8>) -> Self {
        Self::new(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            body,
        )
    }

    /// What Go's servers say of an unknown path.
    pub fn not_found() -> Self {
        Self::text(StatusCode::NOT_FOUND, "404 page not found\n".to_owned())
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        if let Ok(value) = HeaderValue::from_str(&value) {
            self.0
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
        self
    }

    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(Full::new(body.into()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        );
        Self(response)
    }
}

/// Answers every request to a listener, until the future is dropped; with it
/// go the connections.
pub(super) async fn answer_all(
    listener: TcpListener,
    answer: impl Fn(&Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let answer = answer.clone();
                    connections.spawn(async move {
                        let service = service_fn(move |request| {
                            let Answer(response) = answer(&request);
                            async move { Ok::<_, Infallible>(response) }
                        });
                        let connection = hyper::server::conn::http1::Builder::new()
                            .timer(TokioTimer::new())
                            .header_read_timeout(HEAD_TIMEOUT)
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
