//! Objects from an API server (docs/reference.md#watches).
//!
//! Lists and watches are made here and not by kube's `watcher`, which has no
//! limit on the time of an answer, keeps to a version that an API server
//! answers with status 410, decodes a list as a whole, knows no `Retry-After`,
//! and asks for watches that end at the same time everywhere.

mod backoff;
mod event;
mod failure;
mod follow;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod list;
mod log;
mod progress;
mod request;

use crate::events::Recorder;
use crate::metrics::WatchMetrics;
use crate::source::convert::{self, Converted, object_name};
use crate::source::intern::Interner;
use crate::source::objects::{EndpointSlice, Service};
use anyhow::Context;
use follow::{Follow, Persistence};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Client, Resource};
use log::Log;
use request::Target;
use rules::{Change, ObjectKind};
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::mpsc::{self, Sender};

/// Changes on their way from lists to who asked for them.
const LIST_BUFFER: usize = 256;
/// How long a command waits for all lists.
const LIST_LIMIT: Duration = Duration::from_secs(60);

/// How the four kinds of objects are followed.
struct Terms<'a> {
    /// The only Node that counts; `None` if all do.
    node_name: Option<&'a str>,
    persistence: Persistence,
    recorder: Recorder,
    metrics: &'a WatchMetrics,
}

/// Sends all that happens to the four kinds of objects, for ever. Without an
/// API server it keeps trying, with growing pauses.
///
/// # Errors
/// The receiver is gone.
pub async fn watch(
    client: Client,
    node_name: &str,
    events: Sender<Change>,
    recorder: Recorder,
    metrics: &WatchMetrics,
) -> anyhow::Result<()> {
    let terms = Terms {
        node_name: Some(node_name),
        persistence: Persistence::ForEver,
        recorder,
        metrics,
    };
    follow(client, &events, terms).await
}

/// Hands out all objects once, those of all Nodes if no name is given. Who is asked to come again
/// does so, but what fails otherwise is not tried again.
///
/// # Errors
/// A list could not be had, or not within a minute.
pub async fn list(
    client: Client,
    node_name: Option<&str>,
    metrics: &WatchMetrics,
    sink: &mut dyn FnMut(Change),
) -> anyhow::Result<()> {
    let (changes, mut received) = mpsc::channel(LIST_BUFFER);
    let terms = Terms {
        node_name,
        persistence: Persistence::Once,
        recorder: Recorder::nowhere(),
        metrics,
    };
    let lists = async {
        let mut missing = HashSet::from(ObjectKind::ALL);
        while let Some(change) = received.recv().await {
            if let Change::ListEnd(kind) = &change {
                missing.remove(kind);
            }
            sink(change);
            if missing.is_empty() {
                break;
            }
        }
        Ok(())
    };
    let listed = async {
        tokio::select! {
            biased;
            listed = lists => listed,
            failed = follow(client, &changes, terms) => failed,
        }
    };
    let in_time = tokio::time::timeout(LIST_LIMIT, listed).await;
    in_time.with_context(|| {
        format!("the API server's lists were not complete within {LIST_LIMIT:?}")
    })?
}

async fn follow(client: Client, events: &Sender<Change>, terms: Terms<'_>) -> anyhow::Result<()> {
    let Terms {
        node_name,
        persistence,
        recorder,
        metrics,
    } = terms;
    let services = Target::all::<Service>()
        .labels("!service.kubernetes.io/service-proxy-name")
        .fields("spec.clusterIP!=None");
    let slices = Target::all::<EndpointSlice>().labels("!service.kubernetes.io/headless");
    let nodes = match node_name {
        Some(name) => Target::all::<Node>().fields(format!("metadata.name={name}")),
        None => Target::all::<Node>(),
    };
    let log = |kind, resource: &str| {
        Log::new(kind, resource, recorder.clone(), metrics.of(resource))
            .for_once(persistence == Persistence::Once)
    };
    let mut interner = Interner::default();
    tokio::try_join!(
        Follow::new(
            client.clone(),
            services,
            ObjectKind::Service,
            events,
            log(ObjectKind::Service, &Service::plural(&())),
            |service: &Service| upsert(convert::service(service), Change::Service)
        )
        .run(persistence),
        Follow::new(
            client.clone(),
            slices,
            ObjectKind::EndpointSlice,
            events,
            log(ObjectKind::EndpointSlice, &EndpointSlice::plural(&())),
            move |slice: &EndpointSlice| {
                upsert(convert::endpoint_slice(slice, &mut interner), Change::Slice)
            }
        )
        .run(persistence),
        Follow::new(
            client.clone(),
            nodes,
            ObjectKind::Node,
            events,
            log(ObjectKind::Node, &Node::plural(&())),
            |node: &Node| upsert(convert::node(node), Change::Node)
        )
        .run(persistence),
        Follow::new(
            client,
            Target::all::<ServiceCIDR>(),
            ObjectKind::ServiceCidr,
            events,
            log(ObjectKind::ServiceCidr, &ServiceCIDR::plural(&())),
            |cidr: &ServiceCIDR| upsert(convert::service_cidr(cidr), Change::ServiceCidr)
        )
        .run(persistence),
    )
    .map(|_| ())
}

fn upsert<T>(converted: Converted<T>, event: fn(T) -> Change) -> (Option<Change>, Vec<String>) {
    (converted.object.map(event), converted.problems)
}

fn gone(kind: ObjectKind, metadata: &ObjectMeta) -> Change {
    let name = object_name(metadata);
    match kind {
        ObjectKind::Service => Change::ServiceGone(name),
        ObjectKind::EndpointSlice => Change::SliceGone(name),
        ObjectKind::Node => Change::NodeGone,
        ObjectKind::ServiceCidr => Change::ServiceCidrGone(name.name),
    }
}

#[cfg(test)]
mod tests;
