//! The events of a watch: one JSON object a line.

use super::failure::{Failure, Refusal, Undecodable, excerpt};
use bytes::{Bytes, BytesMut};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The longest line, or object of a list, that is read. The API takes objects
/// of 1.5 MB; as JSON, with `managedFields`, they are a few times as large.
pub const MAX_OBJECT: usize = 16 << 20;

/// The bookmark that ends a streamed list has it.
const END_OF_LIST: &str = "k8s.io/initial-events-end";

/// An event.
#[derive(Debug)]
pub enum WatchEvent<K> {
    /// An object is there.
    Applied {
        /// The object.
        object: K,
        /// It was not there before, or belongs to the list that is streamed.
        added: bool,
    },
    /// An object is gone.
    Deleted {
        /// Its name, namespace and version.
        metadata: Box<ObjectMeta>,
    },
    /// Something happened to an object, but it cannot be read.
    Undecodable(Undecodable),
    /// The watch has come to a version.
    Bookmark {
        /// That version.
        version: String,
        /// Which was what the list is of, and it is complete.
        end_of_list: bool,
    },
    /// A type that is not known here: nothing that concerns an object.
    Unknown(String),
}

/// Cuts a body into lines.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    /// Up to here there is no end of a line.
    searched: usize,
    limit: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self::with_limit(MAX_OBJECT)
    }
}

impl Lines {
    fn with_limit(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            limit,
        }
    }

    /// More of the body.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole line.
    ///
    /// # Errors
    /// It is longer than can be; there is no way to go on after that.
    pub fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
        let length = self.searched + found.unwrap_or(self.buffer.len() - self.searched);
        if length > self.limit {
            let message = format!("an event of more than {} bytes", self.limit);
            return Err(Failure::Garbage(message));
        }
        if found.is_none() {
            self.searched = length;
            return Ok(None);
        }
        let mut line = self.buffer.split_to(length + 1);
        line.truncate(length);
        self.searched = 0;
        Ok(Some(line.freeze()))
    }

    /// What the body ended with, if not with a line's end.
    pub fn rest(mut self) -> Bytes {
        self.buffer.split().freeze()
    }
}

/// Reads a line; none if it is empty.
///
/// # Errors
/// It is no event, or one of type ERROR.
pub fn read<K>(line: &[u8]) -> Result<Option<WatchEvent<K>>, Failure>
where
    K: Resource + DeserializeOwned,
{
    #[derive(Deserialize)]
    struct Whole<'a, K> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        object: K,
    }
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow)]
        object: &'a RawValue,
    }
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    // What comes by the ten thousand is read in one pass.
    if let Ok(Whole::<K> { kind, object }) = serde_json::from_slice(line)
        && let kind @ ("ADDED" | "MODIFIED") = &*kind
        && has_name(&object)
    {
        let added = kind == "ADDED";
        return Ok(Some(WatchEvent::Applied { object, added }));
    }
    let garbage = |_| match Refusal::line(line) {
        // Some say what is wrong without an event around it.
        Some(refusal) => Failure::Refused(refusal),
        None => Failure::Garbage(excerpt(line)),
    };
    let line: Line<'_> = serde_json::from_slice(line).map_err(garbage)?;
    let object = line.object.get().as_bytes();
    Ok(Some(match &*line.kind {
        kind @ ("ADDED" | "MODIFIED") => match object_of(object) {
            Ok(object) => WatchEvent::Applied {
                object,
                added: kind == "ADDED",
            },
            Err(undecodable) => WatchEvent::Undecodable(undecodable),
        },
        // Whatever else is wrong with it, it is gone.
        "DELETED" => match metadata_of(object) {
            metadata if metadata.name.is_some() => WatchEvent::Deleted { metadata },
            metadata => WatchEvent::Undecodable(Undecodable {
                metadata,
                reason: "it is deleted and has no name".to_owned(),
            }),
        },
        "BOOKMARK" => {
            let metadata = metadata_of(object);
            let annotations = metadata.annotations.unwrap_or_default();
            WatchEvent::Bookmark {
                version: metadata.resource_version.unwrap_or_default(),
                end_of_list: annotations
                    .get(END_OF_LIST)
                    .is_some_and(|own| own == "true"),
            }
        }
        "ERROR" => return Err(Failure::Refused(Refusal::event(object))),
        other => WatchEvent::Unknown(excerpt(other.as_bytes())),
    }))
}

/// An object, whole or not at all.
///
/// # Errors
/// What it says of itself, and what is wrong.
pub fn object_of<K>(text: &[u8]) -> Result<K, Undecodable>
where
    K: Resource + DeserializeOwned,
{
    let undecodable = |reason: String| Undecodable {
        metadata: metadata_of(text),
        reason: excerpt(reason.as_bytes()),
    };
    let object: K = serde_json::from_slice(text).map_err(|error| undecodable(error.to_string()))?;
    if !has_name(&object) {
        return Err(undecodable("metadata.name: is missing".to_owned()));
    }
    Ok(object)
}

fn has_name(object: &impl Resource) -> bool {
    object
        .meta()
        .name
        .as_deref()
        .is_some_and(|name| !name.is_empty())
}

/// What can be read of an object's `metadata`, each part for itself.
fn metadata_of(text: &[u8]) -> Box<ObjectMeta> {
    let Ok(Value::Object(mut object)) = serde_json::from_slice(text) else {
        return Box::default();
    };
    let Some(Value::Object(mut metadata)) = object.remove("metadata") else {
        return Box::default();
    };
    let mut part = |name: &str| metadata.remove(name).unwrap_or_default();
    let text = |value: Value| value.as_str().map(str::to_owned);
    let map = |value: Value| serde_json::from_value(value).ok();
    Box::new(ObjectMeta {
        name: text(part("name")).filter(|name| !name.is_empty()),
        namespace: text(part("namespace")),
        resource_version: text(part("resourceVersion")),
        labels: map(part("labels")),
        annotations: map(part("annotations")),
        ..ObjectMeta::default()
    })
}

#[cfg(test)]
mod tests;
