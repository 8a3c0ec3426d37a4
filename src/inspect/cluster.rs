//! Objects of the API, asked for one kind at a time.

use super::api::Api;
use super::files::Files;
use crate::settings::Settings;
use kube::Resource;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt;

/// Where objects are asked for.
pub struct Cluster(From);

enum From {
    Api(Api),
    Files(Files),
}

/// Which objects of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Those of one namespace; `None` for all of them.
    pub namespace: Option<String>,
    /// The one of that name.
    pub name: Option<String>,
    /// Those that have all these labels.
    pub labels: BTreeMap<String, String>,
}

impl Query {
    /// All that there are.
    pub fn all() -> Self {
        Self::default()
    }

    /// All of a namespace.
    pub fn namespace(namespace: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            ..Self::default()
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Those of them with these labels.
    #[must_use]
    pub fn labels<'a>(mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let labels = labels.into_iter();
        let owned = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.labels.extend(owned);
        self
    }
}

/// Objects that could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Unseen {
    /// Which: `pods of namespace shop`.
    pub what: String,
    /// Why, in one line.
    pub error: String,
    /// The right that is missing, if it is for want of one: `list pods in namespace shop`.
    pub right: Option<String>,
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} not looked at: {}", self.what, self.error)?;
        match &self.right {
            Some(right) => write!(f, "; needs the right to {right}"),
            None => Ok(()),
        }
    }
}

/// What can be asked for.
pub trait Object: Resource<DynamicType = ()> + DeserializeOwned {}

impl<K: Resource<DynamicType = ()> + DeserializeOwned> Object for K {}

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

/// What a query asks for, in words.
pub(super) fn words<K: Object>(query: &Query) -> String {
    let plural = K::plural(&());
    let mut words = match (&query.name, &query.namespace) {
        (Some(name), Some(namespace)) => {
            return format!("{} {namespace}/{name}", K::kind(&()));
        }
        (Some(name), None) => return format!("{} {name}", K::kind(&())),
        (None, Some(namespace)) => format!("{plural} of namespace {namespace}"),
        (None, None) => plural.into_owned(),
    };
    if !query.labels.is_empty() {
        words = format!("{words} with {}", selector(&query.labels));
    }
    words
}

/// Labels as a selector has them.
pub(super) fn selector(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<String>>().join(",")
}
