//! `--metrics-bind-address` (docs/reference.md#metrics-port).

use super::{Site, raw};
use e2e::http::Request;

const SERVER: &str = "127.0.0.1:10249";
const NOT_FOUND: &str = "404 page not found\n";

/// An answer in text with all headers.
fn plain(status: &str, sniffing: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\nContent-Type: text/plain; charset=utf-8\n{sniffing}\
         Connection: close\nContent-Length: {}\n\n{body}",
        body.len()
    )
}

#[test]
fn every_path_answers_as_upstreams_does() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    let nosniff = "X-Content-Type-Options: nosniff\n";
    let verbose = "[+]ping ok\nhealthz check passed\n";
    let excluded = "[+]ping excluded: ok\nhealthz check passed\n";
    let no_match = "[+]ping ok\nwarn: some health checks cannot be excluded: no matches for \
                    \"a\",\"b,c\"\nhealthz check passed\n";
    for (path, status, body) in [
        ("/healthz", "200 OK", "ok"),
        ("/healthz?verbose", "200 OK", verbose),
        ("/healthz?verbose=true", "200 OK", verbose),
        ("/healthz?a=b&verbose", "200 OK", verbose),
        ("/healthz?verbosely", "200 OK", "ok"),
        ("/healthz?exclude=ping", "200 OK", "ok"),
        ("/healthz?verbose&exclude=ping", "200 OK", excluded),
        ("/healthz?exclude=b,c&exclude=a&verbose", "200 OK", no_match),
        ("/proxyMode", "200 OK", "nftables"),
        ("/", "404 Not Found", NOT_FOUND),
        ("/livez", "404 Not Found", NOT_FOUND),
        ("/readyz", "404 Not Found", NOT_FOUND),
        ("/proxymode", "404 Not Found", NOT_FOUND),
        ("/metrics/", "404 Not Found", NOT_FOUND),
        ("/debug/pprof/", "404 Not Found", NOT_FOUND),
        ("/debug/flags/v", "404 Not Found", NOT_FOUND),
    ] {
        let expected = plain(status, nosniff, body);
        assert_eq!(raw(&site.get(SERVER, path)), expected, "{path}");
    }
    let ping = raw(&site.get(SERVER, "/healthz/ping"));
    assert_eq!(ping, plain("200 OK", "", "ok"));
    // Whatever the syncs do.
    site.telemetry.health.node_eligible(Some(false));
    assert_eq!(site.get(SERVER, "/healthz").status, 200);
}

#[test]
fn any_method_is_as_good_as_get() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    site.get(SERVER, "/healthz");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let request = Request::new("/proxyMode").method(method).body("a body");
        assert_eq!(site.send(SERVER, &request).body, "nftables", "{method}");
    }
    let head = site.send(SERVER, &Request::new("/proxyMode").method("HEAD"));
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), Some("8"));
}

#[test]
fn metrics_come_in_the_text_format_of_prometheus() {
    let site = Site::new();
    let _servers = site.serve(&["--metrics-bind-address=[::1]:9999"]);
    site.telemetry.metrics.endpoint_change();
    let response = site.get("[::1]:9999", "/metrics");
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
    );
    let start = response.header("process-start-time-unix");
    let start = start.and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(start.is_some_and(|seconds| seconds > 1_700_000_000));
    for line in [
        "kubeproxy_sync_proxy_rules_endpoint_changes_total 1",
        "# TYPE process_virtual_memory_max_bytes gauge",
        "hidden_metrics_total 0",
    ] {
        let found = response.body.lines().any(|own| own == line);
        assert!(found, "{line} is missing in {}", response.body);
    }
    assert!(site.refuses("127.0.0.1:9999"));
}

#[test]
fn metrics_are_packed_and_binary_for_those_that_ask() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    site.get(SERVER, "/healthz");
    let packed = Request::new("/metrics").header("Accept-Encoding", "deflate, gzip;q=1");
    let packed = site.send(SERVER, &packed);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let refused = Request::new("/metrics").header("Accept-Encoding", "gzip;q=0");
    let refused = site.send(SERVER, &refused);
    assert_eq!(refused.header("content-encoding"), None);
    let binary = "application/vnd.google.protobuf";
    let family = "proto=io.prometheus.client.MetricFamily";
    let accept = format!("{binary};{family};encoding=delimited;q=0.6,text/plain;q=0.3");
    let response = site.send(SERVER, &Request::new("/metrics").header("Accept", &accept));
    let expected = format!("{binary}; {family}; encoding=delimited; escaping=underscores");
    assert_eq!(response.header("content-type"), Some(expected.as_str()));
}

#[test]
fn slis_tell_of_the_health_checks_until_they_are_reset() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    site.get(SERVER, "/healthz");
    site.get(SERVER, "/healthz?exclude=ping");
    let line = "kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"healthz\"} 1";
    let slis = || site.get(SERVER, "/metrics/slis").body;
    assert!(slis().lines().any(|own| own == line), "{}", slis());
    let reset = Request::new("/metrics/slis").method("DELETE");
    assert_eq!(site.send(SERVER, &reset).body, "metrics reset\n");
    assert!(!slis().contains("healthcheck"), "{}", slis());
}

#[test]
fn profiling_changes_verbosity_and_owns_up_to_having_no_profiles() {
    let site = Site::new();
    let _servers = site.serve_profiling(&[], true);
    let text = |status, body| {
        let sniffing = "X-Content-Type-Options: nosniff\n";
        plain(status, sniffing, body).replace("; charset=utf-8", "")
    };
    site.get(SERVER, "/healthz");
    for (body, status, says) in [
        (
            "4",
            "200 OK",
            "successfully set klog.logging.verbosity to 4\n",
        ),
        (
            "-1",
            "400 Bad Request",
            "strconv.ParseUint: parsing \"-1\": invalid syntax\n",
        ),
        (
            "",
            "400 Bad Request",
            "strconv.ParseUint: parsing \"\": invalid syntax\n",
        ),
        (
            "99999999999",
            "400 Bad Request",
            "strconv.ParseUint: parsing \"99999999999\": value out of range\n",
        ),
    ] {
        let put = Request::new("/debug/flags/v").method("PUT").body(body);
        assert_eq!(raw(&site.send(SERVER, &put)), text(status, says), "{body}");
    }
    let got = raw(&site.get(SERVER, "/debug/flags/v"));
    assert_eq!(got, text("406 Not Acceptable", "unsupported http method\n"));
    let flags = site.get(SERVER, "/debug/flags");
    assert_eq!((flags.status, flags.body.len()), (200, 168));
    let profile = site.get(SERVER, "/debug/pprof/profile?seconds=1");
    assert_eq!(profile.status, 404);
    assert!(profile.body.contains("perf record"), "{}", profile.body);
}
