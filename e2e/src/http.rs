//! One HTTP GET, for health checks from inside a namespace.

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

/// Gets `path` from the calling thread's namespace.
///
/// # Errors
/// If there is no connection or no answer within `timeout` each.
pub fn get(server: SocketAddr, path: &str, timeout: Duration) -> Result<Response> {
    let mut stream = TcpStream::connect_timeout(&server, timeout)
        .with_context(|| format!("connect to {server}"))?;
    stream.set_read_timeout(Some(timeout))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .with_context(|| format!("read the answer of {server}{path}"))?;
    parse(&answer).with_context(|| format!("no HTTP answer from {server}{path}: {answer:?}"))
}

fn parse(answer: &str) -> Option<Response> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Response {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn splits_status_headers_and_body() {
        let response = parse("HTTP/1.1 503 Service Unavailable\r\nX-Weight: 0\r\n\r\n{}")
            .expect("a well-formed answer");
        assert_eq!(response.status, 503);
        assert_eq!(response.header("x-weight"), Some("0"));
        assert_eq!(response.body, "{}");
    }
}
