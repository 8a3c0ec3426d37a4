//! Connections through both proxies' rules, in turns.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::address::{ECHO_PORT, node, virtual_ip};
use e2e::{Namespace, ip, wait};
use nix::sys::socket::{setsockopt, sockopt};
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
pub(crate) struct PacketRow {
    kind: &'static str,
    services: usize,
    rounds: [Vec<Round>; 2],
}

/// A second of connections through one proxy's rules.
struct Round {
    per_second: f64,
    /// The median time until the handshake was done, in µs.
    handshake_us: f64,
    /// Connections that were not.
    failed: usize,
}

impl PacketRow {
    fn rates(&self, side: usize) -> Vec<f64> {
        self.rounds[side].iter().map(|own| own.per_second).collect()
    }

    fn micros(&self, side: usize) -> Vec<f64> {
        self.rounds[side]
            .iter()
            .map(|own| own.handshake_us)
            .collect()
    }

    fn failed(&self, side: usize) -> usize {
        self.rounds[side].iter().map(|own| own.failed).sum()
    }

    /// Ours by upstream's, round by round.
    fn ratios(&self) -> Vec<f64> {
        let pairs = self.rates(1).into_iter().zip(self.rates(0));
        pairs.map(|(ours, upstream)| ours / upstream).collect()
    }

    pub(crate) fn json(&self) -> Value {
        let side = |at: usize| {
            json!({
                "connections_per_s": self.rates(at),
                "connections_per_s_median": percentile(&mut self.rates(at), 50),
                "first_answer_us_p50": percentile(&mut self.micros(at), 50),
                "failed": self.failed(at),
            })
        };
        json!({
            "frontend": self.kind,
            "services": self.services,
            "upstream": side(0),
            "ours": side(1),
            "ratio": percentile(&mut self.ratios(), 50),
        })
    }

    /// What `json` wrote; the median handshake stands for each round's.
    pub(crate) fn from_json(value: &Value) -> Result<Self> {
        let kind = value["frontend"].as_str().context("frontend")?;
        let services = value["services"].as_u64().context("services")?;
        let side = |name: &str| -> Result<Vec<Round>> {
            let own = &value[name];
            let rates = own["connections_per_s"].as_array().context("rates")?;
            let handshake_us = own["first_answer_us_p50"].as_f64().context("latency")?;
            let failed = own["failed"].as_u64().unwrap_or_default();
            let rounds = rates.iter().enumerate().map(|(at, rate)| Round {
                per_second: rate.as_f64().unwrap_or(f64::NAN),
                handshake_us,
                failed: if at == 0 {
                    usize::try_from(failed).unwrap_or_default()
                } else {
                    0
                },
            });
            Ok(rounds.collect())
        };
        Ok(Self {
            kind: String::leak(kind.to_owned()),
            services: usize::try_from(services)?,
            rounds: [side("upstream")?, side("ours")?],
        })
    }

    pub(crate) fn line(&self) -> String {
        let mut ratios = self.ratios();
        let middle = percentile(&mut ratios, 50);
        let (low, high) = (percentile(&mut ratios, 25), percentile(&mut ratios, 75));
        let rate = |side| number(percentile(&mut self.rates(side), 50));
        let time = |side| number(percentile(&mut self.micros(side), 50));
        format!(
            "| {} | {} | {} | {} | {middle:.2} ({low:.2} to {high:.2}) | {} µs | {} µs | {}, {} |\n",
            self.kind,
            self.services,
            rate(0),
            rate(1),
            time(0),
            time(1),
            self.failed(0),
            self.failed(1)
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
        let mut row = PacketRow {
            kind,
            services,
            rounds: [Vec::new(), Vec::new()],
        };
        for round in 0..ROUNDS {
            // The first of a round is not always the same.
            for turn in 0..2 {
                let at = (round + turn) % 2;
                let from = source(&rig, Side::BOTH[at], kind);
                let figures = rate(from, target);
                row.rounds[at].push(figures.with_context(|| format!("{}", Side::BOTH[at]))?);
            }
        }
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
    let mut times: Vec<f64> = clients.iter().flat_map(|own| own.times.clone()).collect();
    let failed: usize = clients.iter().map(|own| own.failed).sum();
    let error = clients.into_iter().find_map(|own| own.error);
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
