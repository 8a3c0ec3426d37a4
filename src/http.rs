//! HTTP servers: health, metrics, and one per healthCheckNodePort.

mod answer;
mod service_health;

pub use answer::Answer;
pub use service_health::{ServiceHealth, ServiceHealthCheck};

use crate::settings::Settings;
use crate::sync::Reports;
use answer::answer_all;
use anyhow::Context;
use hyper::{Request, StatusCode, body::Incoming};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};

/// Between two attempts to bind an address that is taken.
const BIND_RETRY: Duration = Duration::from_secs(5);

/// Runs the health and the metrics server.
///
/// # Errors
/// An address cannot be bound and `--bind-address-hard-fail` is set.
pub async fn serve(settings: Arc<Settings>, reports: Reports) -> anyhow::Result<()> {
    let hard_fail = settings.bind_address_hard_fail;
    let health = async {
        let Some(address) = settings.healthz_bind_address else {
            return Ok(());
        };
        let reports = reports.clone();
        serve_one("healthz", address, hard_fail, move |request| {
            health_answer(&reports, request)
        })
        .await
    };
    let metrics_reports = reports.clone();
    let metrics = serve_one(
        "metrics",
        settings.metrics_bind_address,
        hard_fail,
        move |request| metrics_answer(&metrics_reports, request),
    );
    tokio::try_join!(health, metrics)?;
    Ok(())
}

async fn serve_one(
    what: &str,
    address: SocketAddr,
    hard_fail: bool,
    answer: impl Fn(&Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
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
fn health_answer(reports: &Reports, request: &Request<Incoming>) -> Answer {
    let now = Timestamp::now();
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

/// Reference: section 4.2.
fn metrics_answer(reports: &Reports, request: &Request<Incoming>) -> Answer {
    match request.uri().path() {
        "/metrics" => match reports.metrics.text() {
            Ok(text) => Answer::metrics(text),
            Err(error) => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
        "/healthz" => Answer::text(
            StatusCode::OK,
            ping(request.uri().query().unwrap_or_default()),
        ),
        "/healthz/ping" => Answer::text(StatusCode::OK, "ok".to_owned()),
        "/proxyMode" => Answer::text(StatusCode::OK, "nftables".to_owned()),
        _ => Answer::not_found(),
    }
}

/// What the metrics server's own `/healthz` says: there is a single check, ping,
/// and it always succeeds.
fn ping(query: &str) -> String {
    let pairs = || {
        let pairs = query.split('&');
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    };
    if !pairs().any(|(name, _)| name == "verbose") {
        return "ok".to_owned();
    }
    let mut excluded: BTreeSet<&str> = pairs()
        .filter(|(name, _)| *name == "exclude")
        .map(|(_, check)| check)
        .collect();
    let ping = if excluded.remove("ping") {
        "[+]ping excluded: ok\n"
    } else {
        "[+]ping ok\n"
    };
    let quoted: Vec<String> = excluded.iter().map(|own| format!("{own:?}")).collect();
    let unknown = if quoted.is_empty() {
        String::new()
    } else {
        let names = quoted.join(", ");
        format!("warn: some health checks cannot be excluded: no matches for {names}\n")
    };
    format!("{ping}{unknown}healthz check passed\n")
}

#[cfg(test)]
mod tests;
