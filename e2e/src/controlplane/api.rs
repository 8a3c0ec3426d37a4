//! The harness's own client of the API server.

use std::path::Path;

use anyhow::{Context, Result};
use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::Namespace;

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

    /// Merges `change` into an object; returns what became of it.
    ///
    /// # Errors
    /// What the server or the connection says; with the request.
    pub fn patch(&self, path: &str, change: &Value) -> Result<Value> {
        let kind = "application/merge-patch+json";
        let changed = self.send(Method::PATCH, path, kind, &change.to_string())?;
        Ok(serde_json::from_str(&changed)?)
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
