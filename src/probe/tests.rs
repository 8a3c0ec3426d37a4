use super::report::{ClientAddress, Expectation, Probe};
use super::tally::{Answered, Failure, Tally};
use super::{Calls, Target, findings, probe};
use crate::echo::{Echo, EchoOptions, End, Identity, Mode, Server};
use crate::report::{Format, Output, Report, Source};
use rules::finding::Code;
use std::future::pending;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CALLS: Calls = Calls {
    count: 50,
    concurrency: 4,
    timeout: Duration::from_secs(60),
    new_connections: true,
};

async fn called(url: &str, calls: Calls) -> Report<Probe> {
    let target = Target::parse(url).expect("a URL");
    let report = probe(target, calls, None, "n1".to_owned(), pending());
    report.await.expect("a report")
}

/// An echo on loopback; its port.
fn echo() -> u16 {
    let options = EchoOptions {
        address: ([127, 0, 0, 1], 0).into(),
        proxy_protocol: Mode::Off,
    };
    let server = Server::bind(options).expect("a port");
    let port = server.address().expect("an address").port();
    let identity = Identity {
        pod: Some("web-1".to_owned()),
        ..Identity::default()
    };
    tokio::spawn(server.answer(identity, pending()));
    port
}

/// Something that answers each connection with these bytes, or never, if there are none.
async fn otherwise(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            if answer.is_empty() {
                silent.push(stream);
                continue;
            }
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
        }
    });
    port
}

#[tokio::test]
async fn one_echo_answers_all() {
    let port = echo();
    for new_connections in [true, false] {
        let calls = Calls {
            new_connections,
            ..CALLS
        };
        let report = called(&format!("127.0.0.1:{port}/x"), calls).await;
        let probe = &report.data;
        assert_eq!((probe.calls, probe.answered, probe.failed), (50, 50, 0));
        assert_eq!(probe.answers.len(), 1);
        assert_eq!(probe.answers[0].pod.as_deref(), Some("web-1"));
        assert_eq!(probe.clients.len(), 1);
        assert_eq!(probe.clients[0].client_address, Some(ClientAddress::Kept));
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }
}

#[tokio::test]
async fn what_fails_is_counted_by_kind() {
    let nobody = {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        taken.local_addr().expect("an address").port()
    };
    let rows = [
        (nobody, "refused"),
        (
            otherwise(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await,
            "status 503",
        ),
        (
            otherwise(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await,
            "no answer of echo",
        ),
        (
            otherwise(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}").await,
            "no whole answer",
        ),
        (otherwise(b"SSH-2.0-x\r\n").await, "no HTTP"),
        (otherwise(b"").await, "timed out"),
    ];
    for (port, kind) in rows {
        let timeout = match kind {
            "timed out" => Duration::from_millis(100),
            _ => CALLS.timeout,
        };
        let calls = Calls {
            count: 5,
            timeout,
            ..CALLS
        };
        let report = called(&format!("http://127.0.0.1:{port}"), calls).await;
        let kinds: Vec<(&str, u64)> = report
            .data
            .failures
            .iter()
            .map(|failure| (failure.kind.as_str(), failure.count))
            .collect();
        assert_eq!(kinds, [(kind, 5)]);
        let codes: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::CallsFail], "{kind}");
    }
}

#[tokio::test]
async fn a_stop_tells_of_what_there_was() {
    let port = otherwise(b"").await;
    let target = Target::parse(&format!("127.0.0.1:{port}")).expect("a URL");
    let stop = tokio::time::sleep(Duration::from_millis(50));
    let report = probe(target, CALLS, None, String::new(), stop);
    let report = report.await.expect("a report");
    assert_eq!(report.data.calls, 0);
}

#[tokio::test]
async fn who_cannot_be_looked_up_is_named() {
    let target = Target::parse("http://no.such.host.invalid/").expect("a URL");
    let error = probe(target, CALLS, None, String::new(), pending());
    let error = error.await.expect_err("nobody");
    assert!(
        error.to_string().contains("no.such.host.invalid"),
        "{error}"
    );
}

