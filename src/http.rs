//! HTTP servers: health, metrics, and one per healthCheckNodePort.

mod accept;
mod answer;
mod debug;
mod diagnostics;
mod exposition;
mod listen;
mod pool;
mod request;
mod serve;
mod service_health;
mod service_listener;
mod timed;
mod zpages;

pub use answer::Answer;
pub(crate) use listen::listen;
pub(crate) use serve::{Terms, is_the_connections, serve_each};
pub use service_health::{HealthUpdate, ServiceHealth};

use crate::about::About;
use crate::descriptors::Shares;
use crate::events::{Event, Recorder};
use crate::health::Moment;
use crate::settings::Settings;
use crate::telemetry::Telemetry;
use anyhow::Context;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use pool::Pool;
use request::Pages;
use serve::answer_all;
use std::net::SocketAddr;
use std::time::Duration;

/// Between two attempts to bind an address that is taken.
const BIND_RETRY: Duration = Duration::from_secs(5);

/// Where the servers listen.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// `/healthz` and `/livez`; `None` if they are switched off.
    pub healthz: Option<SocketAddr>,
    /// Everything else.
    pub metrics: SocketAddr,
    /// An address that cannot be bound is fatal.
    pub hard_fail: bool,
}

impl From<&Settings> for Addresses {
    fn from(settings: &Settings) -> Self {
        Self {
            healthz: settings.healthz_bind_address,
            metrics: settings.metrics_bind_address,
            hard_fail: settings.bind_address_hard_fail,
        }
    }
}

/// Runs the health and the metrics server.
///
/// # Errors
/// An address cannot be bound and that is to be fatal; an event has been made
/// of it.
pub async fn serve(addresses: Addresses, about: About, telemetry: Telemetry) -> anyhow::Result<()> {
    let events = telemetry.events.clone();
    let hard_fail = addresses.hard_fail;
    let shares = Shares::current();
    let health = async {
        let Some(address) = addresses.healthz else {
            return std::future::pending().await;
        };
        let telemetry = telemetry.clone();
        let terms = Terms::probes(
            Pool::new("--healthz-bind-address", shares.health),
            Pages::Mux,
        );
        let answer = move |request: &Request<Bytes>| health_answer(&telemetry, request);
        let result = serve_one("healthz", address, hard_fail, terms, answer).await;
        told(result, &events, "FailedToStartProxierHealthcheck")
    };
    let metrics = async {
        let telemetry = telemetry.clone();
        let pool = Pool::new("--metrics-bind-address", shares.metrics);
        let terms = Terms::scrapes(pool, Pages::Exact);
        let answer =
            move |request: &Request<Bytes>| diagnostics::answer(&telemetry, &about, request);
        let result = serve_one("metrics", addresses.metrics, hard_fail, terms, answer).await;
        told(result, &events, "FailedToStartMetricServer")
    };
    tokio::try_join!(health, metrics)?;
    Ok(())
}

/// Makes an event of a server that could not start.
fn told(result: anyhow::Result<()>, events: &Recorder, reason: &'static str) -> anyhow::Result<()> {
    result.inspect_err(|error| {
        events.record(Event::node_warning(reason, format!("{error:#}")));
    })
}

async fn serve_one(
    what: &str,
    address: SocketAddr,
    hard_fail: bool,
    terms: Terms,
    answer: impl Fn(&Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let mut last_error = String::new();
    loop {
        let error = match listen(address, false) {
            Ok(listener) => {
                answer_all(listener, terms, answer).await;
                return Ok(());
            }
            Err(error) => error,
        };
        if hard_fail {
            return Err(error)
                .with_context(|| format!("listening on --{what}-bind-address {address}"));
        }
        if error.to_string() != last_error {
            tracing::error!("listening on --{what}-bind-address {address}: {error}; trying again");
            last_error = error.to_string();
        }
        tokio::time::sleep(BIND_RETRY).await;
    }
}

/// Answers on a stream as the metrics server does, or as the health server.
#[cfg(feature = "fuzzing")]
pub(crate) async fn answer_stream(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    is_metrics: bool,
    about: About,
    telemetry: Telemetry,
) {
    if is_metrics {
        let terms = Terms::scrapes(Pool::new("metrics", 1), Pages::Exact);
        let answer =
            move |request: &Request<Bytes>| diagnostics::answer(&telemetry, &about, request);
        serve::answer_one(stream, terms, answer).await;
    } else {
        let terms = Terms::probes(Pool::new("healthz", 1), Pages::Mux);
        let answer = move |request: &Request<Bytes>| health_answer(&telemetry, request);
        serve::answer_one(stream, terms, answer).await;
    }
}

/// docs/reference.md#health-port.
fn health_answer(telemetry: &Telemetry, request: &Request<Bytes>) -> Answer {
    let now = Moment::now();
    let path = request::path(request);
    let status_of = match &*path {
        "/healthz" => telemetry.health.healthz(now),
        "/livez" => telemetry.health.livez(now),
        _ => return Answer::not_found(),
    };
    let status = if status_of.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    match &*path {
        "/healthz" => telemetry.metrics.healthz(status.as_u16()),
        _ => telemetry.metrics.livez(status.as_u16()),
    }
    match serde_json::to_string(&status_of) {
        Ok(body) => Answer::json(status, body),
        Err(error) => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

#[cfg(test)]
mod tests;
