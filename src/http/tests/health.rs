//! `--healthz-bind-address` (docs/reference.md#health-port).

use super::{Site, raw};
use crate::events::{Message, Recorder};
use crate::health::Moment;
use jiff::Timestamp;
use rules::model::Family;

const SERVER: &str = "127.0.0.1:10256";

/// An answer with its times, which are now, replaced.
fn shown(site: &Site, path: &str) -> String {
    let text = raw(&site.get(SERVER, path));
    let mut shown = String::new();
    for (at, part) in text.split('"').enumerate() {
        let is_now = part.parse::<Timestamp>().is_ok() && !part.starts_with("0001");
        let quote = if at > 0 { "\"" } else { "" };
        shown.push_str(quote);
        shown.push_str(if is_now { "NOW" } else { part });
    }
    let length = text.lines().find(|line| line.starts_with("Content-Length"));
    shown.replace(length.unwrap_or_default(), "Content-Length: LENGTH")
}

#[test]
fn healthz_and_livez_follow_node_and_syncs() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    let health = &site.telemetry.health;
    let now = Moment::now;

    insta::assert_snapshot!(shown(&site, "/healthz"), @r#"
    HTTP/1.1 503 Service Unavailable
    Content-Type: application/json
    X-Content-Type-Options: nosniff
    Connection: close
    Content-Length: LENGTH

    {"lastUpdated":"0001-01-01T00:00:00Z","currentTime":"NOW","nodeEligible":false,"healthy":true}
    "#);
    insta::assert_snapshot!(shown(&site, "/livez"), @r#"
    HTTP/1.1 200 OK
    Content-Type: application/json
    X-Content-Type-Options: nosniff
    Connection: close
    Content-Length: LENGTH

    {"lastUpdated":"NOW","currentTime":"NOW","healthy":true}
    "#);

    health.node_eligible(Some(true));
    health.updated(Family::V4, now());
    health.updated(Family::V6, now());
    insta::assert_snapshot!(shown(&site, "/healthz"), @r#"
    HTTP/1.1 200 OK
    Content-Type: application/json
    X-Content-Type-Options: nosniff
    Connection: close
    Content-Length: LENGTH

    {"lastUpdated":"NOW","currentTime":"NOW","nodeEligible":true,"healthy":true,"status":{"IPv4":{"lastUpdated":"NOW","healthy":true},"IPv6":{"lastUpdated":"NOW","healthy":true}}}
    "#);

    // A change of one family waits for longer than it may.
    let mut long_ago = now();
    long_ago.monotonic -= std::time::Duration::from_secs(61);
    health.queued(Family::V6, long_ago);
    insta::assert_snapshot!(shown(&site, "/livez"), @r#"
    HTTP/1.1 503 Service Unavailable
    Content-Type: application/json
    X-Content-Type-Options: nosniff
    Connection: close
    Content-Length: LENGTH

    {"lastUpdated":"NOW","currentTime":"NOW","healthy":false,"status":{"IPv4":{"lastUpdated":"NOW","healthy":true},"IPv6":{"lastUpdated":"NOW","healthy":false}}}
    "#);
    assert_eq!(site.get(SERVER, "/healthz").status, 503);

    // The node is about to go: alive, but nothing for new connections.
    health.updated(Family::V6, now());
    health.node_eligible(Some(false));
    assert_eq!(site.get(SERVER, "/healthz").status, 503);
    assert_eq!(site.get(SERVER, "/livez").status, 200);

    let text = site.telemetry.metrics.text();
    let answers: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("kubeproxy_proxy_"))
        .collect();
    assert_eq!(
        answers,
        [
            "kubeproxy_proxy_healthz_total{code=\"200\"} 1",
            "kubeproxy_proxy_healthz_total{code=\"503\"} 3",
            "kubeproxy_proxy_livez_total{code=\"200\"} 2",
            "kubeproxy_proxy_livez_total{code=\"503\"} 1",
        ]
    );
}

#[test]
fn every_other_path_is_unknown() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    for path in [
        "/",
        "/healthz/",
        "/healthz/ping",
        "/readyz",
        "/metrics",
        "/HEALTHZ",
    ] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(raw(&site.get(SERVER, path)), @r"
            HTTP/1.1 404 Not Found
            Content-Type: text/plain; charset=utf-8
            X-Content-Type-Options: nosniff
            Connection: close
            Content-Length: 19

            404 page not found
            ");
        }
    }
    // A query changes nothing.
    assert_eq!(site.get(SERVER, "/livez?verbose").status, 200);
}

#[test]
fn a_wildcard_address_answers_on_both_families() {
    for flag in [
        "--healthz-bind-address=0.0.0.0:10256",
        "--healthz-bind-address=[::]:10256",
    ] {
        let site = Site::new();
        let _servers = site.serve(&[flag]);
        assert_eq!(site.get("127.0.0.1:10256", "/livez").status, 200, "{flag}");
        assert_eq!(site.get("[::1]:10256", "/livez").status, 200, "{flag}");
    }
    let site = Site::new();
    let _servers = site.serve(&["--healthz-bind-address=127.0.0.1:10256"]);
    assert_eq!(site.get("127.0.0.1:10256", "/livez").status, 200);
    assert!(site.refuses("[::1]:10256"), "one address is that one alone");
}

#[test]
fn a_taken_address_is_fatal_only_if_that_was_asked_for() {
    let mut site = Site::new();
    let (events, mut queue) = Recorder::queue();
    site.telemetry.events = events;
    let taken = site.namespace.run(|| std::net::TcpListener::bind(SERVER));
    let taken = taken.expect("the namespace").expect("a free port");
    let hard = site.serve(&["--bind-address-hard-fail"]);
    let ended = site.runtime().block_on(hard).expect("no panic");
    let error = format!("{:#}", ended.expect_err("the address is taken"));
    assert_eq!(
        error,
        "listening on --healthz-bind-address 0.0.0.0:10256: Address already in use (os error 98)"
    );
    let event = queue.try_recv().expect("an event");
    assert!(
        matches!(&event, Message::Event(own) if own.warning
            && own.reason == "FailedToStartProxierHealthcheck" && own.note == error),
        "{event:?}"
    );
    // Otherwise the other server works meanwhile, and this one when it can.
    let _soft = site.serve(&[]);
    assert_eq!(site.get("127.0.0.1:10249", "/healthz").status, 200);
    drop(taken);
    assert_eq!(site.get(SERVER, "/livez").status, 200);
}
