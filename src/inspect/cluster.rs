//! Objects of the API, asked for one kind at a time.

use super::api::Api;
use super::files::Files;
use super::query::{Object, Query, Unseen};
use crate::settings::Settings;
use kube::Resource;

/// Where objects are asked for.
pub struct Cluster(From);

enum From {
    Api(Api),
    Files(Files),
}

impl Cluster {
    /// From where the settings say. Nothing is asked yet of an API server; a directory is read.
    ///
    /// # Errors
    /// Credentials or directory cannot be used.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let from = match &settings.source.manifests {
            Some(directory) => From::Files(Files::read(directory)?),
            None => From::Api(Api::new(settings).await?),
        };
        Ok(Self(from))
    }

    /// What a report's source is called: `api` or `manifests`.
    pub fn source(&self) -> &'static str {
        match &self.0 {
            From::Api(_) => "api",
            From::Files(_) => "manifests",
        }
    }

    /// Whether the objects stand in files: then there is no cluster to ask, no kernel to compare
    /// with, and to look at all of them costs nothing more.
    pub fn is_files(&self) -> bool {
        matches!(self.0, From::Files(_))
    }

    /// Files and objects that could not be read, a line each.
    pub fn problems(&self) -> &[String] {
        match &self.0 {
            From::Api(_) => &[],
            From::Files(files) => files.problems(),
        }
    }

    /// The objects of a kind that a query means, in the order of the API.
    ///
    /// # Errors
    /// They could not be had; the error names a right that is missing.
    pub async fn list<K: Object>(&self, query: &Query) -> Result<Vec<K>, Unseen> {
        let mut all = Vec::new();
        self.each(query, |object| all.push(object)).await?;
        Ok(all)
    }

    /// Hands the same out one by one, so that who needs little of each holds little.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn each<K: Object>(
        &self,
        query: &Query,
        mut take: impl FnMut(K),
    ) -> Result<(), Unseen> {
        match &self.0 {
            From::Api(api) => api.each(query, &mut take).await,
            From::Files(files) => files.each(query, &mut take),
        }
    }

    /// An object of a namespace by its name; `None` if there is none.
    ///
    /// It is listed, not got: `list` is the right that a kube-proxy has.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn one<K: Object + Resource<Scope = kube::core::NamespaceResourceScope>>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<K>, Unseen> {
        let query = Query::namespace(namespace).named(name);
        let found = self.list(&query).await?;
        let is_it = |object: &K| object.meta().name.as_deref() == Some(name);
        Ok(found.into_iter().find(is_it))
    }
}
