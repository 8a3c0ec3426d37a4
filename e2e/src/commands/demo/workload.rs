//! What runs the pods, for the commands that say what to do about them.

use e2e::Pod;
use serde_json::{Value, json};

/// Labels of the pods, as the Services select them.
pub(crate) fn labels() -> Value {
    json!({"app": "echo"})
}

/// A Deployment and these pods of it.
pub(crate) fn manifests(pods: &[&Pod]) -> Vec<Value> {
    let spec = json!({"containers": [{"name": "echo", "image": "registry.example/echo:1"}]});
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "echo", "namespace": "default"},
        "spec": {
            "replicas": pods.len(),
            "selector": {"matchLabels": labels()},
            "template": {"metadata": {"labels": labels()}, "spec": spec},
        },
    });
    let pods = pods.iter().map(|pod| {
        let mut spec = spec.clone();
        spec["nodeName"] = json!(pod.node());
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod.name(), "namespace": "default", "labels": labels()},
            "spec": spec,
        })
    });
    std::iter::once(deployment).chain(pods).collect()
}
