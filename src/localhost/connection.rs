//! One connection: an endpoint is chosen, connected to, and bytes go both ways.

use super::port::Port;
use crate::clock;
use rules::model::EndpointAddr;
use socket2::{SockRef, TcpKeepalive};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::timeout;

/// How long one endpoint may take to accept, as upstream has it.
const CONNECT: Duration = Duration::from_secs(5);
/// So many endpoints are tried for one client.
const ATTEMPTS: usize = 4;
/// A peer that says nothing for so long is asked whether it is there, and again as often as this;
/// nine times without an answer, and the connection ends. Go's settings, which are upstream's.
const PROBE: Duration = Duration::from_secs(15);
const PROBES: u32 = 9;
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

thread_local! {
    /// Where bytes are between two sockets that take them at once, which is nearly always.
    static BYTES: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into());
}

/// Serves a client until both sides are done, or one is gone.
pub(super) async fn serve(mut client: TcpStream, port: &Port) {
    let connected = connect(port).await;
    port.limits
        .metrics
        .connection(port.family, connected.is_some());
    breaks_off(&client, true);
    let Some(mut endpoint) = connected else {
        return;
    };
    let _open = port.limits.metrics.open(port.family);
    breaks_off(&endpoint, true);
    prepare(&client);
    prepare(&endpoint);
    let copied = {
        let (from_client, to_client) = client.split();
        let (from_endpoint, to_endpoint) = endpoint.split();
        tokio::try_join!(
            copy(&from_client, to_endpoint),
            copy(&from_endpoint, to_client),
        )
    };
    match copied {
        Ok(_) => {
            breaks_off(&client, false);
            breaks_off(&endpoint, false);
        }
        Err(error) => tracing::debug!("{}: a connection broke off: {error}", port.address),
    }
}

/// Connects to an endpoint, and if that fails to another one.
async fn connect(port: &Port) -> Option<TcpStream> {
    let mut tried: Vec<EndpointAddr> = Vec::new();
    while tried.len() < ATTEMPTS {
        let pick = |choice: &mut rules::localhost::Choice| {
            choice.pick(clock::now(), &tried, |count| fastrand::usize(..count))
        };
        let endpoint = port.choice(pick)?;
        let address = SocketAddr::new(endpoint.address, endpoint.port);
        let answer = timeout(CONNECT, TcpStream::connect(address)).await;
        match answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                port.choice(|choice| choice.succeeded(endpoint));
                return Some(stream);
            }
            Err(error) => {
                tracing::debug!("{}: connecting to {address}: {error}", port.address);
                port.choice(|choice| choice.failed(endpoint, clock::now()));
                tried.push(endpoint);
            }
        }
    }
    None
}

/// Copies until the end, and passes that on: the other direction may go on.
async fn copy(from: &ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
    loop {
        // One that always has more leaves time for the others.
        tokio::task::consume_budget().await;
        from.readable().await?;
        let read = BYTES.with_borrow_mut(|bytes| -> io::Result<(usize, Vec<u8>)> {
            let count = from.try_read(bytes)?;
            let piece = bytes.get(..count).unwrap_or_default();
            let written = match to.try_write(piece) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                written => written?,
            };
            // Kept by those that wait alone: an idle connection has no buffer.
            let rest = piece.get(written..).unwrap_or_default().to_vec();
            Ok((count, rest))
        });
        match read {
            Ok((0, _)) => return to.shutdown().await,
            Ok((_, rest)) if rest.is_empty() => {}
            Ok((_, rest)) => to.write_all(&rest).await?,
            Err(error) if would_block(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Sends small pieces at once, and notices a peer that is gone.
fn prepare(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(PROBE)
        .with_interval(PROBE)
        .with_retries(PROBES);
    let set = stream
        .set_nodelay(true)
        .and_then(|()| SockRef::from(stream).set_tcp_keepalive(&keepalive));
    // It works without.
    if let Err(error) = set {
        tracing::debug!("setting options of a connection: {error}");
    }
}

/// Whether the peer sees a broken connection when the stream goes, also with this process, rather
/// than an orderly end: what is cut short must not look complete.
fn breaks_off(stream: &TcpStream, yes: bool) {
    let linger = SockRef::from(stream).set_linger(yes.then_some(Duration::ZERO));
    if let Err(error) = linger {
        tracing::debug!("setting options of a connection: {error}");
    }
}
