//! The ports that are open, and what updates make of them.

use super::LocalhostUpdate;
use super::limits::Limits;
use super::listener::Listener;
use super::port::Port;
use crate::events::{Event, Recorder};
use rules::localhost::Served;
use rules::model::{Family, ObjectName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Ports of one update that are told of one by one when they cannot be listened on.
const TOLD: usize = 10;

/// All ports that are wanted.
#[derive(Debug)]
pub(super) struct Ports {
    limits: Arc<Limits>,
    events: Recorder,
    open: BTreeMap<(Family, u16), Listener>,
}

impl Ports {
    pub(super) fn new(limits: Arc<Limits>, events: Recorder) -> Self {
        Self {
            limits,
            events,
            open: BTreeMap::new(),
        }
    }

    /// Closes, changes and opens ports. One that cannot be listened on is told of once, and goes on
    /// trying by itself. Connections outlive their port: they end as their two ends like, which is
    /// what the rules do for those that they translated.
    pub(super) async fn update(&mut self, update: LocalhostUpdate) {
        let LocalhostUpdate { family, ports } = update;
        let mut fresh = Vec::new();
        let mut closing = Vec::new();
        for (number, served) in ports {
            let place = (family, number);
            match (served, self.open.get_mut(&place)) {
                (None, _) => closing.extend(self.open.remove(&place)),
                (Some(served), Some(listener)) => listener.port.update(&served),
                (Some(served), None) => fresh.push((place, served)),
            }
        }
        // A listener's place is free once it is closed.
        for listener in closing {
            listener.close().await;
        }
        let problems = fresh.into_iter().filter_map(|(place, served)| {
            let problem = self.open(place, &served)?;
            Some((served.service, problem))
        });
        let problems: Vec<_> = problems.collect();
        self.tell(problems);
    }

    /// Opens one port; returns what kept it from being listened on.
    fn open(&mut self, place: (Family, u16), served: &Served) -> Option<String> {
        let port = Port::new(place, served, self.limits.clone());
        let (listener, problem) = Listener::start(port);
        self.open.insert(place, listener);
        problem
    }

    /// Says what cannot be listened on: a line and an event for each, but not for hundreds at once.
    fn tell(&self, problems: Vec<(ObjectName, String)>) {
        let more = problems.len().saturating_sub(TOLD);
        for (service, problem) in problems.into_iter().take(TOLD) {
            tracing::warn!("Service {service}: {problem}; trying again");
            self.events.record(Event::service_warning(
                service,
                "FailedToListenOnLocalhost",
                "Listen",
                problem,
            ));
        }
        if more > 0 {
            tracing::warn!("localhost node ports: {more} more cannot be listened on; trying again");
        }
    }
}
