//! Clients that take what they can: connections, time, memory.

use super::Site;
use crate::descriptors::Shares;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const SERVER: &str = "127.0.0.1:10256";
/// What a peer may take, 10 s at a time, and much room for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

fn connect(site: &Site) -> TcpStream {
    let server: SocketAddr = SERVER.parse().expect("an address");
    let stream = site.namespace.run(|| TcpStream::connect(server));
    stream.expect("the namespace").expect("a connection")
}

/// Whether the server has closed the connection.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// Waits for the server to close it.
fn closed(stream: &mut TcpStream) -> Duration {
    let result = e2e::wait::until("the connection's end", PATIENCE, || {
        anyhow::ensure!(is_closed(stream), "it is open");
        Ok(())
    });
    result.expect("cut")
}

#[test]
fn a_flood_is_at_its_own_expense() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    site.get(SERVER, "/livez");
    let most = Shares::current().health;
    let mut flood: Vec<TcpStream> = Vec::new();
    for _ in 0..3 * most {
        flood.push(connect(&site));
    }
    let start = Instant::now();
    assert_eq!(site.get(SERVER, "/livez").status, 200);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    let open = || {
        flood
            .iter()
            .map(|stream| stream.try_clone().expect("a socket"))
    };
    e2e::wait::until("the oldest to be closed", PATIENCE, || {
        let open = open().filter_map(|mut stream| (!is_closed(&mut stream)).then_some(()));
        let open = open.count();
        anyhow::ensure!(open <= most, "{open} are open, {most} may be");
        Ok(())
    })
    .expect("bounded");
    assert!(is_closed(&mut flood[0]), "the oldest");
}

#[test]
fn who_is_slow_is_cut() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    site.get(SERVER, "/livez");
    let mut silent = connect(&site);
    let mut half = connect(&site);
    half.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n")
        .expect("room");
    let mut kept = connect(&site);
    kept.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect("room");
    // It asks again and again and reads nothing.
    let mut deaf = connect(&site);
    deaf.set_nonblocking(true).expect("a socket");
    let questions = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    e2e::wait::until(
        "the one who does not read to be cut",
        PATIENCE,
        || match deaf.write(&questions) {
            Ok(_) => anyhow::bail!("it takes more"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => anyhow::bail!("it is open"),
            Err(_) => Ok(()),
        },
    )
    .expect("cut");
    for stream in [&mut silent, &mut half, &mut kept] {
        closed(stream);
    }
    assert_eq!(site.get(SERVER, "/livez").status, 200);
}

#[test]
fn a_head_of_more_than_16_kib_is_refused() {
    let site = Site::new();
    let _servers = site.serve(&[]);
    site.get(SERVER, "/livez");
    for start in ["GET /livez HTTP/1.1\r\nHost: a\r\nX: ", "GET /"] {
        let mut stream = connect(&site);
        stream.write_all(start.as_bytes()).expect("room");
        // As much as fits: it is refused long before this is all sent.
        let _ = stream.write_all(&b"a".repeat(400_000));
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 431");
        closed(&mut stream);
    }
}
