//! The client of the API server: where it is, who we are, how often we ask.

mod access;
mod credentials;
pub(in crate::source) mod deadline;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod limiter;
mod proxy;
mod server;
mod service;
pub(in crate::source) mod tls;
pub(in crate::source) mod transport;
mod url;

use crate::kubernetes;
use crate::metrics::RestMetrics;
use crate::settings::Settings;
use access::Access;
use anyhow::Context;
use credentials::Credentials;
use http::{HeaderValue, header::USER_AGENT};
use kube::Client;
use kube::client::ClientBuilder;
use limiter::Limiter;
use service::ApiService;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the flags and the `clientConnection` of the configuration say.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Address and credentials; the pod's service account if there is neither
    /// this nor `master`.
    pub kubeconfig: Option<PathBuf>,
    /// The API server's URL, whatever the kubeconfig says.
    pub master: Option<String>,
    /// Requests per second in the long run; 0 and less for any number.
    pub qps: f32,
    /// Requests that may come at once.
    pub burst: u32,
    /// How long an answer may not begin, or stand still.
    pub silence: Duration,
}

impl ClientOptions {
    /// With upstream's default rate.
    pub fn new(kubeconfig: Option<PathBuf>, master: Option<String>) -> Self {
        Self {
            kubeconfig,
            master,
            qps: 5.0,
            burst: 10,
            silence: deadline::SILENCE,
        }
    }
}

impl From<&Settings> for ClientOptions {
    fn from(settings: &Settings) -> Self {
        let connection = &settings.config.client_connection;
        Self {
            kubeconfig: settings.source.kubeconfig.clone(),
            master: settings.source.master.clone(),
            qps: connection.qps,
            burst: u32::try_from(connection.burst).unwrap_or(0),
            silence: deadline::SILENCE,
        }
    }
}

/// A client that keeps to the rate, counts what it does, and follows
/// credentials when their files change.
///
/// # Errors
/// Names the file that cannot be used.
pub async fn client(options: &ClientOptions, metrics: &RestMetrics) -> anyhow::Result<Client> {
    let mut access = Access::new(options)?;
    let agent = format!(
        "kube-proxy/v{} ({}) kube-proxy-rs",
        env!("CARGO_PKG_VERSION"),
        kubernetes::PLATFORM
    );
    access
        .headers
        .push((USER_AGENT, HeaderValue::try_from(agent)?));
    let namespace = access.namespace.clone();
    let host: Arc<str> = access.server.authority().into();
    let service = ApiService::new(
        Credentials::new(access).context("setting up the API client")?,
        Limiter::new(options.qps, options.burst),
        metrics.clone(),
        host,
        options.silence,
    );
    Ok(ClientBuilder::new(service, namespace).build())
}

#[cfg(test)]
mod tests;
