//! One proxy's course over one size: start, single changes, a burst.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::Namespace;
use e2e::client::{Outcome, dial};
use e2e::usage::{KernelMemory, cpu_seconds, peak_mb, resident_mb};

use crate::bench_upstream::args::Args;
use crate::bench_upstream::objects;
use crate::bench_upstream::proxy::Proxy;
use crate::bench_upstream::rig::{Rig, Side};
use crate::bench_upstream::sample::Sampler;
use crate::bench_upstream::services;
use crate::mode::Mode;
use crate::size::Size;

const FULL: &str = "sync_full_proxy_rules_duration_seconds";
pub(super) const PARTIAL: &str = "sync_partial_proxy_rules_duration_seconds";
pub(super) const LIMIT: Duration = Duration::from_secs(120);
/// How often a proxy is started whose first sync is short, as that is a matter of luck too.
const STARTS: usize = 7;
/// What is short, in seconds.
const SHORT: f64 = 2.0;

/// Figures by their names in the report.
pub(crate) type Figures = BTreeMap<String, f64>;

pub(crate) fn run(args: &Args, rig: &Rig, side: Side, size: Size) -> Result<Figures> {
    let mut figures = Figures::new();
    let (path, first) = objects::change_last(size, 0);
    rig.api.patch(&path, &first)?;
    let node = rig.place(side).node();
    let (mut first_syncs, mut programmed) = (Vec::new(), Vec::new());
    let started = loop {
        let started = Started::new(args, rig, side, size)?;
        let Some(times) = &started.times else {
            break started;
        };
        first_syncs.push(times.first_sync);
        programmed.push(times.programmed);
        if first_syncs.len() == STARTS || times.first_sync > SHORT {
            break started;
        }
        drop(started);
        delete_rules(node, args.mode)?;
    };
    let Started {
        times,
        mut proxy,
        sampler,
    } = started;
    let pid = proxy.process.pid();
    if times.is_none() {
        let limit = limit(args, side).as_secs_f64();
        eprintln!("{size}: {side}: cut off after {limit:.0} s");
        figures.insert("lower_bound".to_owned(), 1.0);
        first_syncs.push(limit);
        programmed.push(limit);
    }
    figures.insert("starts".to_owned(), first_syncs.len() as f64);
    figures.insert("first_sync_s".to_owned(), percentile(&mut first_syncs, 50));
    figures.insert(
        "first_sync_s_least".to_owned(),
        percentile(&mut first_syncs, 0),
    );
    figures.insert(
        "first_sync_s_most".to_owned(),
        percentile(&mut first_syncs, 100),
    );
    figures.insert(
        "start_to_programmed_s".to_owned(),
        percentile(&mut programmed, 50),
    );
    figures.insert("cpu_s".to_owned(), cpu_seconds(pid)?);
    figures.insert("peak_rss_mb".to_owned(), peak_mb(pid)?);
    figures.insert("peak_rss_with_children_mb".to_owned(), sampler.peak_mb());
    if times.is_some() {
        changes(args, rig, side, size, &proxy, &mut figures)
            .with_context(|| format!("{side}: changes"))?;
        services::measure(args, rig, side, &proxy, &mut figures)
            .with_context(|| format!("{side}: Services that come and go"))?;
        figures.insert("rss_after_changes_mb".to_owned(), resident_mb(pid)?);
        figures.insert("peak_rss_after_changes_mb".to_owned(), peak_mb(pid)?);
    }
    drop(sampler);
    if times.is_none() {
        // Its children would go on.
        proxy.process.kill_all()?;
    }
    drop(proxy);
    if times.is_some() {
        figures.insert("kernel_mb".to_owned(), table_mb(node, args.mode)?);
    }
    eprintln!("{size}: {side}: {figures:.4?}");
    Ok(figures)
}

/// Seconds from a start on.
struct Times {
    /// The sync alone.
    first_sync: f64,
    /// Until the last Service answered.
    programmed: f64,
}

/// A proxy that did its first sync.
struct Started<'a> {
    /// `None` if it was cut off.
    times: Option<Times>,
    sampler: Sampler,
    proxy: Proxy<'a>,
}

impl<'a> Started<'a> {
    fn new(args: &Args, rig: &'a Rig, side: Side, size: Size) -> Result<Self> {
        let mut proxy = Proxy::start(args, rig, side)?;
        let sampler = Sampler::start(proxy.process.pid());
        let place = rig.place(side);
        let target = objects::frontend(size.services - 1);
        let answered = answered(place.node(), target, place.pod(0), limit(args, side))?;
        let programmed = proxy.started.elapsed().as_secs_f64();
        proxy.process.check()?;
        let mut times = None;
        if answered.is_some() {
            proxy.await_above(&format!("{FULL}_count"), 0.0, LIMIT)?;
            times = Some(Times {
                first_sync: proxy.metric(&format!("{FULL}_sum"))?,
                programmed,
            });
        }
        Ok(Self {
            times,
            sampler,
            proxy,
        })
    }
}

