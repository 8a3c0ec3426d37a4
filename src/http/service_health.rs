//! One server per healthCheckNodePort: tells load balancers whether this node
//! has endpoints of a Service with external policy Local (docs/reference.md#health-check-node-ports).

mod wanted;

pub use wanted::HealthUpdate;

use super::Answer;
use super::pool::Pool;
use super::request::Pages;
use super::serve::{Terms, answer_all};
use super::service_listener::{Listeners, Waiting};
use crate::descriptors::Shares;
use crate::events::{Event, Recorder};
use crate::health::{Health, Moment};
use crate::metrics::Metrics;
use hyper::StatusCode;
use rules::model::{Family, ObjectName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use wanted::{Place, Wanted};

/// Servers of one sync that are told of one by one when they cannot listen.
const TOLD: usize = 10;

/// How many servers an update had to do with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// They are open no more.
    pub closed: usize,
    /// They are new.
    pub opened: usize,
    /// They were told another number of endpoints, or the same again.
    pub updated: usize,
    /// They could not listen so far, and try at once.
    pub woken: usize,
}

/// All servers that are open.
#[derive(Debug)]
pub struct ServiceHealth {
    health: Arc<Health>,
    events: Recorder,
    runtime: Handle,
    families: BTreeMap<Family, Wanted>,
    open: BTreeMap<Place, Server>,
    /// Those of the open ones that could not listen at once.
    waiting: BTreeSet<Place>,
    listeners: Listeners,
    terms: Terms,
    metrics: Option<Metrics>,
}

