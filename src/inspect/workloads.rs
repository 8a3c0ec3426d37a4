//! What pods belong to: the Deployment of a ReplicaSet, a StatefulSet, a DaemonSet.

use super::cluster::Cluster;
use super::objects::name_of;
use super::query::Unseen;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use std::collections::BTreeMap;

/// The label that a Deployment's ReplicaSets and their pods have.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// What runs pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, or whatever controls the pods.
    pub kind: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.replicas`; `None` if it has none, or could not be seen.
    pub replicas: Option<i32>,
    /// `spec.selector`; `None` if it could not be seen.
    pub selector: Option<LabelSelector>,
    /// How many of the pods that were asked about it runs.
    pub pods: usize,
}

/// Kind and name of what controls an object; `None` if nothing does.
pub fn workload_of(metadata: &ObjectMeta) -> Option<(&str, &str)> {
    let owners = metadata.owner_references.iter().flatten();
    let mut controllers = owners.filter(|owner| owner.controller == Some(true));
    let owner = controllers.next()?;
    Some((&owner.kind, &owner.name))
}

/// The workloads of pods, with the most pods first, and what of them could not be seen. Pods that
/// nothing controls have none.
pub async fn workloads(cluster: &Cluster, pods: &[&Pod]) -> (Vec<Workload>, Vec<Unseen>) {
    let mut direct: BTreeMap<(String, String, String), Vec<&Pod>> = BTreeMap::new();
    for pod in pods {
        if let Some((kind, name)) = workload_of(&pod.metadata) {
            let namespace = name_of(*pod).namespace.to_string();
            let key = (namespace, kind.to_owned(), name.to_owned());
            direct.entry(key).or_default().push(pod);
        }
    }
    let mut unseen = Vec::new();
    let mut counted: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for ((namespace, kind, name), pods) in direct {
        let (kind, name) = match kind.as_str() {
            "ReplicaSet" => above(cluster, &namespace, &name, &pods, &mut unseen).await,
            _ => (kind, name),
        };
        *counted.entry((namespace, kind, name)).or_default() += pods.len();
    }
    let mut all = Vec::new();
    for ((namespace, kind, name), pods) in counted {
        let mut workload = Workload {
            kind,
            namespace,
            name,
            replicas: None,
            selector: None,
            pods,
        };
        if let Err(error) = fill(cluster, &mut workload).await {
            unseen.push(error);
        }
        all.push(workload);
    }
    all.sort_by_key(|workload| std::cmp::Reverse(workload.pods));
    (all, unseen)
}

/// What controls a ReplicaSet; itself if nothing does.
async fn above(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    pods: &[&Pod],
    unseen: &mut Vec<Unseen>,
) -> (String, String) {
    let own = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
    match cluster.one::<ReplicaSet>(namespace, name).await {
        Ok(Some(set)) => match workload_of(&set.metadata) {
            Some((kind, name)) => return own(kind, name),
            None => return own("ReplicaSet", name),
        },
        Ok(None) => {}
        Err(error) => unseen.push(error),
    }
    // A Deployment's ReplicaSet is called so: its name, and the hash that its pods have too.
    let hash = pods
        .iter()
        .find_map(|pod| pod.metadata.labels.as_ref()?.get(TEMPLATE_HASH));
    let deployment = hash.and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
    match deployment {
        Some(deployment) => own("Deployment", deployment),
        None => own("ReplicaSet", name),
    }
}

/// Reads a workload's replicas and selector.
async fn fill(cluster: &Cluster, workload: &mut Workload) -> Result<(), Unseen> {
    let (namespace, name) = (&workload.namespace, &workload.name);
    let spec = match workload.kind.as_str() {
        "Deployment" => {
            let found = cluster.one::<Deployment>(namespace, name).await?;
            let spec = found.map(|own| own.spec);
            spec.map(|spec| (spec.replicas, spec.selector))
        }
        "ReplicaSet" => {
            let found = cluster.one::<ReplicaSet>(namespace, name).await?;
            let spec = found.map(|own| own.spec);
            spec.map(|spec| (spec.replicas, spec.selector))
        }
        "StatefulSet" => {
            let found = cluster.one::<StatefulSet>(namespace, name).await?;
            let spec = found.map(|own| own.spec);
            spec.map(|spec| (spec.replicas, spec.selector))
        }
        "DaemonSet" => {
            let found = cluster.one::<DaemonSet>(namespace, name).await?;
            let spec = found.map(|own| own.spec);
            spec.map(|spec| (None, spec.selector))
        }
        _ => None,
    };
    if let Some((replicas, selector)) = spec {
        workload.replicas = replicas;
        workload.selector = Some(selector);
    }
    Ok(())
}
