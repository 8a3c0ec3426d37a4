//! The daemon: objects come in, rules and health answers follow.

use crate::config_file::ConfigFile;
use crate::flows::FlowCleanup;
use crate::gate::Gate;
use crate::http::{self, ServiceHealth};
use crate::metrics::Metrics;
use crate::netlink::{Conntrack, Nftables, interfaces};
use crate::schedule::Schedule;
use crate::settings::{self, DetectLocalMode, Settings};
use crate::source::{self, Manifests};
use crate::sync::{Reports, Syncer};
use crate::{addresses, cleanup, health, sysctl};
use anyhow::Context;
use rules::model::Family;
use rules::{Event, Kernel};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Events between a source and the sync loop: enough to keep both busy, few
/// enough to cost no memory to speak of.
const EVENT_BUFFER: usize = 256;

/// Runs until a signal says stop. Rules stay in place when it ends.
///
/// # Errors
/// Something that no retry can mend: no permission, no nf_tables, a flag that
/// makes no sense, an address in use with `--bind-address-hard-fail`.
pub fn run(settings: Settings, config_file: Option<ConfigFile>) -> anyhow::Result<()> {
    let settings = Arc::new(settings);
    let kernel = Nftables::open()?;
    set_up(&settings)?;
    if settings.init_only {
        tracing::info!("--init-only: all is set up; no rules were written");
        return Ok(());
    }
    let machine = sysctl::Kernel::default();
    if let Some(Err(error)) = settings
        .oom_score_adj
        .map(|score| machine.set_oom_score(score))
    {
        tracing::debug!("{error}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // What `nft monitor` calls whoever changed the rules.
        .thread_name("kube-proxy")
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let result = runtime.block_on(serve(settings, config_file, kernel));
    // A sync under way is one system call that lands whole or not at all, so
    // there is nothing to wait for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// What needs more rights than what comes later: of the kernel's settings, those that are not
/// right yet.
fn set_up(settings: &Settings) -> anyhow::Result<()> {
    cleanup::other_modes();
    sysctl::Kernel::default()
        .set_conntrack(&settings.conntrack)
        .context("could not set conntrack parameters from kube-proxy configuration")
}

async fn serve(
    settings: Arc<Settings>,
    config_file: Option<ConfigFile>,
    kernel: Nftables,
) -> anyhow::Result<()> {
    let families: &'static [Family] = if addresses::has_ipv6() {
        &Family::ALL
    } else {
        &[Family::V4]
    };
    announce(&settings, families);
    let metrics = Metrics::new().context("registering the metrics")?;
    let reports = Reports {
        health: Arc::new(health::Health::new(2 * settings.sync_period)),
        metrics,
    };
    let (events, received) = mpsc::channel(EVENT_BUFFER);
    let mut objects = tokio::spawn(objects(settings.clone(), events));
    let service_health =
        ServiceHealth::new(reports.health.clone(), tokio::runtime::Handle::current());
    let conntrack = Conntrack::open().context("opening netlink sockets for conntrack")?;
    let flows = FlowCleanup::new(Box::new(conntrack), families, reports.metrics.clone());
    // Before addresses are listed first, so that no change falls in between.
    let watch = interfaces::Watch::open().context("watching the interfaces' addresses")?;
    let syncer = Syncer::new(
        settings.rules.clone(),
        &settings.node_name,
        families,
        kernel,
        reports.clone(),
        service_health,
        flows,
    );
    let schedule = Schedule::new(settings.min_sync_period, settings.sync_period);
    let gate = Gate::new(settings.clone(), families, Instant::now());
    let servers = tokio::spawn(http::serve(settings.clone(), reports));
    // Each in a task of its own: one that blocks for a moment, as a sync or
    // the reading of a large file does, must not hold up the others.
    let syncs = tokio::spawn(sync_loop(syncer, schedule, received, watch, gate));
    tokio::select! {
        result = &mut objects => result.context("the source of objects")?,
        result = servers => result.context("the HTTP servers")?,
        result = syncs => {
            result.context("the sync loop")??;
            // It ends when there are no more events; why, only their source knows.
            objects.await.context("the source of objects")?
        }
        result = changed(config_file) => result,
        name = stop_signal() => {
            tracing::info!("{}: stopping; the rules stay in place", name?);
            Ok(())
        }
    }
}

/// Waits for a change of the configuration file, if there is one.
async fn changed(config_file: Option<ConfigFile>) -> anyhow::Result<()> {
    match config_file {
        Some(file) => file.changed().await,
        None => std::future::pending().await,
    }
}

/// Sends the cluster's objects and all that happens to them.
async fn objects(settings: Arc<Settings>, events: mpsc::Sender<Event>) -> anyhow::Result<()> {
    let (source, node_name) = (&settings.source, &settings.node_name);
    if let Some(dir) = &source.manifests {
        return Manifests::new(dir, node_name).follow(events).await;
    }
    let client = source::client(source.kubeconfig.as_deref(), source.master.as_deref()).await?;
    source::watch(client, node_name, events).await
}

/// Takes in events and changed addresses and syncs when due, until the source
/// of events ends.
async fn sync_loop<K: Kernel>(
    mut syncer: Syncer<K>,
    mut schedule: Schedule,
    mut events: mpsc::Receiver<Event>,
    mut interfaces: interfaces::Watch,
    mut gate: Gate,
) -> anyhow::Result<()> {
    loop {
        if gate.opens(syncer.state(), Instant::now())? {
            schedule.request();
        }
        let now = Instant::now();
        let due = if gate.is_open() {
            schedule.due(now)
        } else {
            gate.next_look(syncer.state())
        };
        let until_due = async {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = until_due, if due.is_some() => {
                if gate.is_open() {
                    let succeeded = tokio::task::block_in_place(|| sync(&mut syncer));
                    // Flows that could not be deleted wait for the next sync,
                    // which has to come even if nothing else happens.
                    let finished = succeeded && !syncer.has_stale_flows();
                    schedule.ended(Instant::now(), finished);
                }
            }
            () = interfaces.changed() => {
                if syncer.addresses_may_differ() {
                    schedule.request();
                }
            }
            event = events.recv() => match event {
                Some(event) => {
                    if syncer.apply(event) {
                        schedule.request();
                    }
                }
                None => return Ok(()),
            },
        }
    }
}

fn sync<K: Kernel>(syncer: &mut Syncer<K>) -> bool {
    match syncer.sync() {
        Ok(()) => true,
        Err(refusals) => {
            for refusal in refusals {
                tracing::error!("sync failed, the old rules stay in place: {refusal}");
            }
            false
        }
    }
}

fn announce(settings: &Settings, families: &[Family]) {
    let families: Vec<&str> = families.iter().map(|family| family.label()).collect();
    tracing::info!(
        "kube-proxy-rs {} on node {}, mode nftables, {}",
        env!("CARGO_PKG_VERSION"),
        settings.node_name,
        families.join(" and ")
    );
    let mode = settings::mode_notice(settings);
    for notice in mode.into_iter().chain(settings::notices(settings)) {
        tracing::warn!("{notice}");
    }
    if settings.rules.detect_local_mode == DetectLocalMode::ClusterCidr
        && settings.rules.cluster_cidrs.is_empty()
    {
        tracing::warn!(
            "--cluster-cidr is not set: pods cannot be told from other clients, so sources \
             outside the cluster are not masqueraded on their way to cluster IPs"
        );
    }
}

async fn stop_signal() -> anyhow::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("waiting for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}
