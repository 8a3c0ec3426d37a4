//! `--metrics-bind-address` (reference: section 4.2).

use super::{Site, raw};

const SERVER: &str = "127.0.0.1:10249";

#[test]
fn every_path_answers_as_upstreams_does() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    let plain = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\ncontent-type: text/plain; charset=utf-8\n\
             x-content-type-options: nosniff\nconnection: close\ncontent-length: {}\n\n{body}",
            body.len()
        )
    };
    let verbose = "[+]ping ok\nhealthz check passed\n";
    let excluded = "[+]ping excluded: ok\nhealthz check passed\n";
    let no_match = "[+]ping ok\nwarn: some health checks cannot be excluded: no matches for \
                    \"etcd\"\nhealthz check passed\n";
    let not_found = "404 page not found\n";
    for (path, status, body) in [
        ("/healthz", "200 OK", "ok"),
        ("/healthz?verbose", "200 OK", verbose),
        ("/healthz?verbose=true", "200 OK", verbose),
        ("/healthz?a=b&verbose", "200 OK", verbose),
        ("/healthz?verbosely", "200 OK", "ok"),
        ("/healthz?exclude=ping", "200 OK", "ok"),
        ("/healthz?verbose&exclude=ping", "200 OK", excluded),
        ("/healthz?exclude=etcd&verbose", "200 OK", no_match),
        ("/healthz/ping", "200 OK", "ok"),
        ("/proxyMode", "200 OK", "nftables"),
        ("/", "404 Not Found", not_found),
        ("/livez", "404 Not Found", not_found),
        ("/readyz", "404 Not Found", not_found),
        ("/proxymode", "404 Not Found", not_found),
        ("/debug/pprof/", "404 Not Found", not_found),
    ] {
        assert_eq!(raw(&site.get(SERVER, path)), plain(status, body), "{path}");
    }
    // Whatever the syncs do.
    site.reports.health.node_eligible(Some(false));
    assert_eq!(site.get(SERVER, "/healthz").status, 200);
}

#[test]
fn metrics_come_in_the_text_format_of_prometheus() {
    let site = Site::new();
    let _servers = site.serve(&["--metrics-bind-address=[::1]:9999"]);
    site.reports.metrics.endpoint_change();
    let response = site.get("[::1]:9999", "/metrics");
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let line = "kubeproxy_sync_proxy_rules_endpoint_changes_total 1";
    assert!(
        response.body.lines().any(|own| own == line),
        "{}",
        response.body
    );
    assert!(site.refuses("127.0.0.1:9999"));
}
