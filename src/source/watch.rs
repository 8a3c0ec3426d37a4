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

use crate::events::Events;
use crate::metrics::WatchMetrics;
use crate::source::convert::{self, Converted, object_name};
use crate::source::intern::Interner;
use crate::source::objects::{EndpointSlice, Service};
use follow::Follow;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Client, Resource};
use log::Log;
use request::Target;
use rules::{Change, ObjectKind};
use tokio::sync::mpsc::Sender;

/// Sends all that happens to the four kinds of objects, for ever. Without an
/// API server it keeps trying, with growing pauses.
///
/// # Errors
/// The receiver is gone.
pub async fn watch(
    client: Client,
    node_name: &str,
    events: Sender<Change>,
    reports: Events,
    metrics: &WatchMetrics,
) -> anyhow::Result<()> {
    let services = Target::all::<Service>()
        .labels("!service.kubernetes.io/service-proxy-name")
        .fields("spec.clusterIP!=None");
    let slices = Target::all::<EndpointSlice>().labels("!service.kubernetes.io/headless");
    let own_node = Target::all::<Node>().fields(format!("metadata.name={node_name}"));
    let log =
        |kind, resource: &str| Log::new(kind, resource, reports.clone(), metrics.of(resource));
    let mut interner = Interner::default();
    tokio::try_join!(
        Follow::new(
            client.clone(),
            services,
            ObjectKind::Service,
            &events,
            log(ObjectKind::Service, &Service::plural(&())),
            |service: &Service| upsert(convert::service(service), Change::Service)
        )
        .run(),
        Follow::new(
            client.clone(),
            slices,
            ObjectKind::EndpointSlice,
            &events,
            log(ObjectKind::EndpointSlice, &EndpointSlice::plural(&())),
            move |slice: &EndpointSlice| {
                upsert(convert::endpoint_slice(slice, &mut interner), Change::Slice)
            }
        )
        .run(),
        Follow::new(
            client.clone(),
            own_node,
            ObjectKind::Node,
            &events,
            log(ObjectKind::Node, &Node::plural(&())),
            |node: &Node| upsert(convert::node(node), Change::Node)
        )
        .run(),
        Follow::new(
            client,
            Target::all::<ServiceCIDR>(),
            ObjectKind::ServiceCidr,
            &events,
            log(ObjectKind::ServiceCidr, &ServiceCIDR::plural(&())),
            |cidr: &ServiceCIDR| upsert(convert::service_cidr(cidr), Change::ServiceCidr)
        )
        .run(),
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
