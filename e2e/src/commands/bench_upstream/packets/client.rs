//! The clients of a round.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::client::Outcome;
use e2e::{Conversation, Namespace};
use nix::sys::socket::{setsockopt, sockopt};

use crate::bench_upstream::measure::percentile;

const ROUND: Duration = Duration::from_millis(300);
const CLIENTS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(2);

/// What a client does again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Connects, reads the answer and resets.
    Connect,
    /// Asks and is answered, on one connection.
    Ask,
}

impl Work {
    /// Does it once; returns how long it took.
    pub(super) fn once(self, target: SocketAddr) -> Result<Duration> {
        match self {
            Self::Connect => connect(target),
            Self::Ask => ask(&mut None, target),
        }
    }
}

/// A part of a second through one proxy's rules.
pub(super) struct Round {
    pub(super) per_second: f64,
    pub(super) handshake_us: f64,
    pub(super) failed: usize,
}

/// Clients that do one of these things after the other, for one round.
pub(super) fn rate(from: &Namespace, target: SocketAddr, work: Work) -> Result<Round> {
    let start = Instant::now();
    let clients: Result<Vec<Client>> = from.run(|| {
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| scope.spawn(move || Client::run(start, target, work)))
                .collect();
            let join = |client: std::thread::ScopedJoinHandle<'_, Client>| {
                client.join().ok().context("a client panicked")
            };
            clients.into_iter().map(join).collect()
        })
    })?;
    let took = start.elapsed().as_secs_f64();
    let clients = clients?;
    let mut times: Vec<f64> = clients
        .iter()
        .flat_map(|client| client.times.clone())
        .collect();
    let failed: usize = clients.iter().map(|client| client.failed).sum();
    let error = clients.into_iter().find_map(|client| client.error);
    match error {
        Some(error) if times.is_empty() => return Err(error.context("no connection")),
        Some(error) => eprintln!("{target}: {failed} connections failed, one by: {error:#}"),
        None => {}
    }
    Ok(Round {
        per_second: times.len() as f64 / took,
        handshake_us: percentile(&mut times, 50),
        failed,
    })
}

/// What one client saw in a round.
#[derive(Default)]
struct Client {
    /// Of each handshake or answer, in µs.
    times: Vec<f64>,
    failed: usize,
    error: Option<anyhow::Error>,
}

impl Client {
    fn run(start: Instant, target: SocketAddr, work: Work) -> Self {
        let mut client = Self::default();
        let mut talk = None;
        while start.elapsed() < ROUND {
            let took = match work {
                Work::Connect => connect(target),
                Work::Ask => ask(&mut talk, target),
            };
            match took {
                Ok(took) => client.times.push(took.as_secs_f64() * 1e6),
                Err(error) => {
                    client.failed += 1;
                    client.error = Some(error);
                }
            }
        }
        client
    }
}

/// Asks on the connection, which is opened if there is none; returns how long the answer took.
fn ask(talk: &mut Option<Conversation>, target: SocketAddr) -> Result<Duration> {
    let talk = match talk {
        Some(talk) => talk,
        None => talk.insert(Conversation::open(target, PATIENCE)?),
    };
    let start = Instant::now();
    match talk.ask(PATIENCE) {
        Outcome::Answered(_) => Ok(start.elapsed()),
        other => bail!("{target}: {other}"),
    }
}

/// Connects, reads the answer and resets; returns how long the handshake took.
fn connect(target: SocketAddr) -> Result<Duration> {
    let IpAddr::V4(_) = target.ip() else {
        anyhow::bail!("{target}: IPv4 only");
    };
    let start = Instant::now();
    let mut stream = std::net::TcpStream::connect_timeout(&target, PATIENCE)?;
    let took = start.elapsed();
    // The port is free at once.
    let linger = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, sockopt::Linger, &linger)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = [0; 64];
    let read = stream.read(&mut line)?;
    ensure!(read > 0, "{target} says nothing");
    Ok(took)
}
