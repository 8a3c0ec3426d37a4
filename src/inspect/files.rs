//! From the files of a directory.

use super::query::{Object, Query, Unseen, words};
use crate::source::raw_objects;
use anyhow::Context;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Kind with group and version, namespace and name.
type Key = (String, String, String);

pub(super) struct Files {
    /// As JSON; of several of one name the first file's, as the daemon has it.
    objects: BTreeMap<Key, String>,
    problems: Vec<String>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    namespace: Option<String>,
    name: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

impl Files {
    pub(super) fn read(directory: &Path) -> anyhow::Result<Self> {
        let mut objects = BTreeMap::new();
        let problems = raw_objects(directory, &mut |object| {
            let named: Named = serde_json::from_str(object.text)?;
            let kind = format!("{} {}", object.api_version, object.kind);
            // As the API server would put it there; what has no namespace is found by its kind.
            let namespace = named.metadata.namespace;
            let namespace = namespace.unwrap_or_else(|| "default".to_owned());
            let key = (kind, namespace, named.metadata.name.unwrap_or_default());
            objects.entry(key).or_insert_with(|| object.text.to_owned());
            Ok(())
        });
        let problems =
            problems.with_context(|| format!("reading --manifests {}", directory.display()))?;
        Ok(Self { objects, problems })
    }

    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    pub(super) fn each<K: Object>(
        &self,
        query: &Query,
        take: &mut impl FnMut(K),
    ) -> Result<(), Unseen> {
        let kind = format!("{} {}", K::api_version(&()), K::kind(&()));
        let of_kind = self
            .objects
            .range((kind.clone(), String::new(), String::new())..)
            .take_while(|((own, ..), _)| *own == kind);
        for ((_, namespace, name), text) in of_kind {
            let elsewhere = query.namespace.as_ref().is_some_and(|own| own != namespace);
            if elsewhere || query.name.as_ref().is_some_and(|own| own != name) {
                continue;
            }
            let read = || -> serde_json::Result<Option<K>> {
                if !query.labels.is_empty() {
                    let named: Named = serde_json::from_str(text)?;
                    let labels = named.metadata.labels.unwrap_or_default();
                    let has = |(key, value)| labels.get(key) == Some(value);
                    if !query.labels.iter().all(has) {
                        return Ok(None);
                    }
                }
                serde_json::from_str(text).map(Some)
            };
            match read() {
                Ok(object) => object.into_iter().for_each(&mut *take),
                Err(error) => {
                    return Err(Unseen {
                        what: words::<K>(query),
                        error: format!("{} {namespace}/{name}: {error}", K::kind(&())),
                        right: None,
                    });
                }
            }
        }
        Ok(())
    }
}
