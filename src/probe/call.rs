//! One call: a connection, a request, an answer of echo's.

use super::tally::{Answered, Failure};
use super::target::Target;
use crate::echo::Echo;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// The largest answer that is read: echo's are some kilobytes, with headers of 16 KiB at most.
const ANSWER_LIMIT: usize = 256 << 10;

/// A connection that may be used again.
pub(super) struct Open {
    requests: SendRequest<Empty<Bytes>>,
    own: SocketAddr,
}

/// Calls once, on the connection that is given or else on one of its own, which is given back if
/// it can be `kept`.
pub(super) async fn call(
    target: &Target,
    address: SocketAddr,
    limit: Duration,
    open: &mut Option<Open>,
    kept: bool,
) -> Result<Answered, Failure> {
    let called = async {
        let mut connection = match open.take() {
            Some(open) if !open.requests.is_closed() => open,
            _ => connect(address).await?,
        };
        let answered = ask(target, &mut connection).await?;
        if kept && connection.requests.ready().await.is_ok() {
            *open = Some(connection);
        }
        Ok(answered)
    };
    let in_time = tokio::time::timeout(limit, called).await;
    in_time.unwrap_or_else(|_| Err(Failure::new("timed out", format!("no answer in {limit:?}"))))
}

async fn connect(address: SocketAddr) -> Result<Open, Failure> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| of_io(&error))?;
    let own = stream.local_addr().map_err(|error| of_io(&error))?;
    // The end is ours and a reset, so that on neither side a port waits in TIME_WAIT, and thousands
    // of calls take as many ports as are open at once. What was asked for has been read by then.
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    let (requests, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| of_http(&error))?;
    // It ends with the sender, and how is told to whoever waits for an answer.
    tokio::spawn(connection);
    Ok(Open { requests, own })
}

async fn ask(target: &Target, open: &mut Open) -> Result<Answered, Failure> {
    let request = Request::get(target.path())
        .header(HOST, target.authority())
        .header(
            USER_AGENT,
            concat!("kube-proxy-rs/", env!("CARGO_PKG_VERSION")),
        )
        .body(Empty::new())
        .map_err(|error| Failure::new("no request", error.to_string()))?;
    let answer = open.requests.send_request(request).await;
    let answer = answer.map_err(|error| of_http(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_LIMIT)
        .collect()
        .await;
    if status != StatusCode::OK {
        let kind = format!("status {}", status.as_u16());
        return Err(Failure::new(kind, "the answer is not echo's"));
    }
    let body = body.map_err(|error| Failure::new("no whole answer", error.to_string()))?;
    let echo: Echo = serde_json::from_slice(&body.to_bytes())
        .map_err(|error| Failure::new("no answer of echo", error.to_string()))?;
    if echo.kind != Echo::KIND {
        return Err(Failure::new("no answer of echo", "its kind is another one"));
    }
    Ok(Answered {
        echo,
        own: open.own.into(),
    })
}

fn of_http(error: &hyper::Error) -> Failure {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    match cause {
        Some(cause) => of_io(cause),
        None if error.is_incomplete_message() => {
            Failure::new("closed", "the connection ended before an answer")
        }
        None => Failure::new("no HTTP", error.to_string()),
    }
}

fn of_io(error: &io::Error) -> Failure {
    let kind = match error.kind() {
        ErrorKind::ConnectionRefused => "refused",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            "reset"
        }
        ErrorKind::TimedOut => "timed out",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "unreachable",
        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => "no free port here",
        _ => "other",
    };
    Failure::new(kind, error.to_string())
}
