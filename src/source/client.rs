//! The client of the API server: where it is, who we are, how often we ask.

mod credentials;
pub(in crate::source) mod deadline;
mod limiter;
mod service;

use crate::about;
use crate::metrics::RestMetrics;
use crate::settings::Settings;
use anyhow::Context;
use credentials::Credentials;
use http::{HeaderValue, header::USER_AGENT};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use limiter::Limiter;
use service::ApiService;
use std::path::{Path, PathBuf};
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
    let mut config = config(options).await?;
    // kube would try fifteen times over minutes before anybody hears of an error. Whoever asks
    // here tries again by a backoff of its own, and says what is wrong.
    config.default_retry = false;
    let agent = format!(
        "kube-proxy/v{} ({}) kube-proxy-rs",
        env!("CARGO_PKG_VERSION"),
        about::PLATFORM
    );
    config
        .headers
        .push((USER_AGENT, HeaderValue::try_from(agent)?));
    let namespace = config.default_namespace.clone();
    let host = config.cluster_url.authority();
    let host: Arc<str> = host.map_or("", |host| host.as_str()).into();
    let service = ApiService::new(
        Credentials::new(config).context("setting up the API client")?,
        Limiter::new(options.qps, options.burst),
        metrics.clone(),
        host,
        options.silence,
    );
    Ok(ClientBuilder::new(service, namespace).build())
}

async fn config(options: &ClientOptions) -> anyhow::Result<Config> {
    let master = options.master.as_deref().map(parse_master).transpose()?;
    match (&options.kubeconfig, master) {
        (Some(path), master) => from_file(path, master)
            .await
            .with_context(|| format!("--kubeconfig {}", path.display())),
        (None, Some(url)) => Ok(Config::new(url)),
        (None, None) => Config::incluster()
            .context("neither --kubeconfig nor --master, and this is not a pod of a cluster"),
    }
}

async fn from_file(path: &Path, master: Option<http::Uri>) -> anyhow::Result<Config> {
    let mut file = Kubeconfig::read_from(path)?;
    if let Some(url) = master {
        for named in &mut file.clusters {
            // A cluster that says nothing is only completed by the flag.
            named.cluster.get_or_insert_default().server = Some(url.to_string());
        }
    }
    let authority = authority_file(&file);
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    // Read again from time to time, like the one of a pod.
    config.root_cert_file = authority;
    Ok(config)
}

/// The file with the certificates of the current context's cluster, if it is one.
fn authority_file(file: &Kubeconfig) -> Option<PathBuf> {
    let current = file.current_context.as_ref()?;
    let named = file.contexts.iter().find(|own| own.name == *current)?;
    let name = &named.context.as_ref()?.cluster;
    let named = file.clusters.iter().find(|own| own.name == *name)?;
    let cluster = named.cluster.as_ref()?;
    match cluster.certificate_authority_data {
        Some(_) => None,
        None => cluster.certificate_authority.as_ref().map(PathBuf::from),
    }
}

fn parse_master(url: &str) -> anyhow::Result<http::Uri> {
    let uri: http::Uri = url
        .parse()
        .with_context(|| format!("--master {url:?}: not a URL"))?;
    anyhow::ensure!(
        uri.scheme().is_some(),
        "--master {url:?}: not a URL (https://HOST:PORT)"
    );
    Ok(uri)
}

#[cfg(test)]
mod tests;
