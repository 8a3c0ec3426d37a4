//! What is said about a kind that is watched: each thing once, an error until it
//! changes, an object's problems until they change.

use super::failure::{Failure, Undecodable};
use super::gone;
use crate::events::{Event, Recorder};
use crate::metrics::ResourceWatch;
use crate::source::convert::{self, object_name};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rules::ObjectKind;
use rules::model::ObjectName;
use std::collections::HashMap;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A list, in whatever way.
    List,
    /// What happens after it.
    Watch,
}

/// One kind's.
pub struct Log {
    kind: ObjectKind,
    what: String,
    recorder: Recorder,
    pub metrics: ResourceWatch,
    error: Option<(Phase, String)>,
    problems: HashMap<ObjectName, Problems>,
    /// What was said last about an event that could not be read.
    unread: Option<String>,
    /// How many lists have begun.
    lists: u64,
    /// Whether that a list is complete is news: not to who asks once and answers with it.
    tells_lists: bool,
}

struct Problems {
    texts: Vec<String>,
    /// The list that last had the object.
    list: u64,
}

impl Log {
    /// For a kind and its plural name.
    pub fn new(kind: ObjectKind, what: &str, recorder: Recorder, metrics: ResourceWatch) -> Self {
        Self {
            kind,
            what: what.to_owned(),
            recorder,
            metrics,
            error: None,
            problems: HashMap::new(),
            unread: None,
            lists: 0,
            tells_lists: true,
        }
    }

    /// The same, which keeps to itself that a list is complete.
    pub fn for_once(self, once: bool) -> Self {
        Self {
            tells_lists: !once,
            ..self
        }
    }

    /// The kind's plural name.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// A request failed. What is `expected` is part of the protocol.
    pub fn failed(&mut self, phase: Phase, failure: &Failure, expected: bool) {
        self.metrics.failed(failure.label());
        if expected {
            tracing::debug!("watching {}: {failure}; going on", self.what);
            return;
        }
        let error = Some((phase, failure.to_string()));
        if self.error != error {
            tracing::warn!(
                "watching {}: {failure}; trying again, the rules in the kernel stay as they are",
                self.what
            );
            self.error = error;
        }
    }

    /// A list begins, if need be for the second time.
    pub fn list_begins(&mut self) {
        self.lists += 1;
    }

    /// A list is complete.
    pub fn listed(&mut self) {
        self.metrics.listed();
        match self.tells_lists {
            true => tracing::info!("{}: listed", self.what),
            false => tracing::debug!("{}: listed", self.what),
        }
        // A list that works does not say that a watch does.
        self.error.take_if(|(phase, _)| *phase == Phase::List);
        // Those that the list did not have are gone.
        let list = self.lists;
        self.problems.retain(|_, problems| problems.list == list);
    }

    /// A watch brings what it is for.
    pub fn works(&mut self) {
        if self.error.take().is_some() {
            tracing::info!("watching {}: works again", self.what);
        }
    }

    /// What is wrong with an object that is used as far as it can be.
    pub fn problems(&mut self, metadata: &ObjectMeta, texts: Vec<String>) {
        if texts.is_empty() && self.problems.is_empty() {
            return;
        }
        let name = object_name(metadata);
        if texts.is_empty() {
            self.problems.remove(&name);
            return;
        }
        let list = self.lists;
        if let Some(known) = self
            .problems
            .get_mut(&name)
            .filter(|own| own.texts == texts)
        {
            known.list = list;
            return;
        }
        for problem in &texts {
            tracing::warn!("{} {name}: {problem}", self.what);
        }
        self.record(metadata, &texts);
        self.problems.insert(name, Problems { texts, list });
    }

    /// An object of a list that cannot be read at all.
    pub fn left_out(&mut self, object: &Undecodable) {
        let problem = format!("cannot be read and is left out: {}", object.reason);
        if object.metadata.name.is_some() {
            self.problems(&object.metadata, vec![problem]);
        } else {
            // Which one it is nobody knows, so it cannot be remembered.
            tracing::warn!("{}: an object without a name {problem}", self.what);
        }
    }

    /// Something happened to an object, and what it is now cannot be read. The
    /// list that is asked for then tells, so that its owner is not bothered yet.
    pub fn undecodable(&mut self, object: &Undecodable) {
        let name = match &object.metadata.name {
            Some(_) => object_name(&object.metadata).to_string(),
            None => "an object without a name".to_owned(),
        };
        let message = format!("{name} cannot be read: {}", object.reason);
        if self.unread.as_ref() != Some(&message) {
            tracing::warn!("{} {message}; listing anew", self.what);
            self.unread = Some(message);
        }
    }

    /// A type of event that this program does not know.
    pub fn unknown(&self, kind: &str) {
        tracing::debug!("watching {}: an event of type {kind:?}", self.what);
    }

    /// An object is gone.
    pub fn forget(&mut self, metadata: &ObjectMeta) {
        self.problems.remove(&object_name(metadata));
    }

    /// The event that an object leads to that has no rules.
    pub fn gone(&self, metadata: &ObjectMeta) -> rules::Change {
        gone(self.kind, metadata)
    }

    /// Makes an event on the Service, whose owner is the one who can mend it.
    fn record(&self, metadata: &ObjectMeta, problems: &[String]) {
        let object = object_name(metadata);
        let problems = problems.join("; ");
        match self.kind {
            ObjectKind::Service => self.recorder.record(Event::left_out(object, problems)),
            ObjectKind::EndpointSlice => {
                let labels = metadata.labels.as_ref();
                if let Some(service) = labels.and_then(|labels| labels.get(convert::SERVICE_NAME)) {
                    let note = format!("EndpointSlice {}: {problems}", object.name);
                    let service = ObjectName::new(object.namespace, service.as_str());
                    self.recorder.record(Event::left_out(service, note));
                }
            }
            ObjectKind::Node => self
                .recorder
                .record(Event::node_warning("LeftOut", problems)),
            // Nothing is regarded as its own; the log has it.
            ObjectKind::ServiceCidr => {}
        }
    }
}
