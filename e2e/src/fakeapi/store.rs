//! The objects, and what happened to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::behaviour::Kind;

/// Of the objects that are there before anybody asks.
pub(super) const FIRST_VERSION: u64 = 1000;
/// Older changes are forgotten.
const HISTORY: usize = 20_000;

/// How many requests came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Lists, streamed ones not among them.
    pub lists: u64,
    /// Watches, with a list before them or without.
    pub watches: u64,
}

/// A change of an object.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) kind: Kind,
    pub(super) name: String,
    /// The line that a watch sends.
    pub(super) line: Arc<str>,
}

/// Objects by kind and by `namespace/name`.
pub(super) struct Store {
    objects: BTreeMap<(Kind, String), Value>,
    history: Vec<Change>,
    /// What changed up to this version is forgotten.
    compacted: u64,
    version: u64,
    requests: Requests,
    events: Vec<Value>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            history: Vec::new(),
            compacted: FIRST_VERSION,
            version: FIRST_VERSION,
            requests: Requests::default(),
            events: Vec::new(),
        }
    }
}

impl Store {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn put(&mut self, mut object: Value) {
        let Some((kind, name)) = key(&object) else {
            return;
        };
        self.version += 1;
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = self.version.to_string().into();
        if metadata["uid"].is_null() {
            metadata["uid"] = format!("{kind:?}-{name}").into();
        }
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        let known = self.objects.contains_key(&(kind, name.clone()));
        let what = if known { "MODIFIED" } else { "ADDED" };
        self.changed(kind, &name, what, &object);
        self.objects.insert((kind, name), object);
    }

    pub(super) fn delete(&mut self, object: &Value) {
        let Some((kind, name)) = key(object) else {
            return;
        };
        if let Some(mut object) = self.objects.remove(&(kind, name.clone())) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = self.version.to_string().into();
            self.changed(kind, &name, "DELETED", &object);
        }
    }

    fn changed(&mut self, kind: Kind, name: &str, what: &str, object: &Value) {
        self.history.push(Change {
            version: self.version,
            kind,
            name: name.to_owned(),
            line: line(what, object).into(),
        });
        if self.history.len() > HISTORY {
            let mut old = self.history.drain(..HISTORY / 2);
            self.compacted = old
                .next_back()
                .map_or(self.compacted, |change| change.version);
        }
    }

    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        self.history.clear();
    }

    /// What happened to a kind after `version`, and up to which version that is; `None` if it is
    /// forgotten.
    pub(super) fn since(&self, kind: Kind, version: u64) -> Option<(Vec<Change>, u64)> {
        if version < self.compacted {
            return None;
        }
        let from = self
            .history
            .partition_point(|change| change.version <= version);
        let changes = self.history[from..].iter();
        let of_kind = changes.filter(|change| change.kind == kind).cloned();
        Some((of_kind.collect(), self.version))
    }

    pub(super) fn of_kind(&self, kind: Kind, only: Option<&str>) -> Vec<Value> {
        let objects = self.objects.iter();
        let objects = objects.filter(|((of, _), _)| *of == kind);
        objects
            .filter(|((_, name), _)| only.is_none_or(|only| name == only))
            .map(|(_, object)| object.clone())
            .collect()
    }

    pub(super) fn objects(&self) -> Vec<Value> {
        self.objects.values().cloned().collect()
    }

    pub(super) fn asked(&mut self, is_watch: bool) {
        match is_watch {
            true => self.requests.watches += 1,
            false => self.requests.lists += 1,
        }
    }

    pub(super) fn requests(&self) -> Requests {
        self.requests
    }

    pub(super) fn posted(&mut self, event: Value) {
        self.events.push(event);
    }

    pub(super) fn events(&self) -> Vec<Value> {
        self.events.clone()
    }
}

/// An event of a watch.
pub(super) fn line(what: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": what, "object": object}))
}

/// Kind and `namespace/name`, without a namespace the name alone; nothing for another kind.
fn key(object: &Value) -> Option<(Kind, String)> {
    let named = |kind: &Kind| object["kind"] == kind.about().0;
    let kind = Kind::ALL.into_iter().find(named)?;
    let name = object["metadata"]["name"].as_str()?;
    let name = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    };
    Some((kind, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> Value {
        json!({"kind": "Service", "metadata": {"name": name, "namespace": "a"}})
    }

    #[test]
    fn a_watch_gets_what_happened_since_its_version() {
        let mut store = Store::default();
        store.put(service("one"));
        let version = store.version();
        store.put(service("two"));
        store.delete(&service("one"));
        let (changes, now) = store.since(Kind::Services, version).expect("is known");
        let names: Vec<_> = changes.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(names, ["a/two", "a/one"]);
        assert!(changes[1].line.contains("DELETED"));
        assert_eq!(now, version + 2);
        assert!(
            store
                .since(Kind::Nodes, version)
                .expect("is known")
                .0
                .is_empty()
        );
        store.compact();
        assert!(
            store.since(Kind::Services, version).is_none(),
            "is forgotten"
        );
        assert!(
            store.since(Kind::Services, now).is_some(),
            "nothing is missing"
        );
    }
}
