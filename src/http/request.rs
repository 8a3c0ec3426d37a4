//! What Go's net/http answers before or instead of a handler (Go 1.26: `server.go`'s `readRequest`
//! and `ServeMux`), as upstream's servers are made of it.

use super::Answer;
use hyper::header::{EXPECT, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, Request, StatusCode, Version};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// How a server finds its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    /// By `http.ServeMux`, which sends clients to a path without detours.
    Mux,
    /// By the path as it is.
    Exact,
    /// Every path is the page.
    One,
}

/// What to answer to a request that is not to reach any page.
pub(super) fn refusal<B>(request: &Request<B>, pages: Pages) -> Option<Answer> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    // Before HTTP/1.1 there was no need for one.
    let host_is_due = request.version() >= Version::HTTP_11 && method != Method::CONNECT;
    if let Some(reason) = bad_host(headers, host_is_due) {
        return Some(Answer::bad_request(reason));
    }
    if request.version() >= Version::HTTP_11 && !knows_encoding(headers) {
        let text = "Unsupported transfer encoding";
        return Some(
            Answer::plain("text/plain; charset=utf-8", text)
                .with_status(StatusCode::NOT_IMPLEMENTED)
                .closing(),
        );
    }
    let asks_for_the_server = uri.path() == "*";
    let is_path = uri.path().starts_with('/') || method == Method::CONNECT;
    if !(is_path || asks_for_the_server) || decoded(uri.path()).is_none() {
        return Some(Answer::bad_request("400 Bad Request"));
    }
    if let Some(expected) = headers.get(EXPECT)
        && !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        return Some(Answer::empty(StatusCode::EXPECTATION_FAILED).closing());
    }
    match (asks_for_the_server, pages) {
        (true, _) if method == Method::OPTIONS => return Some(Answer::empty(StatusCode::OK)),
        (true, Pages::Mux) => return Some(Answer::empty(StatusCode::BAD_REQUEST).closing()),
        _ => {}
    }
    if pages != Pages::Mux || asks_for_the_server || method == Method::CONNECT {
        return None;
    }
    let clean = without_detours(uri.path());
    (clean != uri.path()).then(|| redirect(method, &clean, uri.query()))
}

/// The path that a page is found by.
pub(super) fn path<B>(request: &Request<B>) -> Cow<'_, str> {
    // One that cannot be decoded was refused.
    decoded(request.uri().path()).unwrap_or_default()
}

/// What is wrong with the Host header, in Go's words.
fn bad_host(headers: &HeaderMap, is_due: bool) -> Option<&'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => is_due.then_some("400 Bad Request: missing required Host header"),
        (Some(_), Some(_)) => Some("400 Bad Request"),
        (Some(host), None) => (!is_host(host)).then_some("400 Bad Request: malformed Host header"),
    }
}

/// Go's `httpguts.ValidHostHeader`: not what a host is, but of what characters.
fn is_host(host: &HeaderValue) -> bool {
    let others = b"!$%&'()*+,-.:;=[]_~";
    let mut bytes = host.as_bytes().iter();
    bytes.all(|byte| byte.is_ascii_alphanumeric() || others.contains(byte))
}

/// Whether a body, if there is one, comes in chunks and in nothing else.
fn knows_encoding(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => true,
        (Some(encoding), None) => encoding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    }
}

/// `%XX` decoded; `None` if there is a `%` that is not that, which the crate leaves as it is.
fn decoded(path: &str) -> Option<Cow<'_, str>> {
    let is_escape = |after: &str| {
        let digits = after.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let is_whole = path.split('%').skip(1).all(is_escape);
    is_whole.then(|| percent_decode_str(path).decode_utf8_lossy())
}

/// Go's `path.Clean` of an absolute path, and a slash at the end if there was one.
fn without_detours(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let end = if path.ends_with('/') && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{end}", parts.join("/"))
}

fn redirect(method: &Method, path: &str, query: Option<&str>) -> Answer {
    let to = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let status = StatusCode::TEMPORARY_REDIRECT;
    let answer = if matches!(*method, Method::GET | Method::HEAD) {
        let body = format!("<a href=\"{}\">Temporary Redirect</a>.\n\n", escaped(&to));
        Answer::plain("text/html; charset=utf-8", body).with_status(status)
    } else {
        Answer::empty(status)
    };
    answer.with_header("location", &to)
}

/// For HTML, with Go's numbers for quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, clean) in [
            ("/livez", "/livez"),
            ("/livez/", "/livez/"),
            ("//livez", "/livez"),
            ("/../../etc/passwd", "/etc/passwd"),
            ("/x/../livez", "/livez"),
            ("/./livez/.", "/livez"),
            ("/a//b/", "/a/b/"),
            ("/", "/"),
            ("//", "/"),
            ("/..", "/"),
            ("", "/"),
            ("/%2flivez", "/%2flivez"),
        ] {
            assert_eq!(without_detours(path), clean, "{path}");
        }
    }

    #[test]
    fn paths_are_decoded() {
        for (path, plain) in [
            ("/%6civez", Some("/livez")),
            ("/%2Flivez", Some("//livez")),
            ("/a+b", Some("/a+b")),
            ("/%", None),
            ("/%1", None),
            ("/%zz", None),
            ("/%+1", None),
        ] {
            assert_eq!(decoded(path).as_deref(), plain, "{path}");
        }
    }

    #[test]
    fn what_a_host_may_consist_of() {
        for (host, valid) in [
            ("", true),
            ("a.b:80", true),
            ("[fe80::1%25eth0]:80", true),
            ("a b", false),
            ("a/b", false),
            ("a@b", false),
            ("a\"", false),
        ] {
            let value = HeaderValue::from_str(host).expect("a value");
            assert_eq!(is_host(&value), valid, "{host}");
        }
        let latin = HeaderValue::from_bytes(b"a\xff").expect("a value");
        assert!(!is_host(&latin));
    }
}
