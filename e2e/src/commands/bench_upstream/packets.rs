//! Connections through both proxies' rules, in turns.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::address::{ECHO_PORT, node, virtual_ip};
use e2e::{Namespace, ip, wait};
use nix::sys::socket::{setsockopt, sockopt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bench_upstream::args::Args;
use crate::bench_upstream::measure::percentile;
use crate::bench_upstream::objects::{self, SERVICES, SLICES};
use crate::bench_upstream::proxy::Proxy;
use crate::bench_upstream::report::number;
use crate::bench_upstream::rig::{Rig, Side};
use crate::size::Size;

/// Many short ones, as what else the machine does changes from second to second.
const ROUNDS: usize = 41;
const ROUND: Duration = Duration::from_millis(300);
const CLIENTS: usize = 2;

/// One kind of frontend.
#[derive(Serialize, Deserialize)]
pub(crate) struct PacketRow {
    frontend: String,
    services: usize,
    upstream: Connections,
    ours: Connections,
    /// Ours by upstream's, the median of all rounds.
    ratio: f64,
}

/// Connections through one proxy's rules.
#[derive(Serialize, Deserialize)]
struct Connections {
    /// Of each round.
    connections_per_s: Vec<f64>,
    connections_per_s_median: f64,
    /// The median over the rounds of the median time until the handshake was done, in µs.
    first_answer_us_p50: f64,
    /// Connections that were not made.
    failed: usize,
}

/// A part of a second of connections through one proxy's rules.
struct Round {
    per_second: f64,
    handshake_us: f64,
    failed: usize,
}

impl Connections {
    fn new(rounds: &[Round]) -> Self {
        let rates = || rounds.iter().map(|round| round.per_second).collect();
        let mut handshakes: Vec<f64> = rounds.iter().map(|round| round.handshake_us).collect();
        Self {
            connections_per_s: rates(),
            connections_per_s_median: percentile(&mut rates(), 50),
            first_answer_us_p50: percentile(&mut handshakes, 50),
            failed: rounds.iter().map(|round| round.failed).sum(),
        }
    }
}

impl PacketRow {
    fn new(frontend: &str, services: usize, [upstream, ours]: &[Vec<Round>; 2]) -> Self {
        let mut row = Self {
            frontend: frontend.to_owned(),
            services,
            upstream: Connections::new(upstream),
            ours: Connections::new(ours),
            ratio: f64::NAN,
        };
        row.ratio = percentile(&mut row.ratios(), 50);
        row
    }

    /// Ours by upstream's, round by round.
    fn ratios(&self) -> Vec<f64> {
        let ours = self.ours.connections_per_s.iter();
        let pairs = ours.zip(&self.upstream.connections_per_s);
        pairs.map(|(ours, upstream)| ours / upstream).collect()
    }

    pub(crate) fn line(&self) -> String {
        let mut ratios = self.ratios();
        let (low, high) = (percentile(&mut ratios, 25), percentile(&mut ratios, 75));
        let (upstream, ours) = (&self.upstream, &self.ours);
        format!(
            "| {} | {} | {} | {} | {:.2} ({low:.2} to {high:.2}) | {} µs | {} µs | {}, {} |\n",
            self.frontend,
            self.services,
            number(upstream.connections_per_s_median),
            number(ours.connections_per_s_median),
            self.ratio,
            number(upstream.first_answer_us_p50),
            number(ours.first_answer_us_p50),
            upstream.failed,
            ours.failed
        )
    }
}

pub(crate) fn measure(args: &Args, services: usize) -> Result<Vec<PacketRow>> {
    let rig = Rig::start()?;
    let endpoints = 10;
    objects::create(
        &rig.api,
        Size {
            services,
            endpoints,
        },
    )?;
    let node_port = create_frontends(&rig)?;
    let targets = [
        ("ClusterIP, from a pod", objects::frontend(services - 1)),
        ("NodePort", SocketAddr::new(node(1).v4.into(), node_port)),
        (
            "load balancer, Local",
            SocketAddr::new(virtual_ip(1).v4.into(), 80),
        ),
    ];
    let mut proxies = Vec::new();
    for side in Side::BOTH {
        prepare(&rig, side)?;
        proxies.push(Proxy::start(args, &rig, side)?);
    }
    for (side, proxy) in Side::BOTH.into_iter().zip(&mut proxies) {
        for (kind, target) in targets {
            let from = source(&rig, side, kind);
            wait::until(&format!("{side}: {kind}"), args.cutoff, || {
                proxy.process.check()?;
                from.run(|| connect(target).map(drop))?
            })?;
        }
    }
    let mut rows = Vec::new();
    for (kind, target) in targets {
        let mut rounds = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            // The first of a round is not always the same.
            for turn in 0..2 {
                let at = (round + turn) % 2;
                let from = source(&rig, Side::BOTH[at], kind);
                let figures = rate(from, target);
                rounds[at].push(figures.with_context(|| format!("{}", Side::BOTH[at]))?);
            }
        }
        let row = PacketRow::new(kind, services, &rounds);
        eprint!("{}", row.line());
        rows.push(row);
    }
    Ok(rows)
}

