//! Looks at the flows again and again, and keeps up with the objects meanwhile.

use super::refused::{self, Refused};
use super::sample::{self, Rates, Sample};
use crate::clock;
use crate::inspect::{Asked, Cluster, Facts, NotFound, unproxied};
use crate::metrics::{Metrics, WatchMetrics};
use crate::netlink::Flows;
use crate::report::Source;
use crate::settings::Settings;
use crate::source::{self, ClientOptions, Manifests};
use crate::world::{self, Loaded, Nodes, World};
use anyhow::Context;
use rules::model::{Family, ObjectName};
use rules::usage::{Ports, Seen};
use rules::{Change, Config};
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Changes on their way from the source of objects.
const CHANGE_BUFFER: usize = 256;
/// Looks may take this part of the time, one of so many: the next one comes later where they are
/// long.
const IDLE: u32 = 4;

/// What is looked at.
pub(super) struct Observer {
    world: World,
    asked: Asked,
    ports: Ports,
    configs: [Config; 2],
    flows: Flows,
    refused: Refused,
    seen: Seen,
    /// When the last look began.
    last: Option<Instant>,
    from: From,
}

/// Where objects come from.
enum From {
    /// An API server, with what is heard of it.
    Api(WatchMetrics),
    /// A directory.
    Manifests,
}

impl Observer {
    /// Loads the objects and takes the first look, before which nothing is known of any rate.
    ///
    /// # Errors
    /// The objects cannot be had, what is asked for is not among them, or the kernel does not let
    /// itself be looked at.
    pub(super) async fn open(settings: &Settings, asked: Asked) -> anyhow::Result<Self> {
        let Loaded {
            mut world,
            problems,
        } = world::load(settings, Nodes::Own).await?;
        for problem in problems {
            tracing::warn!("{problem}");
        }
        world.take_dirty();
        let configs = configs(&world);
        let ports = Ports::new(world.here().view(), &configs);
        find(settings, &asked, &ports).await?;
        let metrics = Metrics::new().context("registering the metrics")?;
        let mut observer = Self {
            asked,
            configs,
            ports,
            world,
            flows: Flows::open().context("opening a netlink socket for conntrack")?,
            refused: Refused::open().context("opening netlink sockets for nftables")?,
            seen: Seen::new(),
            last: None,
            from: match settings.source.manifests {
                Some(_) => From::Manifests,
                None => From::Api(metrics.watch().clone()),
            },
        };
        observer.look().map_err(unseen)?;
        Ok(observer)
    }

    /// Follows the objects from now on, by a task of its own.
    ///
    /// # Errors
    /// There is no client to be had.
    pub(super) async fn follow(&self, settings: &Settings) -> anyhow::Result<Receiver<Change>> {
        let (told, changes) = mpsc::channel(CHANGE_BUFFER);
        let node = settings.node_name.clone();
        match (&self.from, &settings.source.manifests) {
            (From::Api(heard), _) => {
                let heard = heard.clone();
                let metrics = Metrics::new().context("registering the metrics")?;
                let options = ClientOptions::from(settings);
                let client = source::client(&options, metrics.rest()).await?;
                tokio::spawn(async move {
                    let nowhere = crate::events::Recorder::nowhere();
                    source::watch(client, &node, told, nowhere, &heard).await
                });
            }
            (From::Manifests, Some(directory)) => {
                let manifests = Manifests::new(directory, &node);
                tokio::spawn(manifests.follow(told));
            }
            (From::Manifests, None) => {}
        }
        Ok(changes)
    }

    /// Takes looks until nobody wants them any more.
    pub(super) async fn run(
        mut self,
        mut changes: Receiver<Change>,
        interval: Duration,
        samples: Sender<io::Result<Sample>>,
    ) {
        let mut followed = true;
        let mut next = clock::now() + interval;
        loop {
            let wait = tokio::time::sleep_until(next.into());
            tokio::select! {
                biased;
                () = wait => {}
                () = samples.closed() => return,
                change = changes.recv(), if followed => {
                    match change {
                        Some(change) => self.take_in(change),
                        None => followed = false,
                    }
                    continue;
                }
            }
            let begin = clock::now();
            // The runtime goes on beside it.
            let sample = tokio::task::block_in_place(|| self.look());
            let took = clock::now() - begin;
            next = begin + interval.max(took * (IDLE + 1));
            if samples.send(sample).await.is_err() {
                return;
            }
        }
    }

