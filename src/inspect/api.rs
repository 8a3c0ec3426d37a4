//! From an API server, in pages.

use super::query::{Object, Query, Unseen, selector, words};
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::source::{self, ClientOptions, describe};
use anyhow::Context;
use form_urlencoded::Serializer;
use http::Request;
use kube::Client;
use serde::Deserialize;
use std::time::Duration;

/// How many objects one page holds; as many as kubectl asks for.
const PAGE_SIZE: &str = "500";
/// A question is not answered by more pages: as many objects as the largest clusters have.
const PAGES: usize = 1000;
/// How long a question may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Requests per second, and at once: kubectl's.
const RATE: (f32, u32) = (50.0, 300);

pub(super) struct Api {
    client: Client,
}

#[derive(Deserialize)]
#[serde(bound = "K: for<'a> Deserialize<'a>")]
struct Page<K> {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default = "Vec::new")]
    items: Vec<K>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    token: Option<String>,
}

impl Api {
    pub(super) async fn new(settings: &Settings) -> anyhow::Result<Self> {
        // Counted as the daemon counts, and shown to nobody.
        let metrics = Metrics::new().context("registering the metrics")?;
        let (qps, burst) = RATE;
        let options = ClientOptions {
            qps,
            burst,
            ..ClientOptions::from(settings)
        };
        let client = source::client(&options, metrics.rest()).await?;
        Ok(Self { client })
    }

    pub(super) async fn each<K: Object>(
        &self,
        query: &Query,
        take: &mut impl FnMut(K),
    ) -> Result<(), Unseen> {
        let unseen = |error: String, right| Unseen {
            what: words::<K>(query),
            error,
            right,
        };
        let pages = async {
            let mut token = None;
            for _ in 0..PAGES {
                let page = self.page(query, token.as_deref()).await?;
                page.items.into_iter().for_each(&mut *take);
                token = page.metadata.token.filter(|token| !token.is_empty());
                if token.is_none() {
                    break;
                }
            }
            Ok(())
        };
        match tokio::time::timeout(LIMIT, pages).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let right = is_forbidden(&error).then(|| right::<K>(query));
                Err(unseen(describe(&error), right))
            }
            Err(_) => Err(unseen(format!("no answer within {LIMIT:?}"), None)),
        }
    }

    async fn page<K: Object>(
        &self,
        query: &Query,
        token: Option<&str>,
    ) -> Result<Page<K>, kube::Error> {
        let mut text = Serializer::new(String::new());
        text.append_pair("limit", PAGE_SIZE);
        if let Some(name) = &query.name {
            text.append_pair("fieldSelector", &format!("metadata.name={name}"));
        }
        if !query.labels.is_empty() {
            text.append_pair("labelSelector", &selector(&query.labels));
        }
        if let Some(token) = token {
            text.append_pair("continue", token);
        }
        let path = K::url_path(&(), query.namespace.as_deref());
        let request = Request::get(format!("{path}?{}", text.finish()))
            .body(Vec::new())
            .map_err(kube::Error::HttpError)?;
        self.client.request(request).await
    }
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// As an administrator would grant it.
fn right<K: Object>(query: &Query) -> String {
    let (group, plural) = (K::group(&()), K::plural(&()));
    let resource = match &*group {
        "" => plural.into_owned(),
        group => format!("{plural}.{group}"),
    };
    match &query.namespace {
        Some(namespace) => format!("list {resource} in namespace {namespace}"),
        None => format!("list {resource}"),
    }
}
