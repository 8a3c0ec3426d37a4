//! What lies between the typed client and the connection.

use super::credentials::Credentials;
use super::deadline::{self, Patience};
use super::limiter::Limiter;
use crate::metrics::RestMetrics;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body as _, Bytes};
use kube::client::Body;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tower::{BoxError, Service};

/// Waits its turn, signs, sends, counts.
#[derive(Clone)]
pub(super) struct ApiService(Arc<Inner>);

struct Inner {
    credentials: Credentials,
    limiter: Limiter,
    metrics: RestMetrics,
    host: Arc<str>,
    silence: Duration,
}

impl ApiService {
    /// `silence`: the deadline of headers, and within bodies.
    pub(super) fn new(
        credentials: Credentials,
        limiter: Limiter,
        metrics: RestMetrics,
        host: Arc<str>,
        silence: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            credentials,
            limiter,
            metrics,
            host,
            silence,
        }))
    }
}

impl Service<Request<Body>> for ApiService {
    type Response = Response<UnsyncBoxBody<Bytes, BoxError>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move { inner.send(request).await })
    }
}

impl Inner {
    async fn send(
        self: Arc<Self>,
        mut request: Request<Body>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError> {
        let verb = request.method().as_str().to_owned();
        let wait = if is_next_page(&request) {
            Duration::ZERO
        } else {
            self.limiter.take(Instant::now())
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        self.metrics.waited(&verb, &self.host, wait.as_secs_f64());
        let (transport, number) = self.credentials.sign(&mut request);
        let exchange = (!is_watch(&request)).then(|| {
            let size = request.body().size_hint().lower();
            self.metrics.begin(&verb, &self.host, size as f64)
        });
        let patience = request.extensions().get().copied();
        let Patience(patience) = patience.unwrap_or(Patience(self.silence));
        let own = self.clone();
        let dead = move || own.credentials.give_up(number);
        let result = deadline::keep(transport.send(request), self.silence, patience, dead).await;
        let code = result
            .as_ref()
            .ok()
            .map(|response| response.status().as_u16());
        self.metrics.answered(&verb, &self.host, code);
        let response = result?;
        Ok(response.map(|body| match exchange {
            None => body,
            // Counted until the body is at its end.
            Some(mut exchange) => body
                .map_frame(move |frame| {
                    exchange.receive(frame.data_ref().map_or(0, Bytes::len));
                    frame
                })
                .boxed_unsync(),
        }))
    }
}

fn is_watch<B>(request: &Request<B>) -> bool {
    has_parameter(request, |own| matches!(own, "watch=true" | "watch=1"))
}

/// Whether it goes on with a list. Upstream asks for a list at once, which is one
/// request to the limiter; that the pages of ours are small is for the memory's
/// sake, and no reason to let a large cluster wait for seconds.
fn is_next_page<B>(request: &Request<B>) -> bool {
    has_parameter(request, |own| own.starts_with("continue="))
}

fn has_parameter<B>(request: &Request<B>, is_it: impl Fn(&str) -> bool) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(is_it)
}
