//! Peers that vanish without a word, in every phase of a connection: a namespace where packets
//! of some servers are dropped from one moment on, so that neither FIN nor RST comes.

mod servers;

use super::*;
use crate::source::client::access::{Authority, Pem, Tls};
use crate::source::client::tls;
use crate::source::describe;
use e2e::{Namespace, ip};
use futures::future::{BoxFuture, join_all};
use http_body_util::BodyExt;
use servers::{Middlebox, Servers, silent};
use std::time::Instant;

/// The promise, and room for a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(30 + 8);
/// Answers of peers that are there.
const SOON: Duration = Duration::from_secs(20);

/// What is said; nothing of it a library's.
const EXPECTED: [&str; 3] = [
    "no answer within 10 s",
    "connection timed out",
    "no answer to HTTP/2's PING",
];

fn target(url: &str, proxy: Option<&str>, authority: &str) -> Target {
    let server = Server::parse(url).expect("a URL");
    let options = Tls {
        authority: Authority::These(Pem::Inline(authority.as_bytes().to_vec())),
        ..Tls::default()
    };
    Target {
        tls: server
            .has_tls()
            .then(|| Arc::new(tls::config(&options).expect("a configuration"))),
        server: Arc::new(server),
        proxy: proxy.map(|url| Arc::new(Proxy::from_kubeconfig(url).expect("a proxy"))),
        server_name: None,
    }
}

async fn get(transport: &Transport, path: &str) -> Result<Response<Incoming>, BoxError> {
    let request = Request::get(path).body(Body::empty());
    transport.send(request.expect("a request")).await
}

/// A body that has begun.
async fn begun(transport: &Transport, path: &str, http2: bool) -> Incoming {
    let answer = tokio::time::timeout(SOON, get(transport, path)).await;
    let answer = answer.expect("in time").expect("an answer");
    let expected = match http2 {
        true => http::Version::HTTP_2,
        false => http::Version::HTTP_11,
    };
    assert_eq!(answer.version(), expected);
    let mut body = answer.into_body();
    let frame = tokio::time::timeout(SOON, body.frame()).await;
    assert!(frame.expect("in time").expect("a frame").is_ok());
    body
}

/// A phase, and what was heard of it how long after the moment.
type Phase = (&'static str, BoxFuture<'static, String>);

fn end_of(name: &'static str, mut body: Incoming) -> Phase {
    let wait = async move {
        match body.frame().await {
            Some(Err(error)) => describe(&error),
            other => format!("no error: {other:?}"),
        }
    };
    (name, Box::pin(wait))
}

fn request(name: &'static str, transport: Transport) -> Phase {
    let wait = async move {
        match get(&transport, "/version").await {
            Ok(answer) => format!("no error: {}", answer.status()),
            Err(error) => describe(&*error),
        }
    };
    (name, Box::pin(wait))
}

#[test]
fn a_peer_that_vanishes_is_noticed_in_every_phase() {
    let namespace = Namespace::create("vanish").expect("a namespace, which needs root");
    let addresses: Vec<String> = (1..10)
        .flat_map(|own| [1, 2].map(|net| format!("address add 10.9.{net}.{own}/32 dev lo")))
        .collect();
    ip(&namespace, &addresses.join("\n")).expect("addresses");
    let nft = |rules: &str| namespace.nft(rules).expect("nft");
    // Nothing is dropped yet.
    nft("table inet t {
        set gone { type ipv4_addr; flags interval; }
        chain i {
            type filter hook input priority 0; policy accept;
            ip saddr @gone drop
            ip daddr @gone drop
        }
    }");
    let vanish = || nft("add element inet t gone { 10.9.2.0/24 }");
    let come_back = || nft("flush set inet t gone");
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(phases(vanish, come_back));
    };
    namespace.run(run).expect("the namespace");
}

