//! What runs a Service's pods.

use crate::inspect::{self, Cluster, Facts, Query, selector_of};
use crate::report::Source;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{PodTemplateSpec, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use rules::advise::{Workload, WorkloadKind};
use std::collections::BTreeMap;

/// The workload with what patches need of it.
pub(super) struct Found {
    pub(super) workload: Workload,
    /// `spec.replicas`.
    pub(super) replicas: Option<i32>,
    /// `spec.template`; `None` if it could not be seen.
    pub(super) template: Option<PodTemplateSpec>,
}

/// The workload that runs most of a Service's pods; and what of the way there could not be seen.
pub(super) async fn of(
    cluster: &Cluster,
    facts: &Facts,
    service: &Service,
) -> (Option<Found>, Vec<Source>) {
    let source = |unseen: &inspect::Unseen| {
        Source::unseen(
            format!("{}: {}", cluster.source(), unseen.what),
            unseen.to_string(),
        )
    };
    let Some(selector) = selector_of(service) else {
        return (None, Vec::new());
    };
    let pods = facts.pods_of(service).unwrap_or_default();
    let (workloads, unseen) = inspect::workloads(cluster, &pods).await;
    let mut sources: Vec<Source> = unseen.iter().map(source).collect();
    let Some(owner) = workloads.into_iter().next() else {
        // Files seldom have pods; what makes them is told by its template.
        let namespace = inspect::name_of(service).namespace;
        return match by_template(cluster, &namespace, selector).await {
            Ok(found) => (found, sources),
            Err(unseen) => {
                sources.push(source(&unseen));
                (None, sources)
            }
        };
    };
    let kind = WorkloadKind::new(&owner.kind);
    // What cannot be seen has been told of above.
    let template = match kind {
        WorkloadKind::Deployment => {
            let found = cluster
                .one::<Deployment>(&owner.namespace, &owner.name)
                .await;
            found.ok().flatten().map(|own| own.spec.template)
        }
        _ => None,
    };
    let labels = owner.selector.as_ref().and_then(match_labels);
    let found = Found {
        workload: Workload {
            kind,
            namespace: owner.namespace,
            name: owner.name,
            labels: labels.unwrap_or_else(|| selector.clone()),
        },
        replicas: owner.replicas,
        template,
    };
    (Some(found), sources)
}

fn match_labels(selector: &LabelSelector) -> Option<BTreeMap<String, String>> {
    selector
        .match_labels
        .clone()
        .filter(|labels| !labels.is_empty())
}

/// The first workload whose pods the selector chooses.
async fn by_template(
    cluster: &Cluster,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Result<Option<Found>, inspect::Unseen> {
    let all = Query::namespace(namespace);
    for Deployment { metadata, spec, .. } in cluster.list(&all).await? {
        if makes(&spec.template, labels) {
            let own = (WorkloadKind::Deployment, spec.replicas, spec.selector);
            return Ok(Some(found(metadata, own, spec.template, labels)));
        }
    }
    for StatefulSet { metadata, spec, .. } in cluster.list(&all).await? {
        if makes(&spec.template, labels) {
            let own = (WorkloadKind::StatefulSet, spec.replicas, spec.selector);
            return Ok(Some(found(metadata, own, spec.template, labels)));
        }
    }
    for DaemonSet { metadata, spec, .. } in cluster.list(&all).await? {
        if makes(&spec.template, labels) {
            let own = (WorkloadKind::DaemonSet, None, spec.selector);
            return Ok(Some(found(metadata, own, spec.template, labels)));
        }
    }
    Ok(None)
}

/// Whether pods of a template have these labels.
fn makes(template: &PodTemplateSpec, labels: &BTreeMap<String, String>) -> bool {
    let own = template
        .metadata
        .as_ref()
        .and_then(|own| own.labels.as_ref());
    let has = |(key, value)| own.and_then(|own| own.get(key)) == Some(value);
    labels.iter().all(has)
}

fn found(
    metadata: ObjectMeta,
    (kind, replicas, selector): (WorkloadKind, Option<i32>, LabelSelector),
    template: PodTemplateSpec,
    labels: &BTreeMap<String, String>,
) -> Found {
    Found {
        workload: Workload {
            kind,
            namespace: metadata.namespace.unwrap_or_else(|| "default".to_owned()),
            name: metadata.name.unwrap_or_default(),
            labels: match_labels(&selector).unwrap_or_else(|| labels.clone()),
        },
        replicas,
        template: Some(template),
    }
}
