//! One file: its documents, the items of its lists, and the objects they are.

use super::ObjectKey;
use crate::source::convert::{self, Converted, object_name};
use crate::source::intern::Interner;
use crate::source::objects::{EndpointSlice, Service};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rules::model::ObjectName;
use rules::{Change, ObjectKind};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::Path;
use std::sync::Arc;

/// What is said of objects that no rule is made of.
pub(crate) const UNUSED_KIND: &str = "not a kind that is used";

/// An object of a kind that counts.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, on the heap"
)]
pub(super) enum Object {
    Service(Service),
    EndpointSlice(EndpointSlice),
    Node(Node),
    ServiceCidr(ServiceCIDR),
}

/// What stands at one place of a file.
pub(super) enum Parsed {
    Object(Box<Object>),
    /// It cannot be read, so it may be anything.
    Bad(String),
    /// It can be read, and is nothing of ours.
    Unknown(String),
}

/// What an object means.
pub(super) struct Found {
    /// `None` if it has no name, or is another node.
    pub(super) key: Option<ObjectKey>,
    /// `None` if it gets no rules.
    pub(super) event: Option<Change>,
    pub(super) problems: Vec<String>,
}

impl Object {
    fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Service(object) => &object.metadata,
            Self::EndpointSlice(object) => &object.metadata,
            Self::Node(object) => &object.metadata,
            Self::ServiceCidr(object) => &object.metadata,
        }
    }

    /// Kind and name, for messages.
    pub(super) fn label(&self) -> String {
        let name = object_name(self.metadata());
        match self {
            Self::Service(_) => format!("Service {name}"),
            Self::EndpointSlice(_) => format!("EndpointSlice {name}"),
            Self::Node(_) => format!("Node {}", name.name),
            Self::ServiceCidr(_) => format!("ServiceCIDR {}", name.name),
        }
    }
}

/// Converts an object found in the file `origin`. Of the Nodes, only the one that is called
/// `node_name` counts, if it is given.
pub(super) fn convert(
    object: &Object,
    node_name: Option<&str>,
    origin: &Arc<str>,
    interner: &mut Interner,
) -> Found {
    let name = object_name(object.metadata());
    if name.name.is_empty() {
        let problems = vec!["metadata.name: is missing".to_owned()];
        return Found {
            key: None,
            event: None,
            problems,
        };
    }
    // The object's own copy of its name, where there is an object.
    let namespaced = |kind, own: Option<&ObjectName>| {
        let own = own.unwrap_or(&name);
        (kind, own.namespace.clone(), own.name.clone())
    };
    let global = |kind| (kind, Arc::from(""), name.name.clone());
    let found = |key, event, problems| Found {
        key: Some(key),
        event,
        problems,
    };
    match object {
        Object::Service(service) => {
            let Converted { object, problems } = convert::service(service);
            let key = namespaced(ObjectKind::Service, object.as_ref().map(|own| &own.name));
            let event = object.map(|mut service| {
                service.origin = Some(origin.clone());
                Change::Service(service)
            });
            found(key, event, problems)
        }
        Object::EndpointSlice(slice) => {
            let Converted { object, problems } = convert::endpoint_slice(slice, interner);
            let key = namespaced(
                ObjectKind::EndpointSlice,
                object.as_ref().map(|own| &own.name),
            );
            found(key, object.map(Change::Slice), problems)
        }
        Object::Node(node) if node_name.is_none_or(|own| *name.name == *own) => {
            let Converted { object, problems } = convert::node(node);
            found(global(ObjectKind::Node), object.map(Change::Node), problems)
        }
        Object::Node(_) => Found {
            key: None,
            event: None,
            problems: Vec::new(),
        },
        Object::ServiceCidr(cidr) => {
            let Converted { object, problems } = convert::service_cidr(cidr);
            found(
                global(ObjectKind::ServiceCidr),
                object.map(Change::ServiceCidr),
                problems,
            )
        }
    }
}

/// An object of any kind, as JSON.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// `apiVersion`.
    pub api_version: &'a str,
    /// `kind`.
    pub kind: &'a str,
    /// All of it.
    pub text: &'a str,
}

/// Hands out everything in a file's text, with the place where it stands.
pub(super) fn text(path: &Path, text: &str, sink: &mut dyn FnMut(String, Parsed)) {
    raw(path, text, &mut |place, found| {
        sink(place, found.map_or_else(Parsed::Bad, object));
    });
}

