//! Objects go to an API server that refuses fields it doesn't know.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::controlplane::Api;
use e2e::wait;
use serde_json::Value;

use crate::chart::checkout;
use crate::chart::helm::MANIFEST;
use crate::report::Cases;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const KINDS: [&str; 3] = ["servicemonitors", "podmonitors", "prometheusrules"];

/// Applies everything.
pub(crate) fn all(cases: &mut Cases, api: &Api, rendered: &[(String, String)]) {
    cases.case("the Prometheus operator's definitions", || define(api));
    cases.case("unknown fields are refused", || strictness(api));
    for (name, text) in rendered {
        cases.case(name, || stream(api, text));
    }
    cases.case(MANIFEST, || {
        stream(api, &std::fs::read_to_string(checkout(MANIFEST))?)
    });
}

/// The Prometheus operator's kinds, as its authors publish them.
fn define(api: &Api) -> Result<()> {
    let directory = definitions()?;
    for kind in KINDS {
        let path = Path::new(&directory).join(format!("monitoring.coreos.com_{kind}.yaml"));
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let path = format!("{DEFINITIONS}/{kind}.monitoring.coreos.com");
        api.apply(&path, &text)?;
        wait::until(kind, Duration::from_secs(30), || {
            let state: Value = serde_json::from_str(&api.get(&path)?)?;
            let conditions = state["status"]["conditions"].as_array();
            let established = conditions.into_iter().flatten().any(|condition| {
                condition["type"] == "Established" && condition["status"] == "True"
            });
            ensure!(established, "not established");
            // The handler follows a moment later.
            api.get(&format!("/apis/monitoring.coreos.com/v1/{kind}"))
                .map(drop)
        })?;
    }
    Ok(())
}

/// `make chart` downloads them and says where they are.
fn definitions() -> Result<String> {
    let path = e2e::target_directory().join("tools/crds");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("read {}: `make chart` writes it", path.display()))?;
    Ok(text.trim().to_owned())
}

/// One object with a field too many of each sort: what is applied below is really looked at.
fn strictness(api: &Api) -> Result<()> {
    let metadata = "metadata: {name: stray, namespace: kube-system}";
    for (version, kind, rest) in [
        ("v1", "ConfigMap", "dota: {}"),
        ("v1", "ConfigMap", "data: {a: b}\ndata: {a: c}"),
        (
            "monitoring.coreos.com/v1",
            "PodMonitor",
            "spec: {selector: {}, podMetricsEndpoint: []}",
        ),
    ] {
        let text = format!("apiVersion: {version}\nkind: {kind}\n{metadata}\n{rest}\n");
        let name = format!("{kind} with {rest}");
        let path = path(version, kind, Some("kube-system"), "stray");
        match api.apply(&path, &text) {
            Ok(()) => bail!("{name} is taken"),
            Err(error) => {
                let error = format!("{error:#}");
                ensure!(
                    error.contains("strict decoding")
                        || error.contains("already set in map")
                        || error.contains("field not declared"),
                    "{name}: {error}"
                );
            }
        }
    }
    Ok(())
}

/// Applies every document of a stream.
pub(crate) fn stream(api: &Api, stream: &str) -> Result<()> {
    let mut applied = 0;
    for text in documents(stream) {
        let object: Value = serde_saphyr::from_str(&text).context("parse what Helm rendered")?;
        let field = |pointer: &str| {
            let value = object.pointer(pointer).and_then(Value::as_str);
            value.with_context(|| format!("no {pointer} in {text}"))
        };
        let namespace = object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        let path = path(
            field("/apiVersion")?,
            field("/kind")?,
            namespace,
            field("/metadata/name")?,
        );
        api.apply(&path, &text)?;
        applied += 1;
    }
    ensure!(applied > 0, "nothing is rendered");
    helm_left_nothing_out(stream, applied)
}

/// A document that does not begin in the first column would be missed.
fn helm_left_nothing_out(stream: &str, applied: usize) -> Result<()> {
    let kinds = stream
        .lines()
        .filter(|line| line.starts_with("kind: "))
        .count();
    ensure!(kinds == applied, "{kinds} kinds, {applied} objects applied");
    Ok(())
}

/// The documents that hold more than comments.
fn documents(stream: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in stream.lines() {
        if line == "---" {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    documents.retain(|text| {
        let lines = text.lines().map(str::trim);
        lines
            .into_iter()
            .any(|line| !line.is_empty() && !line.starts_with('#'))
    });
    documents
}

fn path(version: &str, kind: &str, namespace: Option<&str>, name: &str) -> String {
    let root = if version.contains('/') { "apis" } else { "api" };
    let plural = format!("{}s", kind.to_lowercase());
    match namespace {
        Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("/{root}/{version}/{plural}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_without_contents_are_none() {
        let stream = "# a comment\n---\na: 1\n---\n\n# another\n---\nb: |\n  ---\n";
        assert_eq!(documents(stream), ["a: 1\n", "b: |\n  ---\n"]);
    }

    #[test]
    fn paths_are_the_api_servers() {
        let daemonset = path("apps/v1", "DaemonSet", Some("kube-system"), "a");
        assert_eq!(
            daemonset,
            "/apis/apps/v1/namespaces/kube-system/daemonsets/a"
        );
        assert_eq!(path("v1", "Namespace", None, "a"), "/api/v1/namespaces/a");
    }
}
