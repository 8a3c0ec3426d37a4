//! Odd requests: what Go's net/http answers (Go 1.26, seen), and where it differs on purpose.

use super::Site;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const HEALTH: &str = "127.0.0.1:10256";
const METRICS: &str = "127.0.0.1:10249";

/// The answer to these bytes, until the server closes or says no more.
fn ask(site: &Site, server: &str, request: &[u8]) -> String {
    let server: SocketAddr = server.parse().expect("an address");
    let answer = site.namespace.run(|| {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        // An answer may come before all is sent.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        // What was said before a reset counts.
        let _ = stream.read_to_end(&mut answer);
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    });
    answer.expect("the namespace").expect("an answer")
}

/// A request's first line and headers, with the ones that every request has.
fn head(line: &str, headers: &str) -> Vec<u8> {
    format!("{line}\r\n{headers}Connection: close\r\n\r\n").into_bytes()
}

fn status(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}

#[test]
fn requests_that_reach_no_page() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    site.get(HEALTH, "/livez");
    site.get(METRICS, "/healthz");
    let host = "Host: a\r\n";
    let rows: &[(&str, &str, &str, &str)] = &[
        (
            "GET /healthz HTTP/1.1",
            "",
            "400 Bad Request: missing required Host header",
            "=",
        ),
        (
            "GET http://x/healthz HTTP/1.1",
            "",
            "400 Bad Request: missing required Host header",
            "=",
        ),
        (
            "GET /healthz HTTP/1.1",
            "Host: a\r\nHost: a\r\n",
            "400 Bad Request",
            "=",
        ),
        (
            "GET /healthz HTTP/1.0",
            "Host: a\r\nHost: b\r\n",
            "400 Bad Request",
            "=",
        ),
        (
            "GET /healthz HTTP/1.1",
            "Host: a b\r\n",
            "400 Bad Request: malformed Host header",
            "=",
        ),
        (
            "GET /healthz HTTP/1.1",
            "Host: a/b\r\n",
            "400 Bad Request: malformed Host header",
            "=",
        ),
        ("GET healthz HTTP/1.1", host, "400 Bad Request", "="),
        ("GET /healthz%zz HTTP/1.1", host, "400 Bad Request", "="),
        ("F(O /healthz HTTP/1.1", host, "400 Bad Request", ""),
        ("GET  /healthz HTTP/1.1", host, "400 Bad Request", ""),
        ("GET /healthz", host, "400 Bad Request", ""),
        (
            "GET /healthz HTTP/1.1",
            "Host: a\r\nA B: c\r\n",
            "400 Bad Request",
            "",
        ),
        (
            "GET /healthz HTTP/1.1",
            "Host: a\r\nX: a\0b\r\n",
            "400 Bad Request",
            "",
        ),
        (
            "POST /healthz HTTP/1.1",
            "Host: a\r\nContent-Length: x\r\n",
            "400 Bad Request",
            "",
        ),
        (
            "POST /healthz HTTP/1.1",
            "Host: a\r\nContent-Length: -1\r\n",
            "400 Bad Request",
            "",
        ),
        (
            "POST /healthz HTTP/1.1",
            "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
            "501 Not Implemented",
            "Unsupported transfer encoding",
        ),
        (
            "POST /healthz HTTP/1.1",
            "Host: a\r\nExpect: tea\r\n",
            "417 Expectation Failed",
            "",
        ),
        ("OPTIONS * HTTP/1.1", host, "200 OK", ""),
    ];
    for server in [HEALTH, METRICS] {
        for (line, headers, wanted, body) in rows {
            let answer = ask(&site, server, &head(line, headers));
            let (first, said) = (status(&answer), answer.split("\r\n\r\n").nth(1));
            assert_eq!(
                first.split_once(' ').map(|own| own.1),
                Some(*wanted),
                "{line} {headers}"
            );
            // Go says the status line's words again.
            let body = if *body == "=" { wanted } else { body };
            assert_eq!(said, Some(*body), "{line} {headers}");
            assert!(answer.contains("Connection: close"), "{line} {headers}");
        }
    }
    let answer = ask(&site, HEALTH, &head("GET * HTTP/1.1", host));
    assert_eq!(
        status(&answer),
        "HTTP/1.1 400 Bad Request",
        "the mux says so"
    );
    let answer = ask(&site, METRICS, &head("GET * HTTP/1.1", host));
    assert_eq!(
        status(&answer),
        "HTTP/1.1 404 Not Found",
        "no mux, and no such page"
    );
}

