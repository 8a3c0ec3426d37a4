//! Connections through both proxies' rules, in turns.

mod client;
mod target;

use anyhow::{Context, Result};
use e2e::address::node;
use e2e::{Server, ip, wait};
use serde::{Deserialize, Serialize};

use crate::bench_upstream::args::Args;
use crate::bench_upstream::measure::percentile;
use crate::bench_upstream::objects;
use crate::bench_upstream::proxy::Proxy;
use crate::bench_upstream::report::number;
use crate::bench_upstream::rig::{Rig, Side};
use crate::mode::Mode;
use crate::size::Size;
use client::{Round, rate};
use target::Target;

/// Many short ones, as what else the machine does changes from second to second.
const ROUNDS: usize = 41;

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

pub(crate) fn measure(args: &Args, size: Size) -> Result<Vec<PacketRow>> {
    let rig = Rig::start()?;
    match args.mode {
        Mode::Nftables => objects::create(&rig.api, size)?,
        // Any of them is asked.
        Mode::Iptables => objects::create_served(&rig.api, size.services)?,
    };
    let mut targets = target::all(&rig, size, args.mode)?;
    let (mut proxies, mut servers) = (Vec::new(), Vec::new());
    for side in Side::BOTH {
        servers.push(prepare(&rig, side)?);
        proxies.push(Proxy::start(args, &rig, side)?);
    }
    for (side, proxy) in Side::BOTH.into_iter().zip(&mut proxies) {
        for own in &targets {
            let (from, target) = (own.source(&rig, side), own.of(side));
            wait::until(&format!("{side}: {}", own.name), args.cutoff, || {
                proxy.process.check()?;
                from.run(|| own.work.once(target).map(drop))?
            })?;
        }
    }
    if args.mode == Mode::Iptables {
        targets.extend(target::by_place(&rig)?);
    }
    let rows = targets.iter().map(|own| compare(&rig, size, own));
    rows.collect()
}

/// Rounds of one kind, in turns.
fn compare(rig: &Rig, size: Size, own: &Target) -> Result<PacketRow> {
    let mut rounds = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        // The first of a round is not always the same.
        for turn in 0..2 {
            let at = (round + turn) % 2;
            let side = Side::BOTH[at];
            let figures = rate(own.source(rig, side), own.of(side), own.work);
            rounds[at].push(figures.with_context(|| format!("{side}"))?);
        }
    }
    let row = PacketRow::new(&own.name, size.services, &rounds);
    eprint!("{}", row.line());
    Ok(row)
}

/// Routes the load balancer's addresses to the node, and makes room for many short connections.
/// Returns who answers on connections that last.
fn prepare(rig: &Rig, side: Side) -> Result<Server> {
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
    place.serve(target::CHAT_PORT)
}
