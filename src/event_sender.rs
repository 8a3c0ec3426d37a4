//! The task that sends events to the API server.

mod budget;

use crate::events::{Event, Message, Regarding};
use crate::source::{describe, describe_status};
use budget::Budget;
use k8s_openapi::api::core::v1::{ObjectReference, Service};
use k8s_openapi::api::events::v1::Event as ApiEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, Error};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;

/// The reporting controller, and what its instance's name begins with.
const CONTROLLER: &str = "kube-proxy";
/// Events about objects without a namespace are here.
const DEFAULT_NAMESPACE: &str = "default";
/// How often one event is tried; that is two minutes, as upstream has it.
const TRIES: u32 = 12;
const PAUSE: Duration = Duration::from_secs(10);
/// For one answer of the API server.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The API server's own limit of a note, in bytes.
const NOTE_LIMIT: usize = 1024;
/// The API server's own limit of an object's name, in bytes.
const NAME_LIMIT: usize = 253;

/// Sends what comes, until nothing can come any more. What the API server does
/// not take is left out.
pub async fn send(client: Client, node_name: Arc<str>, mut queue: Receiver<Message>) {
    let sender = Sender {
        client,
        node_name,
        instance: instance(),
    };
    let mut budget = Budget::new(Instant::now());
    while let Some(message) = queue.recv().await {
        match message {
            Message::Event(event) if budget.allows(&event, Instant::now()) => {
                sender.insist(&event).await;
            }
            Message::Event(event) => tracing::debug!(
                "no event about {:?}: said already, or too many: {}",
                event.regarding,
                event.note
            ),
            // Whoever asked may have stopped waiting.
            Message::Flush(done) => drop(done.send(())),
        }
    }
}

/// Whether the API server will say the same next time. A token may be renewed,
/// and who asks too often may ask later.
fn is_final(code: u16) -> bool {
    (400..500).contains(&code) && !matches!(code, 401 | 408 | 429)
}

/// Upstream's: the controller and the host's own name.
fn instance() -> String {
    let host = gethostname::gethostname();
    format!("{CONTROLLER}-{}", host.to_string_lossy())
}

struct Sender {
    client: Client,
    node_name: Arc<str>,
    instance: String,
}

impl Sender {
    /// Tries until it is there, or cannot be.
    async fn insist(&self, event: &Event) {
        // Made once: a second try of one that came through after all is refused, as is one
        // that another node has sent.
        let api_event = self.api_event(event, Timestamp::now());
        let mut problem = String::new();
        for _ in 0..TRIES {
            let tried = tokio::time::timeout(TIMEOUT, self.create(event, api_event.clone())).await;
            problem = match tried {
                Ok(Ok(())) => return,
                Ok(Err(Error::Api(status))) if status.code == 409 => return,
                Ok(Err(Error::Api(status))) if is_final(status.code) => {
                    problem = describe_status(&status);
                    break;
                }
                Ok(Err(error)) => describe(&error),
                Err(_) => format!("no answer within {TIMEOUT:?}"),
            };
            tracing::debug!("event {}: {problem}; trying again", event.reason);
            tokio::time::sleep(PAUSE).await;
        }
        tracing::warn!("event {} is not sent: {problem}", event.reason);
    }

    async fn create(&self, event: &Event, mut api_event: ApiEvent) -> Result<(), Error> {
        if let (Regarding::Service(name), Some(regarding)) =
            (&event.regarding, &mut api_event.regarding)
        {
            // `kubectl describe` shows only events with the object's own uid.
            regarding.uid = self.uid(&name.namespace, &name.name).await?;
        }
        let namespace = api_event.metadata.namespace.clone();
        let namespace = namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let events = Api::<ApiEvent>::namespaced(self.client.clone(), namespace);
        events.create(&PostParams::default(), &api_event).await?;
        Ok(())
    }

    /// A Service's uid, by a list of one: there is no right to get.
    async fn uid(&self, namespace: &str, name: &str) -> Result<Option<String>, Error> {
        let services = Api::<Service>::namespaced(self.client.clone(), namespace);
        let own = ListParams::default().fields(&format!("metadata.name={name}"));
        let found = services.list_metadata(&own).await?.items;
        Ok(found.into_iter().find_map(|object| object.metadata.uid))
    }

    fn api_event(&self, event: &Event, now: Timestamp) -> ApiEvent {
        let regarding = match &event.regarding {
            Regarding::Node => ObjectReference {
                kind: Some("Node".to_owned()),
                name: Some(self.node_name.to_string()),
                ..ObjectReference::default()
            },
            Regarding::Service(name) => ObjectReference {
                kind: Some("Service".to_owned()),
                name: Some(name.name.to_string()),
                namespace: Some(name.namespace.to_string()),
                ..ObjectReference::default()
            },
        };
        let name = regarding.name.as_deref().unwrap_or_default();
        let namespace = regarding.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let kind = if event.warning { "Warning" } else { "Normal" };
        ApiEvent {
            metadata: ObjectMeta {
                name: Some(event_name(name, number(event, now))),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            action: Some(event.action.to_owned()),
            reason: Some(event.reason.to_owned()),
            type_: Some(kind.to_owned()),
            note: Some(note(&event.note)).filter(|note| !note.is_empty()),
            regarding: Some(ObjectReference {
                api_version: Some("v1".to_owned()),
                ..regarding
            }),
            ..ApiEvent::default()
        }
    }
}

/// What makes an event's name its own: the time; or what it says, so that of a
/// thousand nodes that all send it one succeeds. After an hour the API server
/// forgets it, and it may come again.
fn number(event: &Event, now: Timestamp) -> i128 {
    if !event.everywhere {
        return now.as_nanosecond();
    }
    let mut hasher = DefaultHasher::new();
    event.hash(&mut hasher);
    hasher.finish().into()
}

/// The object's name and a number; of a name that would be too long, its beginning.
fn event_name(name: &str, number: i128) -> String {
    let number = format!(".{number:x}");
    let name = cut(name, NAME_LIMIT - number.len());
    // What a name may not end its parts with.
    format!("{}{number}", name.trim_end_matches(['.', '-']))
}

/// One line that the API server takes, whatever was in the objects that it is about.
fn note(text: &str) -> String {
    let plain = text.replace(char::is_control, " ");
    cut(&plain, NOTE_LIMIT).to_owned()
}

/// The beginning of a text, of so many bytes at the most.
fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit.min(text.len()))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_notes_are_what_the_api_server_takes() {
        assert_eq!(event_name("web", 255), "web.ff");
        let long = format!("{}-.{}", "n".repeat(234), "n".repeat(40));
        let name = event_name(&long, 0x1234_5678_9abc_def0);
        assert_eq!(name, format!("{}.123456789abcdef0", "n".repeat(234)));
        assert!(name.len() <= NAME_LIMIT);
        assert_eq!(note("a\nb\u{7f}\u{1b}[31m"), "a b  [31m");
        let long = note(&"é".repeat(1000));
        assert_eq!((long.len(), long.chars().count()), (1024, 512));
        let long = note(&format!("x{}", "é".repeat(1000)));
        assert_eq!(long.len(), 1023, "no half characters");
    }
}
