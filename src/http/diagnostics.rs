//! The metrics port (docs/reference.md#metrics-port).

use super::exposition::expose;
use super::{Answer, debug, zpages};
use crate::about::About;
use crate::telemetry::Telemetry;
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use std::collections::BTreeSet;

/// Every path of the metrics port; any method is as good as GET unless a path
/// says otherwise.
pub(super) fn answer(telemetry: &Telemetry, about: &About, request: &Request<Bytes>) -> Answer {
    let metrics = &telemetry.metrics;
    match &*super::request::path(request) {
        "/metrics" => expose(&metrics.scrape(), request.headers()),
        "/metrics/slis" if request.method() == Method::DELETE => {
            metrics.slis().reset();
            Answer::plain("text/plain; charset=utf-8", "metrics reset\n")
        }
        "/metrics/slis" => expose(&metrics.slis().gather(), request.headers()),
        "/healthz" => {
            let query = request.uri().query().unwrap_or_default();
            let (body, ran) = ping(query);
            if ran {
                metrics.slis().pinged();
            }
            Answer::text(StatusCode::OK, body)
        }
        "/healthz/ping" => Answer::plain("text/plain; charset=utf-8", "ok"),
        "/proxyMode" => Answer::text(StatusCode::OK, about.mode.to_owned()),
        "/configz" => {
            let body = format!("{{\"kubeproxy.config.k8s.io\":{}}}", about.config);
            Answer::json(StatusCode::OK, body)
        }
        "/flagz" if about.flagz => zpages::flagz(request, about),
        "/statusz" if about.statusz => zpages::statusz(request, about),
        path if about.profiling && path.starts_with("/debug/") => debug::answer(request),
        _ => Answer::not_found(),
    }
}

/// What the metrics port's own `/healthz` says, and whether it ran its check.
/// There is a single one, ping, and it always succeeds.
fn ping(query: &str) -> (String, bool) {
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let mut excluded: BTreeSet<&str> = pairs
        .iter()
        .filter(|(name, _)| name == "exclude")
        .map(|(_, check)| &**check)
        .collect();
    let ran = !excluded.remove("ping");
    if !pairs.iter().any(|(name, _)| name == "verbose") {
        return ("ok".to_owned(), ran);
    }
    let ping = if ran {
        "[+]ping ok\n"
    } else {
        "[+]ping excluded: ok\n"
    };
    let quoted: Vec<String> = excluded.iter().map(|check| format!("{check:?}")).collect();
    let unknown = if quoted.is_empty() {
        String::new()
    } else {
        let names = quoted.join(",");
        format!("warn: some health checks cannot be excluded: no matches for {names}\n")
    };
    (format!("{ping}{unknown}healthz check passed\n"), ran)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        assert_eq!(
            ping("exclude=a%20b+c%2&verbose").0,
            concat!(
                "[+]ping ok\nwarn: some health checks cannot be excluded: no matches for \"a b c%2\"\n",
                "healthz check passed\n"
            )
        );
        assert!(!ping("exclude=ping").1);
    }
}
