//! One HTTP request, from inside a namespace.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Everything before the body.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Response {
    /// The value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    path: String,
    version: &'static str,
    /// The server's address is its own Host.
    has_host: bool,
    headers: String,
    body: String,
}

impl Request {
    /// GET, without headers of its own.
    pub fn new(path: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            path: path.to_owned(),
            version: "HTTP/1.1",
            has_host: true,
            headers: String::new(),
            body: String::new(),
        }
    }

    /// HTTP/1.0.
    #[must_use]
    pub fn old(self) -> Self {
        Self {
            version: "HTTP/1.0",
            ..self
        }
    }

    /// Without a Host header, unless one is added.
    #[must_use]
    pub fn without_host(self) -> Self {
        Self {
            has_host: false,
            ..self
        }
    }

    /// Another method.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        Self {
            method: method.to_owned(),
            ..self
        }
    }

    /// One more header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self {
            headers: format!("{}{name}: {value}\r\n", self.headers),
            ..self
        }
    }

    /// A body, with its length.
    #[must_use]
    pub fn body(self, body: &str) -> Self {
        Self {
            body: body.to_owned(),
            ..self.header("Content-Length", &body.len().to_string())
        }
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers = self.headers.trim_end().replace("\r\n", ", ");
        write!(f, "{} {}", self.method, self.path)?;
        if self.version != "HTTP/1.1" {
            write!(f, " {}", self.version)?;
        }
        if !self.has_host {
            write!(f, " without Host")?;
        }
        for part in [headers.as_str(), &self.body] {
            if !part.is_empty() {
                write!(f, " [{part}]")?;
            }
        }
        Ok(())
    }
}

/// Gets `path` from the calling thread's namespace.
///
/// # Errors
/// If there is no connection or no answer within `timeout` each.
pub fn get(server: SocketAddr, path: &str, timeout: Duration) -> Result<Response> {
    send(server, &Request::new(path), timeout)
}

/// Sends a request from the calling thread's namespace. What is not UTF-8 in the
/// answer is replaced; chunks are put together.
///
/// # Errors
/// If there is no connection or no answer within `timeout` each.
pub fn send(server: SocketAddr, request: &Request, timeout: Duration) -> Result<Response> {
    let mut stream = TcpStream::connect_timeout(&server, timeout)
        .with_context(|| format!("connect to {server}"))?;
    stream.set_read_timeout(Some(timeout))?;
    let Request {
        method,
        path,
        version,
        has_host,
        headers,
        body,
    } = request;
    let host = if *has_host {
        format!("Host: {server}\r\n")
    } else {
        String::new()
    };
    let text =
        format!("{method} {path} {version}\r\n{host}Connection: close\r\n{headers}\r\n{body}");
    stream.write_all(text.as_bytes())?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .with_context(|| format!("read the answer of {server}{path}"))?;
    parse(&answer, method == "HEAD").with_context(|| {
        let answer = String::from_utf8_lossy(&answer);
        format!("no HTTP answer from {server}{path}: {answer:?}")
    })
}

fn parse(answer: &[u8], is_head: bool) -> Option<Response> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(end) = parsed.parse(answer).ok()? else {
        return None;
    };
    let (head, body) = answer.split_at(end);
    let mut response = Response {
        status: parsed.code?,
        head: String::from_utf8_lossy(head).trim_end().to_owned(),
        body: String::new(),
    };
    let is_chunked = response.header("transfer-encoding") == Some("chunked") && !is_head;
    let body = if is_chunked {
        Cow::Owned(unchunk(body)?)
    } else {
        Cow::Borrowed(body)
    };
    response.body = String::from_utf8_lossy(&body).into_owned();
    Some(response)
}

fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let httparse::Status::Complete((start, length)) = httparse::parse_chunk_size(body).ok()?
        else {
            return None;
        };
        if length == 0 {
            return Some(whole);
        }
        let (chunk, rest) = body[start..].split_at_checked(usize::try_from(length).ok()?)?;
        whole.extend_from_slice(chunk);
        body = rest.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn splits_status_headers_and_body() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nX-Weight: 0\r\n\r\n{}";
        let response = parse(answer, false).expect("a well-formed answer");
        assert_eq!(response.status, 503);
        assert_eq!(response.header("x-weight"), Some("0"));
        assert_eq!(response.body, "{}");
    }

    #[test]
    fn chunks_are_put_together() {
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        let response = parse(answer, false).expect("a well-formed answer");
        assert_eq!(response.body, "abc");
    }
}
