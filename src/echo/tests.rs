use super::answer::Claims;
use super::answer::End;
use super::proxy_protocol::{Mode, read};
use super::{Echo, EchoOptions, Identity, Server};
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// Version 2, TCP over IPv4: 203.0.113.9:40000 to 198.51.100.7:80, and a field of three bytes.
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x12\xcb\0\x71\x09\xc6\x33\x64\x07\x9c\x40\0\x50\x04\0\x03abc";

fn source(claims: &Claims) -> Option<String> {
    let source = claims.proxy_protocol?.source?;
    Some(format!("{} {}", source.address, source.port))
}

/// What is read of a header that comes a byte at a time.
async fn trickled(
    bytes: &[u8],
    mode: Mode,
) -> Result<(Option<u8>, Option<String>, Vec<u8>), ErrorKind> {
    let mut reader = tokio_test_reader(bytes);
    let (proxy_protocol, mut rest) = read(&mut reader, mode)
        .await
        .map_err(|error| error.kind())?;
    reader.read_to_end(&mut rest).await.expect("the rest");
    let version = proxy_protocol.map(|claim| claim.version);
    let claims = Claims {
        proxy_protocol,
        ..Claims::default()
    };
    Ok((version, source(&claims), rest))
}

/// A reader that has one byte at a time.
fn tokio_test_reader(bytes: &[u8]) -> tokio::io::DuplexStream {
    let (own, mut peer) = tokio::io::duplex(1);
    let bytes = bytes.to_vec();
    tokio::spawn(async move {
        let _ = peer.write_all(&bytes).await;
    });
    own
}

#[tokio::test]
async fn headers_of_both_versions() {
    let client = Some("203.0.113.9 40000".to_owned());
    let v2 = [V2, b"GET"].concat();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0GET";
    let rows: [(&[u8], Mode, _); 8] = [
        (
            b"PROXY TCP4 203.0.113.9 198.51.100.7 40000 80\r\nGET",
            Mode::Accept,
            (Some(1), client.clone()),
        ),
        (
            b"PROXY TCP6 2001:db8::9 2001:db8::7 40000 80\r\nGET",
            Mode::Require,
            (Some(1), Some("2001:db8::9 40000".to_owned())),
        ),
        (
            b"PROXY UNKNOWN what else there is\r\nGET",
            Mode::Accept,
            (Some(1), None),
        ),
        (&v2, Mode::Accept, (Some(2), client.clone())),
        (&v2, Mode::Require, (Some(2), client)),
        (local, Mode::Require, (Some(2), None)),
        (b"GET", Mode::Accept, (None, None)),
        (b"GET", Mode::Off, (None, None)),
    ];
    for (bytes, mode, (version, source)) in rows {
        let read = trickled(bytes, mode).await;
        assert_eq!(
            read,
            Ok((version, source, b"GET".to_vec())),
            "{bytes:?} {mode:?}"
        );
    }
    let post = trickled(b"PROPFIND / HTTP/1.1", Mode::Accept).await;
    assert_eq!(post, Ok((None, None, b"PROPFIND / HTTP/1.1".to_vec())));
}

#[tokio::test]
async fn headers_that_are_none() {
    let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
    let large = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".as_slice(),
        &[0; 5000],
    ]
    .concat();
    for (bytes, mode, kind) in [
        (
            &b"GET / HTTP/1.1\r\n"[..],
            Mode::Require,
            ErrorKind::InvalidData,
        ),
        (
            b"PROXY TCP4 203.0.113.9",
            Mode::Accept,
            ErrorKind::UnexpectedEof,
        ),
        (
            b"PROXY TCP4 nobody 198.51.100.7 40000 80\r\n",
            Mode::Accept,
            ErrorKind::InvalidData,
        ),
        (
            b"PROXY TCP4 203.0.113.9 198.51.100.7 40000 80000\r\n",
            Mode::Accept,
            ErrorKind::InvalidData,
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
            Mode::Accept,
            ErrorKind::InvalidData,
        ),
        (&endless, Mode::Accept, ErrorKind::InvalidData),
        (&large, Mode::Accept, ErrorKind::InvalidData),
        (b"", Mode::Accept, ErrorKind::UnexpectedEof),
    ] {
        assert_eq!(trickled(bytes, mode).await, Err(kind), "{bytes:?}");
    }
}

