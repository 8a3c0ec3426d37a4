//! What is asked for, and why it could not be had.

use kube::Resource;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt;

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
