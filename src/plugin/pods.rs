//! Where the proxies run.

use super::words::Words;
use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};

/// Labels of the proxies' pods: kubeadm's, which our manifest keeps, then the chart's.
const SELECTORS: [&str; 2] = ["k8s-app=kube-proxy", "app.kubernetes.io/name=kube-proxy-rs"];

/// A proxy's pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Proxy {
    pub(super) node: String,
    pub(super) pod: String,
}

/// The pods that run, in order of their nodes.
///
/// # Errors
/// There are none, with what to do.
pub(super) async fn find(client: &Client, words: &Words) -> anyhow::Result<Vec<Proxy>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &words.namespace);
    let selectors: Vec<&str> = match &words.selector {
        Some(given) => vec![given],
        None => SELECTORS.to_vec(),
    };
    let mut known = Vec::new();
    for selector in &selectors {
        let found = pods.list(&ListParams::default().labels(selector)).await;
        let found = found.with_context(|| {
            format!(
                "listing pods in namespace {} by {selector}",
                words.namespace
            )
        })?;
        known = running(&found.items);
        if !known.is_empty() {
            break;
        }
    }
    if known.is_empty() {
        bail!(
            "no pod of kube-proxy runs in namespace {} (labels {}): say where by --namespace and \
             --selector, or look from here by --local",
            words.namespace,
            selectors.join(", or ")
        );
    }
    let Some(node) = &words.node else {
        return Ok(known);
    };
    let nodes: Vec<String> = known.iter().map(|proxy| proxy.node.clone()).collect();
    known.retain(|proxy| proxy.node == *node);
    if known.is_empty() {
        bail!(
            "no pod of kube-proxy runs on node {node}; they run on {}",
            some(&nodes)
        );
    }
    Ok(known)
}

fn running(pods: &[Pod]) -> Vec<Proxy> {
    let proxy = |pod: &Pod| {
        let phase = pod.status.as_ref()?.phase.as_deref()?;
        let runs = phase == "Running" && pod.metadata.deletion_timestamp.is_none();
        let (node, pod) = (
            pod.spec.as_ref()?.node_name.clone()?,
            pod.metadata.name.clone()?,
        );
        runs.then_some(Proxy { node, pod })
    };
    let mut proxies: Vec<Proxy> = pods.iter().filter_map(proxy).collect();
    proxies.sort();
    proxies
}

fn some(nodes: &[String]) -> String {
    match nodes {
        [few @ .., _] if nodes.len() > 10 => {
            format!("{} and {} more", few[..10].join(", "), nodes.len() - 10)
        }
        nodes => nodes.join(", "),
    }
}

/// Whether the API server refuses for want of a right.
pub(super) fn is_forbidden(error: &anyhow::Error) -> bool {
    let of_kube = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<kube::Error>());
    matches!(of_kube, Some(kube::Error::Api(status)) if status.code == 403)
}
