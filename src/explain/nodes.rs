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
    tokio::select! {
        response = sender.send_request(request) => Ok(response?.status().as_u16()),
        ended = connection => {
            ended?;
            anyhow::bail!("the connection ended without an answer")
        }
    }
}