/// How long a proxy's first sync may take.
fn limit(args: &Args, side: Side) -> Duration {
    match side {
        Side::Upstream => args.cutoff,
        Side::Ours => LIMIT,
    }
}

/// Until this pod answers through the Service; `None` if it doesn't in time.
pub(super) fn answered(
    from: &Namespace,
    target: SocketAddr,
    pod: &str,
    limit: Duration,
) -> Result<Option<Duration>> {
    from.run(|| {
        let start = Instant::now();
        while start.elapsed() < limit {
            match dial(target, Duration::from_millis(500)) {
                Outcome::Answered(answer) if answer.pod == pod => return Some(start.elapsed()),
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        None
    })
}

fn changes(
    args: &Args,
    rig: &Rig,
    side: Side,
    size: Size,
    proxy: &Proxy<'_>,
    figures: &mut Figures,
) -> Result<()> {
    let place = rig.place(side);
    let target = objects::frontend(size.services - 1);
    let (count, sum) = (format!("{PARTIAL}_count"), format!("{PARTIAL}_sum"));
    let mut syncs = Vec::with_capacity(args.updates);
    let mut packets = Vec::with_capacity(args.updates);
    let cpu = cpu_seconds(proxy.process.pid())?;
    for round in 1..=args.updates {
        // At no fixed distance from the change before, so that the shortest time between two
        // syncs weighs as it does for changes that come when they come.
        let pause = 200 + (round as u64 * 617) % 1400;
        std::thread::sleep(Duration::from_millis(pause));
        let (counted, summed) = (proxy.metric(&count)?, proxy.metric(&sum)?);
        let pod = u8::from(round % 2 == 1);
        let (path, change) = objects::change_last(size, pod);
        let start = Instant::now();
        rig.api.patch(&path, &change)?;
        let Some(_) = answered(place.node(), target, place.pod(pod.into()), LIMIT)? else {
            bail!("change {round} did not arrive");
        };
        packets.push(start.elapsed().as_secs_f64() * 1e3);
        proxy.await_above(&count, counted, LIMIT)?;
        syncs.push((proxy.metric(&sum)? - summed) * 1e3);
    }
    ensure!(!syncs.is_empty(), "no changes to measure");
    figures.insert("updates".to_owned(), args.updates as f64);
    figures.insert("update_sync_ms_p50".to_owned(), percentile(&mut syncs, 50));
    figures.insert("update_sync_ms_p99".to_owned(), percentile(&mut syncs, 99));
    figures.insert(
        "change_to_packet_ms_p50".to_owned(),
        percentile(&mut packets, 50),
    );
    figures.insert(
        "change_to_packet_ms_p99".to_owned(),
        percentile(&mut packets, 99),
    );
    let used = cpu_seconds(proxy.process.pid())? - cpu;
    figures.insert(
        "cpu_ms_per_update".to_owned(),
        used * 1e3 / args.updates as f64,
    );

    let round = if side == Side::Upstream { 1 } else { 2 };
    let burst = objects::changes(size, args.burst, round);
    figures.insert("burst_changes".to_owned(), burst.len() as f64);
    let cpu = cpu_seconds(proxy.process.pid())?;
    let pod = u8::from((args.updates + 1) % 2 == 1);
    let start = Instant::now();
    rig.api.patch_all(burst)?;
    // After all others, so that whoever sees it has seen them.
    let (path, change) = objects::change_last(size, pod);
    rig.api.patch(&path, &change)?;
    figures.insert("burst_sent_s".to_owned(), start.elapsed().as_secs_f64());
    let Some(_) = answered(place.node(), target, place.pod(pod.into()), LIMIT)? else {
        bail!("the burst's last change did not arrive");
    };
    figures.insert("burst_s".to_owned(), start.elapsed().as_secs_f64());
    figures.insert(
        "burst_cpu_s".to_owned(),
        cpu_seconds(proxy.process.pid())? - cpu,
    );
    Ok(())
}

/// The value below which so many per cent lie.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() * percent).div_ceil(100).max(1) - 1;
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// How much kernel memory comes back with the table: of the whole machine, hence rough.
fn table_mb(node: &Namespace, mode: Mode) -> Result<f64> {
    let before = KernelMemory::now()?;
    delete_rules(node, mode)?;
    Ok(before.mb_since(KernelMemory::now()?))
}

fn delete_rules(node: &Namespace, mode: Mode) -> Result<()> {
    match mode {
        Mode::Nftables => {
            for family in ["ip", "ip6"] {
                node.exec(&["nft", "delete", "table", family, "kube-proxy"])?;
            }
        }
        // The node has no others.
        Mode::Iptables => drop(node.exec(&["nft", "flush", "ruleset"])?),
    }
    // The kernel frees elements in the background.
    std::thread::sleep(Duration::from_secs(2));
    Ok(())
}