#[test]
fn urls_that_are_none() {
    for (text, why) in [
        ("", "it is no URL"),
        ("http://", "it is no URL"),
        ("https://x", "scheme"),
        ("http://user@x", "user"),
        ("http://x:0", ":0 is no port"),
        ("http://x:99999", ":99999 is no port"),
        ("http://[::1", "it is no URL"),
    ] {
        let error = Target::parse(text).expect_err(text);
        assert!(error.contains(why), "{text}: {error}");
    }
    for (text, shown) in [
        ("x", "http://x/"),
        ("[::1]:80/a?b", "http://[::1]:80/a?b"),
        ("http://x:8080", "http://x:8080/"),
    ] {
        assert_eq!(
            Target::parse(text).map(|own| own.to_string()),
            Ok(shown.to_owned())
        );
    }
}

fn answered(pod: &str, node: &str, address: &str, remote: &str) -> Answered {
    let end = |text: &str| End::from(text.parse::<SocketAddr>().expect("an address"));
    let request = hyper::Request::get("/").body(()).expect("a request");
    let identity = Identity {
        pod: Some(pod.to_owned()),
        namespace: Some("shop".to_owned()),
        node: Some(node.to_owned()),
    };
    let [remote, local] = [remote, address].map(|text| text.parse().expect("an address"));
    Answered {
        echo: Echo::new(remote, local, None, &identity, &request),
        own: end("203.0.113.9:40000"),
    }
}

/// Three pods on two nodes behind a balancer that has the nodes in turn: a half and two quarters.
fn local_policy() -> Tally {
    let mut tally = Tally::default();
    for (times, pod, node, address) in [
        (1500, "web-1", "n1", "10.244.1.5:8080"),
        (740, "web-2", "n2", "10.244.2.7:8080"),
        (757, "web-3", "n2", "10.244.2.9:8080"),
    ] {
        for _ in 0..times {
            tally.count(Ok(answered(pod, node, address, "203.0.113.9:40000")));
        }
    }
    tally
}

fn report(tally: Tally, expectation: Option<Expectation>) -> Report<Probe> {
    let target = Target::parse("198.51.100.7").expect("a URL");
    let address = ([198, 51, 100, 7], 80).into();
    let took = Duration::from_millis(1340);
    let probe = Probe::new(&target, address, CALLS, took, tally, expectation);
    let findings = findings::of(&probe);
    Report {
        generated_at: "2026-01-01T00:00:00Z".to_owned(),
        ..Report::new("n1", vec![Source::fresh("network")], probe, findings)
    }
}

fn text(report: &Report<Probe>, format: Format) -> String {
    let output = Output {
        format,
        fail_on: None,
    };
    anstream::adapter::strip_str(&output.text(report)).to_string()
}

fn shown(tally: Tally, expectation: Option<Expectation>) -> (String, Vec<Code>) {
    let report = report(tally, expectation);
    let codes = report.findings.iter().map(|finding| finding.code);
    (text(&report, Format::Table), codes.collect())
}

#[test]
fn shares_that_are_unequal_and_expected() {
    let data = text(&report(local_policy(), None), Format::Json);
    insta::assert_snapshot!("json", data);
    let (text, codes) = shown(local_policy(), None);
    assert_eq!(codes, []);
    insta::assert_snapshot!("unequal", text);
    let shares = [
        ("10.244.1.5", 0.5),
        ("10.244.2.7", 0.25),
        ("10.244.2.9", 0.25),
    ];
    let expectation = Expectation {
        by: "Service shop/web, policy Local, a balancer that has nodes in turn".to_owned(),
        shares: shares
            .into_iter()
            .map(|(address, share)| {
                let address = address.parse().expect("an address");
                (
                    End {
                        address,
                        port: 8080,
                    },
                    share,
                )
            })
            .collect(),
    };
    let (text, codes) = shown(local_policy(), Some(expectation));
    assert_eq!(codes, []);
    insta::assert_snapshot!("expected", text);
}

#[test]
fn what_is_found_and_what_is_not() {
    let mut tally = Tally::default();
    for number in 0..100 {
        let pod = match number % 10 {
            0 => "web-1",
            1 => "web-2",
            2 => "web-3",
            _ => "web-4",
        };
        let address = format!("10.244.1.{}:8080", &pod[4..]);
        tally.count(Ok(answered(pod, "n1", &address, "192.0.2.1:1024")));
    }
    for _ in 0..3 {
        let error = std::io::Error::from(ErrorKind::ConnectionReset);
        tally.count(Err(Failure::new("reset", error.to_string())));
    }
    let (text, codes) = shown(tally, None);
    assert_eq!(
        codes,
        [Code::CallsFail, Code::UnequalShare, Code::ClientAddressLost]
    );
    insta::assert_snapshot!("findings", text);
}
