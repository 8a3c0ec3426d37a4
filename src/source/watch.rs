//! Objects from an API server (reference: section 11).

use crate::events::{Events, Report};
use crate::source::convert::{self, Converted, object_name};
use crate::source::describe;
use crate::source::intern::Interner;
use crate::source::objects::{EndpointSlice, Service};
use futures::stream::BoxStream;
use futures::{StreamExt, TryFutureExt};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use rules::model::ObjectName;
use rules::{Event, ObjectKind};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

/// How many objects one page of an initial list holds: large enough to be
/// quick, small enough to decode without a peak in memory.
const PAGE_SIZE: u32 = 500;

/// How long an initial list may take to be streamed. API servers that do not
/// know of it send the objects and never say that those are all.
const STREAM_LIMIT: Duration = Duration::from_secs(30);

/// Sends all that happens to the four kinds of objects, for ever. Without an
/// API server it keeps trying, with growing pauses.
///
/// # Errors
/// The receiver is gone.
pub async fn watch(
    client: Client,
    node_name: &str,
    events: Sender<Event>,
    reports: Events,
) -> anyhow::Result<()> {
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
            &reports,
            ObjectKind::Service,
            |service: &Service| upsert(convert::service(service), Event::Service)
        ),
        follow(
            Api::<EndpointSlice>::all(client.clone()),
            slices,
            &events,
            &reports,
            ObjectKind::EndpointSlice,
            move |slice: &EndpointSlice| {
                upsert(convert::endpoint_slice(slice, &mut interner), Event::Slice)
            }
        ),
        follow(
            Api::<Node>::all(client.clone()),
            own_node,
            &events,
            &reports,
            ObjectKind::Node,
            |node: &Node| upsert(convert::node(node), Event::Node)
        ),
        follow(
            Api::<ServiceCIDR>::all(client),
            watcher::Config::default(),
            &events,
            &reports,
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
    reports: &Events,
    kind: ObjectKind,
    mut convert: impl FnMut(&K) -> (Option<Event>, Vec<String>),
) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut stream = watcher(api.clone(), config.clone().streaming_lists())
        .default_backoff()
        .boxed();
    let mut log = Log::new(kind, K::plural(&()).into_owned(), reports.clone());
    let mut streaming = Streaming::Untried;
    loop {
        let step = match streaming.next(&mut stream).await {
            Some(Ok(step)) => step,
            Some(Err(error)) => {
                log.failed(&error);
                continue;
            }
            None => {
                tracing::info!(
                    "{}: the API server streams no lists; asking for pages",
                    log.what
                );
                let config = config.clone().page_size(PAGE_SIZE);
                stream = watcher(api.clone(), config).default_backoff().boxed();
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
                streaming = Streaming::Settled;
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
}

/// Whether initial lists come as a stream of objects (`sendInitialEvents`),
/// which is all of them at no memory to speak of, neither here nor there.
enum Streaming {
    Untried,
    /// The first objects are expected by then.
    Until(Instant),
    /// One way or the other, a list was complete.
    Settled,
}

impl Streaming {
    /// The next step; `None` if the API server does not stream, which is said once.
    async fn next<K: Resource>(
        &mut self,
        stream: &mut BoxStream<'_, watcher::Result<watcher::Event<K>>>,
    ) -> Option<watcher::Result<watcher::Event<K>>> {
        let step = match self {
            Self::Until(limit) => {
                let next = tokio::time::timeout_at(*limit, stream.next()).await;
                next.ok().flatten()
            }
            // A watcher has no end.
            _ => stream.next().await,
        };
        match &step {
            Some(Ok(watcher::Event::Init)) if matches!(self, Self::Untried) => {
                *self = Self::Until(Instant::now() + STREAM_LIMIT);
            }
            Some(Err(error)) if !matches!(self, Self::Settled) && is_refusal(error) => {
                *self = Self::Settled;
                return None;
            }
            None => *self = Self::Settled,
            _ => {}
        }
        step
    }
}

/// What API servers say that know of streams, but are not to send any, or whose
/// etcd is too old for it.
fn is_refusal(error: &watcher::Error) -> bool {
    use kube::Error::Api;
    match error {
        watcher::Error::WatchStartFailed(Api(status)) => matches!(status.code, 400 | 422),
        // 410 and 429 ask for another try of the same.
        watcher::Error::WatchError(status) => !matches!(status.code, 410 | 429),
        _ => false,
    }
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
    kind: ObjectKind,
    what: String,
    reports: Events,
    error: Option<String>,
    problems: HashMap<String, Vec<String>>,
}

impl Log {
    fn new(kind: ObjectKind, what: String, reports: Events) -> Self {
        Self {
            kind,
            what,
            reports,
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
        if problems.is_empty() && self.problems.is_empty() {
            return;
        }
        let name = object_name(object.meta()).to_string();
        if problems.is_empty() {
            self.problems.remove(&name);
            return;
        }
        if self.problems.get(&name) != Some(&problems) {
            for problem in &problems {
                tracing::warn!("{} {name}: {problem}", self.what);
            }
            self.report(object.meta(), &problems);
            self.problems.insert(name, problems);
        }
    }

    /// Makes an event on the Service, whose owner is the one who can mend it.
    fn report(&self, metadata: &ObjectMeta, problems: &[String]) {
        let object = object_name(metadata);
        let problems = problems.join("; ");
        match self.kind {
            ObjectKind::Service => self.reports.report(Report::left_out(object, problems)),
            ObjectKind::EndpointSlice => {
                let labels = metadata.labels.as_ref();
                if let Some(service) = labels.and_then(|labels| labels.get(convert::SERVICE_NAME)) {
                    let note = format!("EndpointSlice {}: {problems}", object.name);
                    let service = ObjectName::new(object.namespace, service.as_str());
                    self.reports.report(Report::left_out(service, note));
                }
            }
            ObjectKind::Node => self
                .reports
                .report(Report::node_warning("LeftOut", problems)),
            // Nothing is regarded as its own; the log has it.
            ObjectKind::ServiceCidr => {}
        }
    }

    fn forget<K: Resource>(&mut self, object: &K) {
        self.problems
            .remove(&object_name(object.meta()).to_string());
    }
}

#[cfg(test)]
mod tests;