fn source<'a>(rig: &'a Rig, side: Side, kind: &str) -> &'a Namespace {
    let place = rig.place(side);
    if kind.starts_with("ClusterIP") {
        place.client_pod()
    } else {
        place.bed.client()
    }
}

/// A Service with a node port, and one with a load balancer's address and policy Local.
fn create_frontends(rig: &Rig) -> Result<u16> {
    for (name, policy) in [("node-port", "Cluster"), ("balancer", "Local")] {
        let slice = objects::slice(name, vec![objects::real(0)]);
        rig.api.post(SLICES, &slice)?;
        rig.api.post(
            SERVICES,
            &json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {
                    "type": "LoadBalancer",
                    "externalTrafficPolicy": policy,
                    "ipFamilies": ["IPv4"],
                    "ports": [{"name": "http", "port": 80, "targetPort": ECHO_PORT}],
                },
            }),
        )?;
    }
    let ingress = json!([{"ip": virtual_ip(1).v4, "ipMode": "VIP"}]);
    let status = json!({"status": {"loadBalancer": {"ingress": ingress}}});
    rig.api
        .patch(&format!("{SERVICES}/balancer/status"), &status)?;
    let text = rig.api.get(&format!("{SERVICES}/node-port"))?;
    let service: Value = serde_json::from_str(&text)?;
    let port = service["spec"]["ports"][0]["nodePort"].as_u64();
    u16::try_from(port.context("no node port")?).context("node port")
}

/// Routes the load balancer's addresses to the node, and makes room for many short connections.
fn prepare(rig: &Rig, side: Side) -> Result<()> {
    let place = rig.place(side);
    let router = place.bed.balancer().namespace();
    let v4 = node(1).v4;
    ip(
        router,
        &format!("route add 198.51.100.0/24 via {v4}\nroute add 10.244.1.0/24 via {v4}"),
    )?;
    // A connection that was reset is remembered no longer than needed: the same port comes again.
    place
        .node()
        .sysctls(&[("net/netfilter/nf_conntrack_tcp_timeout_close", "1")])?;
    for namespace in [place.client_pod(), place.bed.client()] {
        namespace.sysctls(&[
            ("net/ipv4/ip_local_port_range", "1024 65000"),
            ("net/ipv4/tcp_max_tw_buckets", "0"),
        ])?;
    }
    Ok(())
}

fn rate(from: &Namespace, target: SocketAddr) -> Result<Round> {
    let start = Instant::now();
    let clients: Result<Vec<Client>> = from.run(|| {
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| scope.spawn(move || Client::run(start, target)))
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
    /// Of each handshake, in µs.
    times: Vec<f64>,
    failed: usize,
    error: Option<anyhow::Error>,
}

impl Client {
    fn run(start: Instant, target: SocketAddr) -> Self {
        let mut client = Self::default();
        while start.elapsed() < ROUND {
            match connect(target) {
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

/// Connects, reads the answer and resets; returns how long the handshake took.
fn connect(target: SocketAddr) -> Result<Duration> {
    let IpAddr::V4(_) = target.ip() else {
        anyhow::bail!("{target}: IPv4 only");
    };
    let start = Instant::now();
    let mut stream = std::net::TcpStream::connect_timeout(&target, Duration::from_secs(2))?;
    let took = start.elapsed();
    // The port is free at once.
    let linger = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, sockopt::Linger, &linger)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut line = [0; 64];
    let read = stream.read(&mut line)?;
    ensure!(read > 0, "{target} says nothing");
    Ok(took)
}