    fn take_in(&mut self, change: Change) {
        // What is wrong with objects is the daemon's to tell.
        let applied = self.world.apply(change);
        if !applied.changed {
            return;
        }
        let configs = configs(&self.world);
        let view = self.world.here().view();
        if configs != self.configs {
            self.ports = Ports::new(view, &configs);
            self.configs = configs;
            self.world.take_dirty();
            return;
        }
        for service in self.world.take_dirty() {
            let view = self.world.here().view();
            self.ports.update(view, &self.configs, &service);
        }
    }

    /// One look.
    ///
    /// # Errors
    /// Flows cannot be listed.
    pub(super) fn look(&mut self) -> io::Result<Sample> {
        let begin = clock::now();
        let room = self.flows.room()?;
        let usage = self.flows.look(&self.ports, &mut self.seen)?;
        let last = self.last.replace(begin);
        let time = last.map_or(Duration::ZERO, |last| begin - last);
        let refused = self.refused.look();
        let counts_traffic = usage.counts_traffic();
        let mut sample = Sample {
            node: self.world.here().name().clone(),
            time,
            took: Duration::ZERO,
            room: Some(room),
            rows: sample::rows(&usage, &self.asked, time),
            other: Rates::of(usage.other(), time),
            counts_traffic,
            drops: None,
            sources: Vec::new(),
        };
        sample.sources = self.sources(counts_traffic);
        match refused {
            Ok(Some(counts)) => {
                let everybody = usage.ports().map(|port| port.refusals());
                refused::attribute(&mut sample.rows, everybody, &counts, time);
                sample.drops = Some(refused::reasons(&counts, time));
                sample.sources.push(Source::fresh("kernel"));
            }
            Ok(None) => sample.sources.push(Source::unseen(
                "drops",
                "there is no table kube-proxy with counters; the daemon makes it",
            )),
            Err(error) => sample
                .sources
                .push(Source::unseen("drops", error.to_string())),
        }
        sample.took = clock::now() - begin;
        Ok(sample)
    }

    fn sources(&self, counts_traffic: bool) -> Vec<Source> {
        let mut sources = vec![
            match &self.from {
                From::Manifests => Source::fresh("manifests"),
                From::Api(heard) => Source {
                    age_seconds: Some(heard.silence().as_secs_f64().round()),
                    ..Source::fresh("api")
                },
            },
            Source::fresh("conntrack"),
        ];
        if self.world.state().node().is_none() {
            let name = self.world.here().name();
            sources.push(Source::unseen(
                format!("node {name}"),
                "no such Node; flows are those of this machine: run it on a node, as with `kubectl \
                 -n kube-system exec ds/kube-proxy -- kube-proxy top`",
            ));
        }
        if !counts_traffic {
            sources.push(Source::unseen(
                "packets and bytes",
                "the kernel does not count them; `sysctl net.netfilter.nf_conntrack_acct=1` makes \
                 it count those of connections from then on",
            ));
        }
        match self.seen.beyond() {
            0 => {}
            beyond => sources.push(Source::unseen(
                format!("{beyond} flows"),
                "there are more than are remembered from look to look: they count as open, never \
                 as new",
            )),
        }
        sources
    }
}

fn configs(world: &World) -> [Config; 2] {
    Family::ALL.map(|family| world.here().config(family))
}

/// What is asked for has to be there at the start.
async fn find(settings: &Settings, asked: &Asked, ports: &Ports) -> anyhow::Result<()> {
    let is_there = |name: &ObjectName| super::wanted::is_wanted(asked, name);
    if *asked == Asked::All || ports.services().any(is_there) {
        return Ok(());
    }
    // Says why not, with the nearest names.
    let cluster = Cluster::open(settings).await?;
    let facts = Facts::of(&cluster, asked).await?;
    let why = facts.services.iter().find_map(unproxied);
    match (asked, why) {
        (Asked::Service(name), Some(why)) => anyhow::bail!("Service {name} {why}"),
        (Asked::Namespace(namespace), Some(_)) => anyhow::bail!(
            "no proxy has rules for any Service of namespace {namespace}: they are headless, \
             ExternalNames, or another proxy's"
        ),
        // It came meanwhile, or has nothing that could be served.
        _ => Err(NotFound {
            asked: asked.clone(),
            nearest: Vec::new(),
        }
        .into()),
    }
}

/// Why the first look was none, and what to do.
fn unseen(error: io::Error) -> anyhow::Error {
    let what = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "conntrack: not permitted; run it as root on the node, or in the daemon's pod, which \
             has the capability NET_ADMIN"
        }
        Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOENT) => {
            "conntrack: this kernel has none (modules nf_conntrack and nf_conntrack_netlink)"
        }
        _ => "conntrack: listing flows",
    };
    anyhow::Error::new(error).context(what)
}