/// A server on a port of its own, and how to stop it.
async fn server(mode: Mode) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let options = EchoOptions {
        address: SocketAddr::from(([0, 0, 0, 0], 0)),
        proxy_protocol: mode,
    };
    let server = Server::bind(options).expect("a port");
    let port = server.address().expect("an address").port();
    let identity = Identity {
        pod: Some("web-1".to_owned()),
        namespace: Some("shop".to_owned()),
        node: None,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let stop = async { drop(stopped.await) };
        server.answer(identity, stop).await;
    });
    (([127, 0, 0, 1], port).into(), stop, task)
}

async fn connected(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

async fn asked(address: SocketAddr, request: &[u8]) -> (SocketAddr, String) {
    let mut stream = connected(address).await;
    let own = stream.local_addr().expect("an address");
    stream.write_all(request).await.expect("room");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    (own, answer)
}

fn parsed(answer: &str) -> Echo {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    serde_json::from_str(body).expect("an echo")
}

#[tokio::test]
async fn the_peer_is_shown_and_claims_beside_it() {
    let (address, stop, task) = server(Mode::Accept).await;
    let request = b"PROXY TCP4 203.0.113.9 198.51.100.7 40000 80\r\nPOST /a?b=c HTTP/1.1\r\nHost: x\r\n\
        X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\nX-Forwarded-For: \"\x1b\r\nX-Real-IP: 192.0.2.3\r\n\
        Forwarded: for=192.0.2.4\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
    let (own, answer) = asked(address, request).await;
    // A control character is no header.
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let request = String::from_utf8_lossy(request).replace('\u{1b}', "\u{e9}");
    let (_, answer) = asked(address, request.as_bytes()).await;
    let echo = parsed(&answer);
    assert_eq!(
        (echo.remote.address, echo.local),
        (own.ip(), address.into())
    );
    assert_eq!(source(&echo.claims).as_deref(), Some("203.0.113.9 40000"));
    assert_eq!(
        echo.claims.x_forwarded_for,
        ["192.0.2.1, 192.0.2.2", "\"\u{e9}"]
    );
    assert_eq!(echo.claims.x_real_ip, ["192.0.2.3"]);
    assert_eq!(echo.claims.forwarded, ["for=192.0.2.4"]);
    assert_eq!(
        (echo.method.as_str(), echo.path.as_str()),
        ("POST", "/a?b=c")
    );
    assert_eq!(echo.identity.pod.as_deref(), Some("web-1"));
    // But for the ports, which the kernel chose.
    let golden = Echo {
        remote: End {
            port: 40001,
            ..echo.remote
        },
        local: End {
            port: 8080,
            ..echo.local
        },
        ..echo
    };
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&golden).expect("JSON"));
    drop(stop);
    task.await.expect("an end");
}

#[tokio::test]
async fn both_families_and_no_claim_without_the_protocol() {
    let (address, stop, task) = server(Mode::Off).await;
    let loopback = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port()));
    let get = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for address in [address, loopback] {
        let (own, answer) = asked(address, get).await;
        let echo = parsed(&answer);
        assert_eq!(echo.remote, own.into());
        assert_eq!(echo.claims, Claims::default());
    }
    let (_, answer) = asked(
        address,
        b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    drop(stop);
    task.await.expect("an end");
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way_and_takes_nothing_new() {
    let (address, stop, task) = server(Mode::Off).await;
    let mut stream = connected(address).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n")
        .await
        .expect("room");
    // Accepted, since a later one is answered.
    let get = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    asked(address, get).await;
    drop(stop);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!task.is_finished());
    stream.write_all(b"\r\n").await.expect("room");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    parsed(&answer);
    task.await.expect("an end");
}
