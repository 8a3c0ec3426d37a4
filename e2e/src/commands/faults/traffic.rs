//! Clients that go on while a fault is there: each new connection has a verdict, and each
//! connection that stays is asked for numbered answers.

mod held;
mod newcomers;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use e2e::Namespace;

use crate::faults::objects::{HELD, NEW, Service};

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

/// Where a client is, and by which address it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A pod of the node, by the cluster IP.
    Pod,
    /// Outside the cluster, by the node port.
    Outside,
}

/// What one client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) service: Service,
    pub(crate) is_ipv6: bool,
    pub(crate) protocol: Protocol,
    pub(crate) source: Source,
}

impl Target {
    /// All combinations.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for service in Service::ALL {
            for is_ipv6 in [false, true] {
                for protocol in [Protocol::Tcp, Protocol::Udp] {
                    for source in [Source::Pod, Source::Outside] {
                        all.push(Self {
                            service,
                            is_ipv6,
                            protocol,
                            source,
                        });
                    }
                }
            }
        }
        all
    }

    fn address(&self, node: e2e::address::Pair, port: u16) -> SocketAddr {
        let (pair, port) = match self.source {
            Source::Pod => (self.service.cluster_ips(), port),
            Source::Outside => (node, self.service.node_port(port)),
        };
        SocketAddr::new(pair.both()[usize::from(self.is_ipv6)], port)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.is_ipv6 { "ip6" } else { "ip" };
        let (service, protocol, source) = (self.service.name(), self.protocol, self.source);
        write!(f, "{service}/{family}/{protocol:?}/{source:?}")
    }
}

/// What one client saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// New connections, or messages of one that stays.
    pub(crate) asked: u64,
    /// Those without their answer: seconds since the start, and what happened instead.
    pub(crate) failed: Vec<(f64, String)>,
    /// Datagrams of a conversation that had to be sent again.
    pub(crate) repeated: u64,
}

/// Shared with each client's thread.
#[derive(Clone)]
struct Run {
    start: Instant,
    stop: Arc<AtomicBool>,
    /// It has had its first answer.
    ready: Arc<AtomicBool>,
}

impl Run {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn is_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Sleeps, but not beyond the end.
    fn pause(&self, pause: Duration) {
        let end = Instant::now() + pause;
        while self.goes_on() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20).min(pause));
        }
    }

    fn now(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

struct Client {
    target: Target,
    is_held: bool,
    run: Run,
    thread: JoinHandle<Result<Seen>>,
}

/// All clients; stopped with the value.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<Client>,
}

/// What became of all of them.
pub(crate) struct Report {
    pub(crate) fresh: Vec<(Target, Seen)>,
    pub(crate) held: Vec<(Target, Seen)>,
}

impl Traffic {
    /// Starts clients in `pod` and `outside` and waits until each was answered.
    ///
    /// # Errors
    /// If one is not within ten seconds.
    pub(crate) fn start(
        pod: &Namespace,
        outside: &Namespace,
        node: e2e::address::Pair,
    ) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let start = Instant::now();
        let mut clients = Vec::new();
        for target in Target::all() {
            let namespace = match target.source {
                Source::Pod => pod,
                Source::Outside => outside,
            };
            for is_held in [false, true] {
                let run = Run {
                    start,
                    stop: Arc::clone(&stop),
                    ready: Arc::default(),
                };
                let of_client = run.clone();
                let address = target.address(node, if is_held { HELD } else { NEW });
                let thread = namespace.spawn("client", move || {
                    Ok(match is_held {
                        true => held::run(target.protocol, address, &of_client),
                        false => newcomers::run(target.protocol, address, &of_client),
                    })
                })?;
                clients.push(Client {
                    target,
                    is_held,
                    run,
                    thread,
                });
            }
        }
        let traffic = Self { stop, clients };
        traffic.await_answers()?;
        Ok(traffic)
    }

    fn await_answers(&self) -> Result<()> {
        e2e::wait::until("an answer for each client", Duration::from_secs(10), || {
            let silent = |client: &&Client| !client.run.ready.load(Ordering::Relaxed);
            match self.clients.iter().find(silent) {
                Some(client) => bail!("{} has none", client.target),
                None => Ok(()),
            }
        })
        .map(drop)
    }

    /// Ends all clients and tells what they saw.
    ///
    /// # Errors
    /// If one could not enter its namespace.
    pub(crate) fn stop(mut self) -> Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        let mut report = Report {
            fresh: Vec::new(),
            held: Vec::new(),
        };
        for client in self.clients.drain(..) {
            let seen = client.thread.join().ok().context("a client panicked")??;
            match client.is_held {
                true => report.held.push((client.target, seen)),
                false => report.fresh.push((client.target, seen)),
            }
        }
        Ok(report)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.thread.join().ok();
        }
    }
}
