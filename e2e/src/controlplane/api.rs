//! The harness's own client of the API server.

use std::path::Path;

use anyhow::{Context, Result};
use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::Namespace;

/// How many requests are under way when many are made.
const AT_A_TIME: usize = 48;

/// Plain requests, made from the control plane's namespace.
pub struct Api {
    runtime: Runtime,
    client: Client,
    namespace: String,
}

impl Api {
    /// A client by this kubeconfig; nothing is sent yet.
    pub(crate) fn connect(namespace: &Namespace, kubeconfig: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            anyhow::Ok(Client::try_from(config)?)
        })?;
        Ok(Self {
            runtime,
            client,
            namespace: namespace.name().to_owned(),
        })
    }

    /// The object or collection at `path`, as text.
    ///
    /// # Errors
    /// What the server or the connection says; with the request.
    pub fn get(&self, path: &str) -> Result<String> {
        self.send(Method::GET, path, "", "")
    }

    /// Creates an object; returns it with what the server added.
    ///
    /// # Errors
    /// What the server or the connection says; with the request.
    pub fn post(&self, path: &str, object: &Value) -> Result<Value> {
        let created = self.send(Method::POST, path, "application/json", &object.to_string())?;
        Ok(serde_json::from_str(&created)?)
    }

    /// Creates a Node with its status, which the server takes by another request.
    ///
    /// # Errors
    /// What the server or the connection says; with the request.
    pub fn post_node(&self, node: &Value) -> Result<()> {
        self.post("/api/v1/nodes", node)?;
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        let status = json!({"status": node["status"]});
        self.patch(&format!("/api/v1/nodes/{name}/status"), &status)
            .map(drop)
    }

    /// Merges `change` into an object; returns what became of it.
    ///
    /// # Errors
    /// What the server or the connection says; with the request.
    pub fn patch(&self, path: &str, change: &Value) -> Result<Value> {
        let kind = "application/merge-patch+json";
        let changed = self.send(Method::PATCH, path, kind, &change.to_string())?;
        Ok(serde_json::from_str(&changed)?)
    }

    /// Applies an object on the server's side, given as YAML; a field that it doesn't know, or
    /// that is there twice, is an error.
    ///
    /// # Errors
    /// What the server or the connection says; with the request.
    pub fn apply(&self, path: &str, yaml: &str) -> Result<()> {
        let kind = "application/apply-patch+yaml";
        let path = format!("{path}?fieldManager=e2e&force=true&fieldValidation=Strict");
        self.send(Method::PATCH, &path, kind, yaml).map(drop)
    }

    /// Deletes an object at once.
    ///
    /// # Errors
    /// What the server or the connection says; with the request.
    pub fn delete(&self, path: &str) -> Result<()> {
        let path = format!("{path}?gracePeriodSeconds=0");
        self.send(Method::DELETE, &path, "", "").map(drop)
    }

    /// Deletes every object of a collection with this label.
    ///
    /// # Errors
    /// What the server or the connection says; with the request.
    pub fn delete_labelled(&self, collection: &str, label: &str) -> Result<()> {
        let path = format!("{collection}?labelSelector={label}");
        self.send(Method::DELETE, &path, "", "").map(drop)
    }

    /// Creates many objects, given as collection and object, many at a time.
    ///
    /// # Errors
    /// What the server or the connection says of the first that fails; with the request.
    pub fn post_all(
        &self,
        objects: impl IntoIterator<Item = (String, Value)> + Send,
    ) -> Result<()> {
        self.send_all(Method::POST, "application/json", objects)
    }

    /// Merges many changes, given as object and change, many at a time.
    ///
    /// # Errors
    /// What the server or the connection says of the first that fails; with the request.
    pub fn patch_all(
        &self,
        changes: impl IntoIterator<Item = (String, Value)> + Send,
    ) -> Result<()> {
        self.send_all(Method::PATCH, "application/merge-patch+json", changes)
    }

    fn send_all(
        &self,
        method: Method,
        kind: &str,
        bodies: impl IntoIterator<Item = (String, Value)> + Send,
    ) -> Result<()> {
        Namespace::run_in(&self.namespace, || {
            self.runtime.block_on(async {
                let mut under_way = JoinSet::new();
                for (path, body) in bodies {
                    if under_way.len() >= AT_A_TIME
                        && let Some(done) = under_way.join_next().await
                    {
                        done??;
                    }
                    let what = format!("{method} {path}");
                    let request = Request::builder()
                        .method(method.clone())
                        .uri(path)
                        .header("content-type", kind)
                        .body(body.to_string().into_bytes())?;
                    let client = self.client.clone();
                    under_way.spawn(async move {
                        client.request_text(request).await.context(what)?;
                        anyhow::Ok(())
                    });
                }
                while let Some(done) = under_way.join_next().await {
                    done??;
                }
                anyhow::Ok(())
            })
        })?
    }

    fn send(&self, method: Method, path: &str, kind: &str, body: &str) -> Result<String> {
        let what = format!("{method} {path}");
        let mut request = Request::builder().method(method).uri(path);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let request = request.body(body.as_bytes().to_vec())?;
        // The runtime's sockets belong to the namespace of the thread that drives it.
        Namespace::run_in(&self.namespace, || {
            self.runtime.block_on(self.client.request_text(request))
        })?
        .with_context(|| what)
    }
}
