//! Events of the API server (`events.k8s.io/v1`): what an operator should know
//! is told where `kubectl get events` and `kubectl describe` look
//! (docs/reference.md#events).
//!
//! They go out in a task of their own. Recording one never waits: what does not
//! fit into the queue is left out.

use rules::model::ObjectName;
use rules::{Problem, ProblemKind};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Events that wait while the API server is away. More say nothing new.
const QUEUE: usize = 256;

/// What the event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Regarding {
    /// This node.
    Node,
    /// A Service; events about its EndpointSlices go there too.
    Service(ObjectName),
}

/// An event to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// What it is about.
    pub regarding: Regarding,
    /// Warning rather than Normal.
    pub warning: bool,
    /// For programs: one word.
    pub reason: &'static str,
    /// What was being done, one word.
    pub action: &'static str,
    /// For people; may be empty.
    pub note: String,
    /// Every node says the same, and it is to be there once.
    pub everywhere: bool,
}

impl Event {
    /// The proxy has started.
    pub fn starting() -> Self {
        Self {
            regarding: Regarding::Node,
            warning: false,
            reason: "Starting",
            action: "StartKubeProxy",
            note: String::new(),
            everywhere: false,
        }
    }

    /// Something about the start is not as it should be.
    pub fn node_warning(reason: &'static str, note: String) -> Self {
        Self {
            warning: true,
            reason,
            note,
            ..Self::starting()
        }
    }

    /// Somebody else changes the rules again and again.
    pub fn contested(note: String) -> Self {
        Self {
            action: "SyncProxyRules",
            ..Self::node_warning("RulesContested", note)
        }
    }

    /// Something about a Service is not as it should be.
    pub fn service_warning(
        service: ObjectName,
        reason: &'static str,
        action: &'static str,
        note: String,
    ) -> Self {
        Self {
            regarding: Regarding::Service(service),
            warning: true,
            reason,
            action,
            note,
            everywhere: false,
        }
    }

    /// A part of a Service or of its EndpointSlices was left out.
    pub fn left_out(service: ObjectName, note: String) -> Self {
        Self {
            everywhere: true,
            ..Self::service_warning(service, "LeftOut", "SyncProxyRules", note)
        }
    }
}

impl From<Problem> for Event {
    /// What a Service's owner may know of it.
    fn from(problem: Problem) -> Self {
        match problem.kind {
            ProblemKind::LeftOut => Self::left_out(problem.service, problem.note),
            ProblemKind::ExternalIpConflict => Self {
                reason: "ExternalIPConflict",
                ..Self::left_out(problem.service, problem.note)
            },
        }
    }
}

/// What is on its way to the task that sends.
#[derive(Debug)]
pub enum Message {
    /// An event.
    Event(Event),
    /// Tells when everything before it has been dealt with.
    Flush(oneshot::Sender<()>),
}

/// Takes events to be; clones share the queue.
#[derive(Clone, Debug)]
pub struct Recorder(Option<mpsc::Sender<Message>>);

impl Recorder {
    /// For want of an API server, events go nowhere.
    pub fn nowhere() -> Self {
        Self(None)
    }

    /// A queue, and its end for [`send`](crate::event_sender::send).
    pub fn queue() -> (Self, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(Some(sender)), receiver)
    }

    /// Hands an event over.
    pub fn record(&self, event: Event) {
        if let Some(queue) = &self.0 {
            // Full while the API server is away, or closed at the end: the log has it anyway.
            let _ = queue.try_send(Message::Event(event));
        }
    }

    /// Waits until what was recorded is sent, but no longer than this.
    pub async fn flush(&self, limit: Duration) {
        let Some(queue) = &self.0 else { return };
        let (done, told) = oneshot::channel();
        let flushed = async {
            if queue.send(Message::Flush(done)).await.is_ok() {
                // Dropped unsent if the task is gone.
                let _ = told.await;
            }
        };
        // Whoever waits is about to end.
        let _ = tokio::time::timeout(limit, flushed).await;
    }
}