async fn phases(vanish: impl Fn(), come_back: impl Fn()) {
    let servers = Servers::new();
    let authority = servers.authority();
    for net in [1, 2] {
        servers.listen(&format!("10.9.{net}.1")).await;
    }
    silent("10.9.1.2:3128").await;
    silent("10.9.1.2:6443").await;
    let middlebox = Middlebox::start("10.9.1.3:6443", "10.9.1.1:6443").await;
    let to = |url: &str| Transport::new(target(url, None, &authority));
    let by = |proxy: &str| Transport::new(target("https://10.9.1.1:6443", Some(proxy), &authority));

    let pooled = to("http://10.9.2.1:8080");
    assert!(get(&pooled, "/version").await.is_ok());
    let pooled2 = to("https://10.9.2.1:6443");
    assert!(get(&pooled2, "/version").await.is_ok());
    let mut living = Vec::new();
    for (url, http2) in [
        ("http://10.9.1.1:8080", false),
        ("https://10.9.1.1:6443", true),
    ] {
        let transport = to(url);
        living.push(begun(&transport, "/watch", http2).await);
    }
    let mut all = vec![
        end_of(
            "idle watch, HTTP/1.1",
            begun(&to("http://10.9.2.1:8080"), "/watch", false).await,
        ),
        end_of(
            "idle watch, HTTP/2",
            begun(&to("https://10.9.2.1:6443"), "/watch", true).await,
        ),
        end_of(
            "idle watch behind a load balancer that lives",
            begun(&to("https://10.9.1.3:6443"), "/watch", true).await,
        ),
        end_of(
            "half a page, HTTP/1.1",
            begun(&to("http://10.9.2.1:8080"), "/half", false).await,
        ),
        end_of(
            "half a page, HTTP/2",
            begun(&to("https://10.9.2.1:6443"), "/half", true).await,
        ),
    ];
    let late = to("http://10.9.2.1:8080");
    let asked = tokio::spawn(async move {
        get(&late, "/never")
            .await
            .err()
            .map(|error| describe(&*error))
    });
    servers.wait_for("/never").await;

    vanish();
    middlebox.freeze();
    let moment = Instant::now();
    all.push((
        "request sent, no headers",
        Box::pin(async move {
            asked
                .await
                .expect("no panic")
                .unwrap_or_else(|| "no error".to_owned())
        }),
    ));
    all.push(request("pooled connection, HTTP/1.1", pooled.clone()));
    all.push(request("pooled connection, HTTP/2", pooled2));
    all.push(request("connect", to("https://10.9.2.1:6443")));
    all.push(request("connect to a proxy", by("http://10.9.2.1:3128")));
    all.push(request("TLS", to("https://10.9.1.2:6443")));
    all.push(request("CONNECT", by("http://10.9.1.2:3128")));
    all.push(request("TLS with a proxy", by("https://10.9.1.2:3128")));
    all.push(request("SOCKS", by("socks5://10.9.1.2:3128")));
    let heard = join_all(all.into_iter().map(|(name, wait)| async move {
        let text = tokio::time::timeout(2 * LIMIT, wait).await;
        let text = text.unwrap_or_else(|_| "no error: nothing was noticed".to_owned());
        (name, text, moment.elapsed())
    }))
    .await;
    for (name, text, after) in &heard {
        println!("{name}: after {:.1} s: {text}", after.as_secs_f64());
    }
    for (name, text, after) in heard {
        assert!(!text.contains("no error"), "{name}: {text}");
        assert!(after < LIMIT, "{name}: {after:?}");
        assert!(
            EXPECTED.iter().any(|own| text.contains(own)),
            "{name}: {text}"
        );
    }

    // Those whose servers are there were left alone.
    servers.event();
    for mut body in living {
        let frame = tokio::time::timeout(SOON, body.frame()).await;
        assert!(frame.expect("in time").expect("no end").is_ok());
    }
    // What comes next is not tried on what is dead.
    come_back();
    let again = tokio::time::timeout(SOON, get(&pooled.fresh(), "/version")).await;
    assert!(again.expect("in time").is_ok());
}
