//! HTTP servers: health, metrics, and one per healthCheckNodePort.

mod accept;
mod answer;
mod debug;
mod diagnostics;
mod exposition;
mod service_health;
mod yaml;
mod zpages;

pub use answer::Answer;
pub use service_health::{ServiceHealth, ServiceHealthCheck};

use crate::about::About;
use crate::events::{Events, Report};
use crate::health::Moment;
use crate::settings::Settings;
use crate::sync::Reports;
use answer::answer_all;
use anyhow::Context;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};

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
pub async fn serve(addresses: Addresses, about: About, reports: Reports) -> anyhow::Result<()> {
    let events = reports.events.clone();
    let hard_fail = addresses.hard_fail;
    let health = async {
        let Some(address) = addresses.healthz else {
            return std::future::pending().await;
        };
        let reports = reports.clone();
        let answer = move |request: &Request<Bytes>| health_answer(&reports, request);
        let result = serve_one("healthz", address, hard_fail, answer).await;
        told(result, &events, "FailedToStartProxierHealthcheck")
    };
    let metrics = async {
        let reports = reports.clone();
        let answer = move |request: &Request<Bytes>| diagnostics::answer(&reports, &about, request);
        let result = serve_one("metrics", addresses.metrics, hard_fail, answer).await;
        told(result, &events, "FailedToStartMetricServer")
    };
    tokio::try_join!(health, metrics)?;
    Ok(())
}

/// Makes an event of a server that could not start.
fn told(result: anyhow::Result<()>, events: &Events, reason: &'static str) -> anyhow::Result<()> {
    result.inspect_err(|error| {
        events.report(Report::node_warning(reason, format!("{error:#}")));
    })
}

async fn serve_one(
    what: &str,
    address: SocketAddr,
    hard_fail: bool,
    answer: impl Fn(&Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let mut last_error = String::new();
    loop {
        let error = match listen(address, false) {
            Ok(listener) => {
                answer_all(listener, answer).await;
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

/// Binds a listening socket. An unspecified address takes both families, as
/// Go's network "tcp" does, unless it is to be one family only.
fn listen(address: SocketAddr, one_family: bool) -> std::io::Result<TcpListener> {
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), address.port());
    let dual = address.ip().is_unspecified() && !one_family;
    let bind = |address: SocketAddr| {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(!dual)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        TcpSocket::from_std_stream(socket.into()).listen(1024)
    };
    if !dual {
        return bind(address);
    }
    match bind(any) {
        // A kernel without IPv6.
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => bind(address),
        result => result,
    }
}

/// Reference: section 4.1.
fn health_answer(reports: &Reports, request: &Request<Bytes>) -> Answer {
    let now = Moment::now();
    let report = match request.uri().path() {
        "/healthz" => reports.health.healthz(now),
        "/livez" => reports.health.livez(now),
        _ => return Answer::not_found(),
    };
    let status = if report.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    match request.uri().path() {
        "/healthz" => reports.metrics.healthz(status.as_u16()),
        _ => reports.metrics.livez(status.as_u16()),
    }
    match serde_json::to_string(&report) {
        Ok(body) => Answer::json(status, body),
        Err(error) => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

#[cfg(test)]
mod tests;
