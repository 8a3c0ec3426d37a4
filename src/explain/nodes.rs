//! Asks nodes' health check ports, as balancers do.

use bytes::Bytes;
use futures::StreamExt;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rules::explain::{Explanation, NodeHealth};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// So many nodes are asked at the most; those that should answer 200 first.
const NODES: usize = 200;
/// So many at a time.
const AT_ONCE: usize = 32;
/// How long an answer may take; balancers wait for about as long.
const PATIENCE: Duration = Duration::from_secs(3);

/// Fills in what nodes answer.
pub(super) async fn ask(told: &mut Explanation) {
    let Some(health) = &mut told.health else {
        return;
    };
    let port = health.port;
    let mut order: Vec<usize> = (0..health.nodes.len()).collect();
    order.sort_by_key(|at| (health.nodes[*at].expected != 200, *at));
    let beyond = order.split_off(order.len().min(NODES));
    for at in beyond {
        // Not asked is no error of the node.
        health.nodes[at].answered = None;
    }
    let questions = order.into_iter().map(|at| {
        let addresses = health.nodes[at].addresses.clone();
        async move { (at, one(&addresses, port).await) }
    });
    let answers: Vec<(usize, Result<u16, String>)> = futures::stream::iter(questions)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    for (at, answer) in answers {
        let node: &mut NodeHealth = &mut health.nodes[at];
        match answer {
            Ok(status) => node.answered = Some(status),
            Err(error) => node.error = Some(error),
        }
    }
}

/// The status of a node's port, at the first of its addresses.
async fn one(addresses: &[IpAddr], port: u16) -> Result<u16, String> {
    let Some(address) = addresses.first() else {
        return Err("the Node has no address".to_owned());
    };
    let place = SocketAddr::new(*address, port);
    match tokio::time::timeout(PATIENCE, get(place)).await {
        Ok(answer) => answer.map_err(|error| format!("{place}: {error:#}")),
        Err(_) => Err(format!("{place}: no answer within {PATIENCE:?}")),
    }
}

async fn get(place: SocketAddr) -> anyhow::Result<u16> {
    let stream = TcpStream::connect(place).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/healthz")
        .header("host", place.to_string())
        .header("connection", "close")
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request);
    tokio::pin!(answer);
    let response = tokio::select! {
        biased;
        response = &mut answer => response,
        // It ends with its only answer, which is there by then; an error is the answer's as well.
        _ = connection => answer.await,
    };
    Ok(response?.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    /// What becomes of a question to a server that answers this, and closes.
    fn asked(answer: &'static str) -> Result<u16, String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let place = listener.local_addr().expect("its address");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = [0; 1024];
            let length = stream.read(&mut request).expect("a request");
            stream.write_all(answer.as_bytes()).expect("sent");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().expect("a runtime");
        let status = runtime.block_on(one(&[place.ip()], place.port()));
        let request = server.join().expect("the server");
        assert!(
            request.starts_with("GET /healthz HTTP/1.1\r\n"),
            "{request}"
        );
        status
    }

    #[test]
    fn an_answer_counts_though_the_connection_ends_with_it() {
        let unavailable = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(asked(unavailable), Ok(503));
        let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(asked(closing), Ok(200));
    }

    #[test]
    fn no_answer_is_told_as_one() {
        for nothing in ["", "HTTP/1.1 2"] {
            let error = asked(nothing).expect_err("no status");
            assert!(error.starts_with("127.0.0.1:"), "{error}");
        }
    }
}
