//! What a kube-proxy that runs on this node counts, by its metrics.

use bytes::Buf;
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rules::check::Counted;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// It is on this node: what takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(2);
/// Of a cluster's largest kube-proxy some hundred kB.
const ANSWER_MAX: usize = 16 << 20;

/// Asks at the address that the configuration has for metrics; nothing if nobody answers there.
pub(super) async fn counted(address: SocketAddr) -> Counted {
    match tokio::time::timeout(PATIENCE, text(reachable(address))).await {
        Ok(Some(text)) => in_text(&text),
        _ => Counted::default(),
    }
}

/// Who listens everywhere listens on loopback addresses, too.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn text(address: SocketAddr) -> Option<String> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = http::Request::get("/metrics")
        .header(http::header::HOST, address.to_string())
        .body(String::new())
        .ok()?;
    let answer = async {
        let answer = sender.send_request(request).await.ok()?;
        let body = Limited::new(answer.into_body(), ANSWER_MAX);
        let mut body = body.collect().await.ok()?.aggregate();
        let bytes = body.copy_to_bytes(body.remaining());
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    }
}

/// kube-proxy's counters of mode iptables (its `pkg/proxy/metrics`).
fn in_text(text: &str) -> Counted {
    let value = |name: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        let value: f64 = value.split(' ').next()?.parse().ok()?;
        // Counters are whole numbers, and far from 2^53.
        #[expect(clippy::cast_possible_truncation, reason = "see above")]
        (value >= 0.0).then_some(value as u64)
    };
    Counted {
        localhost_node_ports: value(
            "kubeproxy_iptables_localhost_nodeports_accepted_packets_total",
        ),
        invalid: value("kubeproxy_iptables_ct_state_invalid_dropped_packets_total"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_in_an_exposition() {
        let text = "# HELP kubeproxy_iptables_localhost_nodeports_accepted_packets_total x\n\
                    # TYPE kubeproxy_iptables_localhost_nodeports_accepted_packets_total counter\n\
                    kubeproxy_iptables_localhost_nodeports_accepted_packets_total 118\n\
                    kubeproxy_iptables_ct_state_invalid_dropped_packets_total 9.204e+03\n";
        let found = in_text(text);
        assert_eq!(
            (found.localhost_node_ports, found.invalid),
            (Some(118), Some(9204))
        );
        assert_eq!(in_text("nothing").invalid, None);
    }

    #[test]
    fn a_wildcard_is_asked_on_loopback() {
        for (listens, asked) in [
            ("0.0.0.0:10249", "127.0.0.1:10249"),
            ("[::]:10249", "[::1]:10249"),
            ("10.0.0.1:1", "10.0.0.1:1"),
        ] {
            let listens = listens.parse().expect("an address");
            assert_eq!(reachable(listens).to_string(), asked);
        }
    }
}
