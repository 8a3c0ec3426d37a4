//! Remedies as manifests: parts of objects that `kubectl apply --server-side` merges into those that
//! are there, or `kubectl patch --patch-file`.

use super::workload::Found;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use rules::advise::WorkloadKind;
use rules::model::{ObjectName, ServicePort, TrafficPolicy};
use serde_json::{Value, json};

const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";
/// Each revision of a Deployment is spread by itself, so that those that are replaced don't count.
const REVISION: &str = "pod-template-hash";

/// The Service with another policy.
pub(super) fn policy(service: &ObjectName, policy: TrafficPolicy) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": &*service.namespace, "name": &*service.name},
        "spec": {"externalTrafficPolicy": format!("{policy:?}")},
    })
}

/// The workload with this in its pods' spec, and so many of them.
fn workload(own: &Found, replicas: Option<usize>, pod_spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": own.workload.kind.name(),
        "metadata": {"namespace": own.workload.namespace, "name": own.workload.name},
        "spec": {"template": {"spec": pod_spec}},
    });
    if let Some(replicas) = replicas {
        object["spec"]["replicas"] = replicas.into();
    }
    object
}

fn selector(own: &Found) -> Value {
    json!({"matchLabels": own.workload.labels})
}

/// Pods as evenly over nodes as they go, and over zones.
///
/// Nodes whose taints keep the pods out don't count, or the constraint could not be met.
pub(super) fn spread(own: &Found, replicas: Option<usize>, zones: bool) -> Value {
    let constraint = |key: &str, otherwise: &str| {
        let mut constraint = json!({
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": otherwise,
            "nodeTaintsPolicy": "Honor",
            "labelSelector": selector(own),
        });
        if own.workload.kind == WorkloadKind::Deployment {
            constraint["matchLabelKeys"] = json!([REVISION]);
        }
        constraint
    };
    let mut constraints = vec![constraint(HOSTNAME, "DoNotSchedule")];
    if zones {
        constraints.push(constraint(ZONE, "ScheduleAnyway"));
    }
    workload(
        own,
        replicas,
        json!({"topologySpreadConstraints": constraints}),
    )
}

/// No two pods on one node, if that can be had.
pub(super) fn anti_affinity(own: &Found) -> Value {
    let term = json!({"topologyKey": HOSTNAME, "labelSelector": selector(own)});
    let preferred = json!([{"weight": 100, "podAffinityTerm": term}]);
    let affinity = json!({
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred},
    });
    workload(own, None, json!({"affinity": affinity}))
}

/// One pod at a time is evicted.
pub(super) fn disruption_budget(own: &Found) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"namespace": own.workload.namespace, "name": own.workload.name},
        "spec": {"maxUnavailable": 1, "selector": selector(own)},
    })
}

/// The Deployment's pods as a DaemonSet of the same name.
pub(super) fn daemon_set(own: &Found, template: &PodTemplateSpec) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "namespace": own.workload.namespace,
            "name": own.workload.name,
            "labels": own.workload.labels,
        },
        "spec": {"selector": selector(own), "template": template},
    })
}

/// An Ingress that leads to the Service.
pub(super) fn ingress(service: &ObjectName, port: &ServicePort) -> Value {
    let backend = json!({"service": {"name": &*service.name, "port": {"number": port.port}}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"namespace": &*service.namespace, "name": &*service.name},
        "spec": {"rules": [{"http": {"paths": [path]}}]},
    })
}
