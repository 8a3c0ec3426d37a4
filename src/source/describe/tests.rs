//! Errors as libraries make them, and the line that comes of each.

use super::*;
use kube::core::Status;
use kube::core::response::StatusDetails;
use serde_json::json;

fn status(code: u16, reason: &str, message: &str) -> Box<Status> {
    Box::new(Status::failure(message, reason).with_code(code))
}

#[test]
fn an_api_server_in_its_own_words() {
    let forbidden = "services is forbidden: User \"x\" cannot list resource \"services\" in \
                     API group \"\" at the cluster scope";
    let no_body = "Failed to parse error data";
    for (code, reason, message, says) in [
        (
            401,
            "Unauthorized",
            "Unauthorized",
            "401 Unauthorized (the API server does not accept the token or client certificate)",
        ),
        (
            403,
            "Forbidden",
            forbidden,
            &format!("403 Forbidden: {forbidden}"),
        ),
        (
            404,
            "NotFound",
            "the server could not find the requested resource",
            "404 Not Found: the server could not find the requested resource",
        ),
        (
            409,
            "AlreadyExists",
            "events \"a\" already exists",
            "409 Conflict: events \"a\" already exists",
        ),
        (
            410,
            "Expired",
            "too old resource version: 1 (9)",
            "410 Gone: too old resource version: 1 (9)",
        ),
        (429, "TooManyRequests", "", "429 Too Many Requests"),
        (
            500,
            "InternalError",
            "etcd\n  is\taway",
            "500 Internal Server Error: etcd is away",
        ),
        (503, no_body, "", "503 Service Unavailable"),
        (
            502,
            no_body,
            "<html><head><title>502 Bad Gateway</title></head>\n<body>nginx</body></html>",
            "502 Bad Gateway: \"502 Bad Gateway nginx\"",
        ),
        (
            400,
            no_body,
            "Client sent an HTTP request to an HTTPS server.",
            "400 Bad Request: \"Client sent an HTTP request to an HTTPS server.\" (the server's URL has to begin with https://)",
        ),
        (
            404,
            no_body,
            "404 page not found",
            "404 Not Found: \"404 page not found\" (is this an API server, and its URL's path right?)",
        ),
        (
            403,
            no_body,
            "",
            "403 Forbidden (not said by an API server: a proxy's or a gateway's answer?)",
        ),
        (0, "Expired", "gone", "Expired: gone"),
        (0, "", "", "an error"),
        (599, "", "odd", "599: odd"),
    ] {
        let errors: [Box<dyn Error>; 3] = [
            status(code, reason, message),
            Box::new(kube::Error::Api(status(code, reason, message))),
            Box::new(io::Error::other(kube::Error::Api(status(
                code, reason, message,
            )))),
        ];
        for error in errors {
            assert_eq!(describe(&*error), says);
        }
    }
}

fn details(json: serde_json::Value) -> StatusDetails {
    serde_json::from_value(json).expect("details")
}

#[test]
fn what_is_forbidden_and_when_to_come_again() {
    let mut own = status(403, "Forbidden", "");
    own.details = Some(details(
        json!({"kind": "endpointslices", "group": "discovery.k8s.io", "name": "a"}),
    ));
    assert_eq!(
        describe_status(&own),
        "403 Forbidden: endpointslices.discovery.k8s.io \"a\""
    );
    let mut own = status(429, "TooManyRequests", "too many requests");
    own.details = Some(details(json!({"retryAfterSeconds": 7})));
    assert_eq!(
        describe_status(&own),
        "429 Too Many Requests: too many requests; again in 7 s"
    );
}

#[test]
fn the_kernel_s_words_and_nobody_s_wrappers() {
    for (kind, says) in [
        (ErrorKind::ConnectionRefused, "Connection refused"),
        (ErrorKind::ConnectionReset, "connection reset by the peer"),
        (ErrorKind::TimedOut, "connection timed out"),
        (ErrorKind::HostUnreachable, "no route to the host"),
        (ErrorKind::UnexpectedEof, ENDED),
    ] {
        let error = kube::Error::Service(Box::new(io::Error::from(kind)));
        assert_eq!(describe(&error), says);
        let error = kube::Error::ReadEvents(io::Error::other(io::Error::from(kind)));
        assert_eq!(describe(&error), says);
    }
    let raw = kube::Error::ReadEvents(io::Error::from_raw_os_error(libc::EMFILE));
    assert_eq!(describe(&raw), "Too many open files (os error 24)");
}

#[test]
fn lines_are_bounded_and_have_no_control_characters() {
    let long = "ä\u{1b}[31m\r\n".repeat(1000);
    let line = describe(&kube::Error::Api(status(500, "InternalError", &long)));
    assert!(line.len() <= LIMIT + 3, "{}", line.len());
    assert!(!line.contains(char::is_control), "{line:?}");
    assert!(
        line.starts_with("500 Internal Server Error: ä [31m ä"),
        "{line}"
    );
    let error = serde_json::from_str::<u8>("\"x\"").expect_err("no number");
    let line = describe(&kube::Error::SerdeError(error));
    assert_eq!(
        line,
        "an answer that cannot be read: invalid type: string \"x\", expected u8 at line 1 column 3"
    );
}

/// A real exchange each, against servers that do not keep to HTTP.
#[tokio::test]
async fn answers_that_are_no_answers() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for (answer, says) in [
        (&b""[..], "the connection ended before the answer did"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            "the connection ended before the answer did",
        ),
        (
            b"SSH-2.0-OpenSSH_10.0\r\n",
            "an answer that is not HTTP: invalid HTTP version parsed",
        ),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("a request"));
            }
            stream.write_all(answer).await.expect("an open connection");
        });
        let metrics = crate::metrics::Metrics::new().expect("metrics");
        let options = crate::source::ClientOptions::new(None, Some(format!("http://{address}")));
        let client = crate::source::client(&options, metrics.rest())
            .await
            .expect("a client");
        let request = http::Request::get("/").body(Vec::new()).expect("a request");
        let error = client.request_text(request).await.expect_err(says);
        assert_eq!(describe(&error), says, "{error:?}");
    }
}
