//! The daemon: objects come in, rules and health answers follow.

use super::Proxy;
use super::gate::Gate;
use super::opened::Opened;
use super::reporter::Reporter;
use super::schedule::Schedule;
use super::start::{Kernel, Start};
use super::sync_loop::{Inputs, sync_loop};
use super::syncer::{Machine, Syncer};
use crate::about::About;
use crate::config::ConfigFile;
use crate::events::{Event, Recorder};
use crate::http::{self, ServiceHealth};
use crate::metrics::{Metrics, WatchMetrics};
use crate::mode::Mode;
use crate::netlink::Conntrack;
use crate::netlink::interfaces::{self, Interfaces};
use crate::settings::{self, DetectLocalMode, Settings};
use crate::source::{self, ClientOptions, Manifests};
use crate::sysctl::Sysctls;
use crate::telemetry::Telemetry;
use crate::world::World;
use crate::{cleanup, clock, descriptors, event_sender, health, localhost};
use anyhow::Context;
use kube::Client;
use rules::model::Family;
use rules::{Backend, Change, Counters};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Changes between a source and the sync loop: enough to keep both busy, few
/// enough to cost no memory to speak of.
const CHANGE_BUFFER: usize = 256;

/// How long a failing process waits for its last events to be sent.
const LAST_EVENTS: Duration = Duration::from_secs(3);

/// Runs until a signal says stop. Rules stay in place when it ends.
///
/// # Errors
/// Something that no retry can mend: no permission, no nf_tables, a flag that
/// makes no sense, an address in use with `--bind-address-hard-fail`.
pub fn run(settings: Settings, config_file: Option<ConfigFile>) -> anyhow::Result<()> {
    descriptors::raise();
    let start = Start::new(settings)?;
    if start.settings.init_only {
        tracing::info!("--init-only: all is set up; no rules were written");
        return Ok(());
    }
    let machine = Sysctls::default();
    if let Some(Err(error)) = start
        .settings
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
    let result = runtime.block_on(serve(start, config_file));
    // A sync under way is one system call that lands whole or not at all, so
    // there is nothing to wait for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn serve(start: Start, config_file: Option<ConfigFile>) -> anyhow::Result<()> {
    let Start {
        settings,
        families,
        kernel,
        instead,
    } = start;
    let settings = Arc::new(settings);
    let mode = kernel.mode();
    let accounted = settings.rules.counters != Counters::default();
    let metrics = Metrics::of(mode, accounted).context("registering the metrics")?;
    for (name, stage, enabled) in settings.gates.of_kube_proxy() {
        metrics.feature(name, stage, enabled);
    }
    let client = match &settings.source.manifests {
        Some(_) => None,
        None => Some(source::client(&ClientOptions::from(&*settings), metrics.rest()).await?),
    };
    let telemetry = Telemetry {
        health: Arc::new(health::Health::new(2 * settings.sync_period)),
        metrics,
        events: events_to(client.as_ref(), &settings.node_name),
    };
    announce(&settings, mode, families, &telemetry.events);
    if let Some(instead) = instead {
        tracing::warn!("{instead}");
        let event = Event::node_warning("ProxyModeNotAvailable", instead);
        telemetry.events.record(event);
    }
    let run = async {
        match kernel {
            Kernel::Nftables(kernel) => {
                let opened = Opened::nftables(kernel, &settings, families, &telemetry.metrics)?;
                run_parts(settings, families, opened, client, &telemetry).await
            }
            Kernel::Iptables(kernel) => {
                let opened = Opened::iptables(kernel, &settings);
                run_parts(settings, families, opened, client, &telemetry).await
            }
        }
    };
    let result = tokio::select! {
        result = run => result,
        result = changed(config_file) => result,
    };
    // What went wrong may be the last thing that was reported.
    if result.is_err() {
        telemetry.events.flush(LAST_EVENTS).await;
    }
    result
}

/// Where events go: to the API server, by a task of their own, if there is one.
fn events_to(client: Option<&Client>, node_name: &Arc<str>) -> Recorder {
    let Some(client) = client else {
        return Recorder::nowhere();
    };
    let (events, queue) = Recorder::queue();
    tokio::spawn(event_sender::send(client.clone(), node_name.clone(), queue));
    events
}