/// The same before it is known what it is; an error says why something is no object.
pub(super) fn raw(path: &Path, text: &str, sink: &mut dyn FnMut(String, Result<Raw<'_>, String>)) {
    let name = path.display();
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        json(text, &name.to_string(), sink);
        return;
    }
    let documents = crate::yaml::documents(text);
    let several = documents.len() > 1;
    for (line, document) in documents {
        let place = if several {
            format!("{name} from line {line}")
        } else {
            name.to_string()
        };
        match yaml(document) {
            Ok(serde_json::Value::Null) => {}
            // From here on YAML and JSON are the same.
            Ok(value) => json(&value.to_string(), &place, sink),
            Err(error) => {
                let reason = error.to_string();
                let first = reason.lines().next().unwrap_or_default();
                sink(place, Err(format!("is no valid YAML: {first}")));
            }
        }
    }
}

/// Reads a YAML document. How many objects a file holds is its owner's matter;
/// the limits against aliases that multiply remain.
fn yaml(document: &str) -> Result<serde_json::Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
        },
    };
    serde_saphyr::from_str_with_options(document, options)
}

/// What every object begins with. Items stay text until their turn, so a list
/// of any length costs one object's memory at a time.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default, rename = "apiVersion")]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

fn head(text: &str) -> Result<Head<'_>, String> {
    // A sequence would be taken for the fields in their order.
    if matches!(text.trim_start().as_bytes().first(), Some(first) if *first != b'{') {
        return Err("is no valid object: it has no fields".to_owned());
    }
    serde_json::from_str(text).map_err(|error| format!("is no valid object: {error}"))
}

fn json(text: &str, place: &str, sink: &mut dyn FnMut(String, Result<Raw<'_>, String>)) {
    let head = match head(text) {
        Ok(head) => head,
        Err(message) => return sink(place.to_owned(), Err(message)),
    };
    let Some(item_kind) = head.kind.strip_suffix("List") else {
        let whole = Raw {
            api_version: &head.api_version,
            kind: &head.kind,
            text,
        };
        return sink(place.to_owned(), Ok(whole));
    };
    for (at, item) in head.items.into_iter().flatten().enumerate() {
        let place = format!("{place} items[{at}]");
        let text = item.get();
        match self::head(text) {
            Err(message) => sink(place, Err(message)),
            Ok(own) => {
                // The items of a ServiceList need not say that they are Services.
                let (api_version, kind) = match own.kind.as_str() {
                    "" => (&*head.api_version, item_kind),
                    kind => (&*own.api_version, kind),
                };
                let item = Raw {
                    api_version,
                    kind,
                    text,
                };
                sink(place, Ok(item));
            }
        }
    }
}

fn object(raw: Raw<'_>) -> Parsed {
    let Raw {
        api_version,
        kind,
        text,
    } = raw;
    fn read<T: for<'a> Deserialize<'a>>(kind: &str, text: &str, make: fn(T) -> Object) -> Parsed {
        match serde_json::from_str(text) {
            Ok(object) => Parsed::Object(Box::new(make(object))),
            Err(error) => Parsed::Bad(format!("{kind} {}: {error}", name_in(text))),
        }
    }
    match (api_version, kind) {
        ("v1", "Service") => read(kind, text, Object::Service),
        ("discovery.k8s.io/v1", "EndpointSlice") => read(kind, text, Object::EndpointSlice),
        ("v1", "Node") => read(kind, text, Object::Node),
        ("networking.k8s.io/v1", "ServiceCIDR") => read(kind, text, Object::ServiceCidr),
        ("", "") => Parsed::Unknown("has neither apiVersion nor kind; left out".to_owned()),
        _ => Parsed::Unknown(format!(
            "{kind} {} of {api_version}: {UNUSED_KIND} (v1 Service and Node, \
             discovery.k8s.io/v1 EndpointSlice, networking.k8s.io/v1 ServiceCIDR); left out",
            name_in(text)
        )),
    }
}

/// The object's name, where at least that can be read.
fn name_in(text: &str) -> String {
    #[derive(Deserialize)]
    struct Named {
        metadata: Option<Metadata>,
    }
    #[derive(Deserialize)]
    struct Metadata {
        namespace: Option<String>,
        name: Option<String>,
    }
    let named = serde_json::from_str::<Named>(text)
        .ok()
        .and_then(|named| named.metadata);
    match named {
        Some(Metadata {
            namespace: Some(namespace),
            name: Some(name),
        }) => {
            format!("{namespace}/{name}")
        }
        Some(Metadata {
            name: Some(name), ..
        }) => name,
        _ => "without a name".to_owned(),
    }
}