#[test]
fn requests_that_look_odd_and_are_answered() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    site.get(HEALTH, "/livez");
    let many: String = (0..200).map(|number| format!("X{number}: a\r\n")).collect();
    let many = format!("Host: a\r\n{many}");
    let large = format!("Host: a\r\nX: {}\r\n", "a".repeat(15_000));
    for (line, headers) in [
        ("GET /livez HTTP/1.0", ""),
        ("GET /livez HTTP/1.1", "Host:\r\n"),
        ("GET /livez HTTP/1.1", "Host: [::1%25eth0]:80\r\n"),
        ("GET http://x/livez HTTP/1.1", "Host: a\r\n"),
        ("TRACE /livez HTTP/1.1", "Host: a\r\n"),
        ("FOO-BAR /livez HTTP/1.1", "Host: a\r\n"),
        ("GET /%6civez HTTP/1.1", "Host: a\r\n"),
        ("GET /livez?%zz HTTP/1.1", "Host: a\r\n"),
        ("GET /livez HTTP/1.1", "Host: a\r\nX: \u{e9}\r\n"),
        ("GET /livez HTTP/1.1", "Host: a\r\nUpgrade: h2c\r\n"),
        ("GET /livez HTTP/1.1", &many),
        ("GET /livez HTTP/1.1", &large),
        // Nobody waits for bodies that nobody reads.
        (
            "POST /livez HTTP/1.1",
            "Host: a\r\nContent-Length: 1000000000\r\n",
        ),
        (
            "POST /livez HTTP/1.1",
            "Host: a\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "POST /livez HTTP/1.1",
            "Host: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n",
        ),
    ] {
        let answer = ask(&site, HEALTH, &head(line, headers));
        assert!(status(&answer).ends_with(" 200 OK"), "{line}: {answer}");
    }
    let answer = ask(&site, HEALTH, &head("HEAD /livez HTTP/1.1", "Host: a\r\n"));
    assert!(answer.ends_with("\r\n\r\n"), "no body: {answer}");
    let chunks = b"POST /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(status(&ask(&site, HEALTH, chunks)), "HTTP/1.1 200 OK");
    // Of two lengths a smuggler makes use: one answer, and the rest is not looked at.
    let two = b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
                Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = ask(&site, HEALTH, two);
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[test]
fn detours_are_redirected_on_the_health_port() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    site.get(HEALTH, "/livez");
    let body = |to: &str| format!("<a href=\"{to}\">Temporary Redirect</a>.\n\n");
    for (method, path, to, body) in [
        ("GET", "//livez", "/livez", body("/livez")),
        (
            "GET",
            "/../../etc/passwd",
            "/etc/passwd",
            body("/etc/passwd"),
        ),
        (
            "GET",
            "/x/../livez?a=1&b=2",
            "/livez?a=1&b=2",
            body("/livez?a=1&amp;b=2"),
        ),
        ("POST", "//livez", "/livez", String::new()),
    ] {
        let request = head(&format!("{method} {path} HTTP/1.1"), "Host: a\r\n");
        let answer = ask(&site, HEALTH, &request);
        assert_eq!(status(&answer), "HTTP/1.1 307 Temporary Redirect", "{path}");
        assert!(answer.contains(&format!("Location: {to}\r\n")), "{answer}");
        assert_eq!(
            answer.split("\r\n\r\n").nth(1),
            Some(body.as_str()),
            "{path}"
        );
    }
    let not = head("GET /%2flivez HTTP/1.1", "Host: a\r\n");
    assert_eq!(status(&ask(&site, HEALTH, &not)), "HTTP/1.1 404 Not Found");
}
