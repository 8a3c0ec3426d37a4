//! Objects from an API server (reference: section 11).

use crate::source::convert::{self, Converted, object_name};
use crate::source::intern::Interner;
use anyhow::Context;
use futures::{StreamExt, TryFutureExt};
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, Resource};
use rules::{Event, ObjectKind};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Debug;
use std::path::Path;
use tokio::sync::mpsc::Sender;

/// How many objects one page of an initial list holds: large enough to be
/// quick, small enough to decode without a peak in memory.
const PAGE_SIZE: u32 = 500;

/// A client from a kubeconfig, a URL, or the pod's service account.
///
/// # Errors
/// Names the file that cannot be used.
pub async fn client(kubeconfig: Option<&Path>, master: Option<&str>) -> anyhow::Result<Client> {
    let mut config = match (kubeconfig, master) {
        (Some(path), _) => {
            let name = || format!("--kubeconfig {}", path.display());
            let file = Kubeconfig::read_from(path).with_context(name)?;
            let options = KubeConfigOptions::default();
            Config::from_custom_kubeconfig(file, &options)
                .await
                .with_context(name)?
        }
        (None, Some(url)) => Config::new(parse_master(url)?),
        (None, None) => Config::incluster()
            .context("neither --kubeconfig nor --master, and this is not a pod of a cluster")?,
    };
    if let Some(url) = master {
        config.cluster_url = parse_master(url)?;
    }
    Client::try_from(config).context("setting up the API client")
}

fn parse_master(url: &str) -> anyhow::Result<http::Uri> {
    let uri: http::Uri = url
        .parse()
        .with_context(|| format!("--master {url:?}: not a URL"))?;
    anyhow::ensure!(
        uri.scheme().is_some(),
        "--master {url:?}: not a URL (https://HOST:PORT)"
    );
    Ok(uri)
}

/// Sends all that happens to the four kinds of objects, for ever. Without an
/// API server it keeps trying, with growing pauses.
///
/// # Errors
/// The receiver is gone.
pub async fn watch(client: Client, node_name: &str, events: Sender<Event>) -> anyhow::Result<()> {
    let services = watcher::Config::default()
        .labels("!service.kubernetes.io/service-proxy-name")
        .fields("spec.clusterIP!=None");
    let slices = watcher::Config::default().labels("!service.kubernetes.io/headless");
    let own_node = watcher::Config::default().fields(&format!("metadata.name={node_name}"));
    let mut interner = Interner::default();
    tokio::try_join!(
        follow(
            Api::<Service>::all(client.clone()),
            services,
            &events,
            ObjectKind::Service,
            |service: &Service| upsert(convert::service(service), Event::Service)
        ),
        follow(
            Api::<EndpointSlice>::all(client.clone()),
            slices,
            &events,
            ObjectKind::EndpointSlice,
            move |slice: &EndpointSlice| {
                upsert(convert::endpoint_slice(slice, &mut interner), Event::Slice)
            }
        ),
        follow(
            Api::<Node>::all(client.clone()),
            own_node,
            &events,
            ObjectKind::Node,
            |node: &Node| upsert(convert::node(node), Event::Node)
        ),
        follow(
            Api::<ServiceCIDR>::all(client),
            watcher::Config::default(),
            &events,
            ObjectKind::ServiceCidr,
            |cidr: &ServiceCIDR| upsert(convert::service_cidr(cidr), Event::ServiceCidr)
        ),
    )
    .map(|_| ())
}

fn upsert<T>(converted: Converted<T>, event: fn(T) -> Event) -> (Option<Event>, Vec<String>) {
    (converted.object.map(event), converted.problems)
}

/// Follows one kind.
async fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    events: &Sender<Event>,
    kind: ObjectKind,
    mut convert: impl FnMut(&K) -> (Option<Event>, Vec<String>),
) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let what = K::plural(&()).into_owned();
    let mut stream = watcher(api, config.page_size(PAGE_SIZE))
        .default_backoff()
        .boxed();
    let mut log = Log::new(what);
    while let Some(step) = stream.next().await {
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                log.failed(&error);
                continue;
            }
        };
        let send = |event| {
            events
                .send(event)
                .map_err(|_| anyhow::anyhow!("the sync loop ended"))
        };
        match step {
            watcher::Event::Init => send(Event::ListBegin(kind)).await?,
            watcher::Event::InitDone => {
                log.listed();
                send(Event::ListEnd(kind)).await?;
            }
            watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
                log.works();
                let (event, problems) = convert(&object);
                log.problems(&object, problems);
                send(event.unwrap_or_else(|| gone(kind, &object))).await?;
            }
            watcher::Event::Delete(object) => {
                log.forget(&object);
                send(gone(kind, &object)).await?;
            }
        }
    }
    anyhow::bail!("the watch of {} ended", log.what)
}

fn gone<K: Resource>(kind: ObjectKind, object: &K) -> Event {
    let name = object_name(object.meta());
    match kind {
        ObjectKind::Service => Event::ServiceGone(name),
        ObjectKind::EndpointSlice => Event::SliceGone(name),
        ObjectKind::Node => Event::NodeGone,
        ObjectKind::ServiceCidr => Event::ServiceCidrGone(name.name),
    }
}

/// Says each thing once: an error until it changes, an object's problems until
/// they change.
struct Log {
    what: String,
    error: Option<String>,
    problems: HashMap<String, Vec<String>>,
}

impl Log {
    fn new(what: String) -> Self {
        Self {
            what,
            error: None,
            problems: HashMap::new(),
        }
    }

    fn failed(&mut self, error: &watcher::Error) {
        // An expired watch is part of the protocol: the list begins anew.
        if matches!(error, watcher::Error::WatchError(status) if status.code == 410) {
            return;
        }
        let message = describe(error);
        if self.error.as_ref() != Some(&message) {
            tracing::warn!(
                "watching {}: {message}; trying again, the rules in the kernel stay as they are",
                self.what
            );
            self.error = Some(message);
        }
    }

    fn listed(&mut self) {
        tracing::info!("{}: listed", self.what);
        self.error = None;
    }

    fn works(&mut self) {
        if self.error.take().is_some() {
            tracing::info!("watching {}: works again", self.what);
        }
    }

    fn problems<K: Resource>(&mut self, object: &K, problems: Vec<String>) {
        let name = object_name(object.meta()).to_string();
        if problems.is_empty() {
            self.problems.remove(&name);
            return;
        }
        if self.problems.get(&name) != Some(&problems) {
            for problem in &problems {
                tracing::warn!("{} {name}: {problem}", self.what);
            }
            self.problems.insert(name, problems);
        }
    }

    fn forget<K: Resource>(&mut self, object: &K) {
        self.problems
            .remove(&object_name(object.meta()).to_string());
    }
}

/// An error with its causes, which say what really happened.
fn describe(error: &watcher::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        source = cause.source();
    }
    parts.join(": ")
}
