//! Names that are not there, and those that may have been meant.

use super::asked::Asked;
use super::cluster::Cluster;
use super::query::{Query, Unseen};
use k8s_openapi::api::core::v1::Service;
use kube::Resource;
use kube::core::PartialObjectMeta;
use rules::model::ObjectName;
use std::collections::BTreeSet;
use std::fmt;

/// So many names are offered at the most.
const OFFERED: usize = 3;
/// From here on names are alike, from 0 to 1: two letters of three, or one pair that was swapped.
const ALIKE: f64 = 0.6;

/// There is no such Service, or none in such a namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct NotFound {
    /// What was asked for.
    pub asked: Asked,
    /// The names that are most like it, the best one first.
    pub nearest: Vec<String>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.asked {
            Asked::Service(name) => write!(f, "there is no Service {name}")?,
            Asked::Namespace(namespace) => {
                write!(f, "there is no Service in namespace {namespace}")?;
            }
            Asked::All => f.write_str("there is no Service")?,
        }
        match self.nearest.as_slice() {
            [] => f.write_str("; `kubectl get services -A` lists those that there are"),
            [one] => write!(f, "; did you mean {one}?"),
            [first @ .., last] => write!(f, "; did you mean {} or {last}?", first.join(", ")),
        }
    }
}

impl NotFound {
    /// Asks the cluster for what there is instead.
    ///
    /// # Errors
    /// Services cannot be listed.
    pub(super) async fn instead_of(cluster: &Cluster, asked: &Asked) -> Result<Self, Unseen> {
        let mut names = Vec::new();
        cluster
            .each(&Query::all(), |service: PartialObjectMeta<Service>| {
                names.push(crate::source::convert::object_name(service.meta()));
            })
            .await?;
        Ok(Self {
            asked: asked.clone(),
            nearest: nearest(asked, &names),
        })
    }
}

/// The names that are most like the one that was asked for.
pub(super) fn nearest(asked: &Asked, names: &[ObjectName]) -> Vec<String> {
    let mut scored: Vec<(f64, String)> = match asked {
        Asked::Service(asked) => {
            let score = |name: &ObjectName| {
                let namespace = alike(&asked.namespace, &name.namespace)?;
                Some((
                    namespace * alike(&asked.name, &name.name)?,
                    name.to_string(),
                ))
            };
            names.iter().filter_map(score).collect()
        }
        Asked::Namespace(asked) => {
            let namespaces: BTreeSet<&str> = names.iter().map(|name| &*name.namespace).collect();
            let score = |own: &&str| Some((alike(asked, own)?, (*own).to_owned()));
            namespaces.iter().filter_map(score).collect()
        }
        Asked::All => Vec::new(),
    };
    // A namespace that was forgotten, or mistaken for another one.
    if let (true, Asked::Service(asked)) = (scored.is_empty(), asked) {
        let same = names.iter().filter(|name| name.name == asked.name);
        scored.extend(same.map(|name| (1.0, name.to_string())));
    }
    scored.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    scored.truncate(OFFERED);
    scored.into_iter().map(|(_, name)| name).collect()
}

fn alike(asked: &str, name: &str) -> Option<f64> {
    let score = strsim::normalized_damerau_levenshtein(asked, name);
    (score > ALIKE).then_some(score)
}