/// Runs everything until one part ends.
async fn run_parts<B>(
    settings: Arc<Settings>,
    families: &'static [Family],
    opened: Opened<B>,
    client: Option<Client>,
    telemetry: &Telemetry,
) -> anyhow::Result<()>
where
    B: Backend + Send + 'static,
    B::Kernel: Send,
    B::Pending: Send,
{
    let Opened {
        mode,
        kernel,
        drift,
        questions,
    } = opened;
    let (told, changes) = mpsc::channel(CHANGE_BUFFER);
    let recorder = telemetry.events.clone();
    let watched = telemetry.metrics.watch().clone();
    let mut objects = tokio::spawn(objects(settings.clone(), client, told, recorder, watched));
    let service_health = ServiceHealth::new(
        telemetry.health.clone(),
        telemetry.events.clone(),
        tokio::runtime::Handle::current(),
    )
    .counted_in(telemetry.metrics.clone());
    let conntrack = Conntrack::open().context("opening netlink sockets for conntrack")?;
    // Before addresses are listed first, so that no change falls in between.
    let watch = interfaces::Watch::open().context("watching the interfaces' addresses")?;
    let inputs = Inputs {
        changes,
        addresses: super::addresses::follow(watch),
        drift,
        questions,
    };
    let mut interfaces = Interfaces::default();
    let machine = Machine {
        kernel,
        flow_table: Box::new(conntrack),
        addresses: Box::new(move || interfaces.addresses()),
    };
    let world = World::new(&settings);
    let localhost = localhost::start(&settings, &world, families, telemetry)
        .context("starting the proxy for node ports on localhost")?;
    let proxy = Proxy::<B> {
        syncer: Syncer::new(world, families, machine, settings.sync_period),
        reporter: Reporter::new(telemetry.clone(), service_health).with_localhost(localhost),
    };
    let schedule = Schedule::new(settings.min_sync_period, settings.sync_period);
    let gate = Gate::new(settings.clone(), families, clock::now());
    let servers = tokio::spawn(http::serve(
        http::Addresses::from(&*settings),
        About::new(&settings, mode),
        telemetry.clone(),
    ));
    telemetry.events.record(Event::starting());
    // Each in a task of its own: one that blocks for a moment, as a sync or
    // the reading of a large file does, must not hold up the others.
    // Other modes' rules go after the first sync: connections need one of the two sets of rules.
    let syncs = tokio::spawn(sync_loop(proxy, schedule, gate, inputs, move || {
        cleanup::other_modes(mode);
    }));
    tokio::select! {
        result = &mut objects => result.context("the source of objects")?,
        result = servers => result.context("the HTTP servers")?,
        result = syncs => {
            result.context("the sync loop")??;
            // It ends when there are no more events; why, only their source knows.
            objects.await.context("the source of objects")?
        }
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
async fn objects(
    settings: Arc<Settings>,
    client: Option<Client>,
    changes: mpsc::Sender<Change>,
    recorder: Recorder,
    metrics: WatchMetrics,
) -> anyhow::Result<()> {
    let node_name = &settings.node_name;
    match (client, &settings.source.manifests) {
        (Some(client), _) => source::watch(client, node_name, changes, recorder, &metrics).await,
        (None, Some(dir)) => Manifests::new(dir, node_name).follow(changes).await,
        (None, None) => anyhow::bail!("neither --manifests nor an API server"),
    }
}

fn announce(settings: &Settings, mode: Mode, families: &[Family], events: &Recorder) {
    let families: Vec<&str> = families.iter().map(|family| family.label()).collect();
    tracing::info!(
        "kube-proxy-rs {} on node {}, mode {}, {}",
        env!("CARGO_PKG_VERSION"),
        settings.node_name,
        mode.name(),
        families.join(" and ")
    );
    if let Some(notice) = settings::mode_notice(settings) {
        tracing::warn!("{notice}");
        events.record(Event::node_warning("KubeProxyDefaultMode", notice));
    }
    for notice in settings::notices(settings) {
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