/// A server that listens or is about to; closed when dropped.
#[derive(Debug)]
struct Server {
    local_endpoints: Arc<AtomicUsize>,
    listens: Arc<AtomicBool>,
    /// Asks one that cannot listen yet to try again at once.
    try_now: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ServiceHealth {
    /// No server yet; they will run on `runtime`.
    pub fn new(health: Arc<Health>, events: Recorder, runtime: Handle) -> Self {
        let shares = Shares::current();
        let pool = Pool::new("health check node ports", shares.service_health);
        Self {
            health,
            events,
            runtime,
            families: BTreeMap::new(),
            open: BTreeMap::new(),
            waiting: BTreeSet::new(),
            listeners: Listeners::new(shares.listeners),
            terms: Terms::probes(pool, Pages::One),
            metrics: None,
        }
    }

    /// Counts answers from now on.
    pub fn counted_in(self, metrics: Metrics) -> Self {
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// Opens, closes and updates servers as the updates say, one for each family. One that cannot
    /// listen is told of once, and goes on trying by itself.
    pub fn update(&mut self, updates: Vec<HealthUpdate>) -> Touched {
        let mut touched = Touched::default();
        let (mut lost, mut gained) = (BTreeSet::new(), BTreeMap::new());
        for update in updates {
            let wanted = self.families.entry(update.family).or_default();
            let (family_lost, family_gained) = wanted.update(update);
            lost.extend(family_lost);
            gained.extend(family_gained);
        }
        // Closing comes first: a port may go from one Service to another.
        let closing: Vec<Server> = lost
            .iter()
            .filter_map(|place| {
                self.waiting.remove(place);
                self.open.remove(place)
            })
            .collect();
        touched.closed = closing.len();
        self.close(closing);
        touched.woken = self.wake();
        let mut problems = Vec::new();
        for (place, local_endpoints) in gained {
            if let Some(server) = self.open.get(&place) {
                server
                    .local_endpoints
                    .store(local_endpoints, Ordering::Relaxed);
                touched.updated += 1;
                continue;
            }
            let (service, address) = &place;
            let (server, problem) = self.start(service, *address, local_endpoints);
            if let Some(error) = problem {
                let text = format!("healthCheckNodePort: listening on {address}: {error}");
                problems.push((service.clone(), text));
                self.waiting.insert(place.clone());
            }
            touched.opened += 1;
            self.open.insert(place, server);
        }
        self.tell(problems);
        touched
    }

    /// Lets those that wait try again: what was in their way may be gone.
    fn wake(&mut self) -> usize {
        let open = &self.open;
        self.waiting.retain(|place| {
            open.get(place)
                .is_some_and(|server| !server.listens.load(Ordering::Relaxed))
        });
        for server in self.waiting.iter().filter_map(|place| open.get(place)) {
            server.try_now.notify_one();
        }
        self.waiting.len()
    }

    /// Says what cannot listen: a line and an event for each, but not for hundreds at once.
    fn tell(&self, problems: Vec<(ObjectName, String)>) {
        let more = problems.len().saturating_sub(TOLD);
        for (service, problem) in problems.iter().skip(TOLD) {
            tracing::debug!("Service {service}: {problem}; trying again");
        }
        for (service, problem) in problems.into_iter().take(TOLD) {
            tracing::warn!("Service {service}: {problem}; trying again");
            self.events.record(Event::service_warning(
                service,
                "FailedToStartServiceHealthcheck",
                "Listen",
                problem,
            ));
        }
        if more > 0 {
            tracing::warn!("healthCheckNodePort: {more} more servers cannot listen; trying again");
        }
    }

    /// Closes servers and waits until their ports are free.
    fn close(&self, mut servers: Vec<Server>) {
        if servers.is_empty() {
            return;
        }
        servers.iter().for_each(|server| server.task.abort());
        self.runtime.block_on(async {
            for server in &mut servers {
                // That it was aborted is no news.
                let _ = (&mut server.task).await;
            }
        });
    }

    /// A server, and what kept it from listening at once.
    fn start(
        &self,
        service: &ObjectName,
        address: SocketAddr,
        local_endpoints: usize,
    ) -> (Server, Option<std::io::Error>) {
        let _entered = self.runtime.enter();
        let local_endpoints = Arc::new(AtomicUsize::new(local_endpoints));
        let listens = Arc::new(AtomicBool::new(false));
        let try_now = Arc::new(Notify::new());
        let (listening, problem) = match self.listeners.listen(address) {
            Ok(listening) => (Some(listening), None),
            Err(error) => (None, Some(error)),
        };
        let waiting = Waiting {
            listeners: self.listeners.clone(),
            service: service.clone(),
            address,
            reason: problem
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            try_now: try_now.clone(),
        };
        let (count, health) = (local_endpoints.clone(), self.health.clone());
        let has_place = listens.clone();
        let (service, terms) = (service.clone(), self.terms.clone());
        let metrics = self.metrics.clone();
        let task = self.runtime.spawn(async move {
            // The place among the listeners is free when the socket is closed.
            let (_place, listener) = match listening {
                Some(listening) => listening,
                None => waiting.until_it_listens().await,
            };
            has_place.store(true, Ordering::Relaxed);
            let answer = move |_: &_| {
                let healthy = health.is_healthy(Moment::now());
                let endpoints = count.load(Ordering::Relaxed);
                if let Some(metrics) = &metrics {
                    metrics.service_health(serves(endpoints, healthy), endpoints > 0);
                }
                health_answer(&service, endpoints, healthy)
            };
            answer_all(listener, terms, answer).await;
        });
        let server = Server {
            local_endpoints,
            listens,
            try_now,
            task,
        };
        (server, problem)
    }
}

fn serves(local_endpoints: usize, healthy: bool) -> bool {
    healthy && local_endpoints > 0
}

/// The answer to any request, laid out as upstream does.
fn health_answer(service: &ObjectName, local_endpoints: usize, healthy: bool) -> Answer {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": {},\n\t\t\"name\": {}\n\t}},\n\
         \t\"localEndpoints\": {local_endpoints},\n\t\"serviceProxyHealthy\": {healthy}\n}}",
        quoted(&service.namespace),
        quoted(&service.name)
    );
    let status = if serves(local_endpoints, healthy) {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Answer::json(status, body).with_header(
        "x-load-balancing-endpoint-weight",
        &local_endpoints.to_string(),
    )
}
