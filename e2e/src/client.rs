//! Connections to Services, and what became of them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{Namespace, exposition};

/// How long a connection may take before it counts as dropped.
///
/// Longer than it takes to repeat the SYN twice: on one machine a reject can arrive while
/// `connect` still holds the socket, and then TCP only heeds the next one.
pub const PATIENCE: Duration = Duration::from_millis(2500);
/// Where a proxy tells its metrics unless `--metrics-bind-address` says otherwise.
pub const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10249);

/// What became of one connection or datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A pod answered.
    Answered(Answer),
    /// Rejected: a TCP reset or an ICMP port unreachable.
    Refused,
    /// There was no answer in time.
    Dropped,
    /// Something else, in the system's words.
    Failed(String),
}

/// What a pod said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    /// The pod's name.
    pub pod: String,
    /// The client's address as the pod saw it.
    pub client: IpAddr,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answer) => write!(f, "{} answered, saw {}", answer.pod, answer.client),
            Self::Refused => f.write_str("refused"),
            Self::Dropped => f.write_str("no answer"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

/// Connects from the calling thread's namespace by TCP and reads the answer.
pub fn dial(target: SocketAddr, patience: Duration) -> Outcome {
    let attempt = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&target, patience)?;
        stream.set_read_timeout(Some(patience))?;
        let mut line = String::new();
        stream.read_to_string(&mut line)?;
        Ok(line)
    };
    outcome(attempt())
}

/// Sends one datagram from the calling thread's namespace and reads the answer.
pub fn dial_udp(target: SocketAddr, patience: Duration) -> Outcome {
    let attempt = || -> std::io::Result<String> {
        let socket = fresh_udp_socket(target)?;
        socket.set_read_timeout(Some(patience))?;
        // Connected, so that an ICMP error reaches us.
        socket.connect(target)?;
        match socket.send(b"who?\n") {
            // What the node's own output hook drops or rejects is refused at
            // once; only what follows tells one from the other.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            sent => drop(sent?),
        }
        let mut line = [0; 512];
        let length = socket.recv(&mut line)?;
        Ok(String::from_utf8_lossy(&line[..length]).into_owned())
    };
    outcome(attempt())
}

/// A socket at a source port that this process has not used for long: on an
/// earlier one's port, conntrack would take the datagram for more of the same
/// flow and send it the way that was right then.
pub(crate) fn fresh_udp_socket(target: SocketAddr) -> std::io::Result<UdpSocket> {
    // Below what the kernel hands out itself, and below the node ports.
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let any = match target {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    loop {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        match UdpSocket::bind((any, port)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
}

pub(crate) fn outcome(line: std::io::Result<String>) -> Outcome {
    match line {
        Ok(line) => parse(&line).map_or_else(
            || Outcome::Failed(format!("answer was {line:?}")),
            Outcome::Answered,
        ),
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused => Outcome::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Outcome::Dropped,
            _ => Outcome::Failed(error.to_string()),
        },
    }
}

pub(crate) fn parse(line: &str) -> Option<Answer> {
    let (pod, client) = line.trim_end().split_once(' ')?;
    Some(Answer {
        pod: pod.to_owned(),
        client: client.parse().ok()?,
    })
}

impl Namespace {
    /// One TCP connection from here.
    ///
    /// # Errors
    /// If the namespace can't be entered.
    pub fn dial(&self, target: SocketAddr) -> Result<Outcome> {
        self.run(|| dial(target, PATIENCE))
    }

    /// One UDP datagram from here.
    ///
    /// # Errors
    /// If the namespace can't be entered.
    pub fn dial_udp(&self, target: SocketAddr) -> Result<Outcome> {
        self.run(|| dial_udp(target, PATIENCE))
    }

    /// One HTTP GET from here.
    ///
    /// # Errors
    /// If the namespace can't be entered, or there is no answer in time.
    pub fn get(&self, server: SocketAddr, path: &str) -> Result<crate::http::Response> {
        self.run(|| crate::http::get(server, path, PATIENCE))?
    }

    /// What a proxy here tells at `/metrics` of its own address, [`METRICS`].
    ///
    /// # Errors
    /// If the namespace can't be entered, or there is no answer in time.
    pub fn metrics(&self) -> Result<String> {
        // A proxy that programs much on a busy machine is slow to answer.
        let patience = 8 * PATIENCE;
        let response = self.run(|| crate::http::get(METRICS, "/metrics", patience))??;
        ensure!(response.status == 200, "/metrics: {}", response.status);
        Ok(response.body)
    }

    /// One sample of [`Namespace::metrics`], as [`exposition::value`] finds it.
    ///
    /// # Errors
    /// As [`Namespace::metrics`].
    pub fn metric(&self, sample: &str) -> Result<Option<f64>> {
        Ok(exposition::value(&self.metrics()?, sample))
    }

    /// Makes `connections` TCP connections from here, by eight threads.
    ///
    /// # Errors
    /// If the namespace can't be entered.
    pub fn measure(&self, target: SocketAddr, connections: u32) -> Result<Tally> {
        let started = AtomicU32::new(0);
        self.run(|| -> Result<Tally> {
            std::thread::scope(|scope| {
                // A thread made inside the namespace stays in it.
                let workers: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            let mut tally = Tally::default();
                            while started.fetch_add(1, Ordering::Relaxed) < connections {
                                tally.add(dial(target, PATIENCE));
                            }
                            tally
                        })
                    })
                    .collect();
                let mut sum = Tally::default();
                for worker in workers {
                    sum.merge(worker.join().ok().context("a client thread panicked")?);
                }
                Ok(sum)
            })
        })?
    }
}

/// Many connections, counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answers by pod.
    pub pods: BTreeMap<String, u32>,
    /// Answers by pod and the client's address that it saw.
    pub clients: BTreeMap<(String, IpAddr), u32>,
    /// Connections without an answer, by what became of them.
    pub failures: BTreeMap<String, u32>,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Answered(answer) => {
                *self.pods.entry(answer.pod.clone()).or_default() += 1;
                *self.clients.entry((answer.pod, answer.client)).or_default() += 1;
            }
            other => self.fail(other.to_string()),
        }
    }

    /// Counts one more without an answer.
    pub(crate) fn fail(&mut self, reason: String) {
        *self.failures.entry(reason).or_default() += 1;
    }

    /// All answers.
    pub fn answered(&self) -> u32 {
        self.pods.values().sum()
    }

    /// `pod`'s part of all answers, 0 to 1.
    pub fn share(&self, pod: &str) -> f64 {
        let of_pod = self.pods.get(pod).copied().unwrap_or_default();
        f64::from(of_pod) / f64::from(self.answered().max(1))
    }

    /// Every client address that `pod` saw.
    pub fn seen_by(&self, pod: &str) -> Vec<IpAddr> {
        let of_pod = self.clients.keys().filter(|(name, _)| name == pod);
        of_pod.map(|(_, address)| *address).collect()
    }

    pub(crate) fn merge(&mut self, other: Self) {
        add_all(&mut self.pods, other.pods);
        add_all(&mut self.clients, other.clients);
        add_all(&mut self.failures, other.failures);
    }
}

fn add_all<K: Ord>(into: &mut BTreeMap<K, u32>, from: BTreeMap<K, u32>) {
    for (key, count) in from {
        *into.entry(key).or_default() += count;
    }
}
