//! One server per healthCheckNodePort: tells load balancers whether this node
//! has endpoints of a Service with external policy Local (docs/reference.md#health-check-node-ports).

use super::Answer;
use super::pool::Pool;
use super::request::Pages;
use super::serve::{Terms, answer_all};
use super::service_listener::{Listeners, Waiting};
use crate::descriptors::Shares;
use crate::events::{Events, Report};
use crate::health::{Health, Moment};
use hyper::StatusCode;
use rules::NodeportAddresses;
use rules::model::{Family, ObjectName};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Servers of one sync that are told of one by one when they cannot listen.
const TOLD: usize = 10;

/// What one server has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceHealthCheck {
    /// The Service.
    pub service: ObjectName,
    /// Its `healthCheckNodePort`.
    pub port: u16,
    /// Each family has servers of its own.
    pub family: Family,
    /// Distinct addresses of ready endpoints on this node.
    pub local_endpoints: usize,
}

/// All servers that are open.
#[derive(Debug)]
pub struct ServiceHealth {
    health: Arc<Health>,
    events: Events,
    runtime: Handle,
    open: BTreeMap<(ObjectName, SocketAddr), Server>,
    addresses: BTreeMap<Family, Vec<IpAddr>>,
    listeners: Listeners,
    terms: Terms,
}

/// A server that listens or is about to; closed when dropped.
#[derive(Debug)]
struct Server {
    local_endpoints: Arc<AtomicUsize>,
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
    pub fn new(health: Arc<Health>, events: Events, runtime: Handle) -> Self {
        let shares = Shares::current();
        let pool = Pool::new("health check node ports", shares.service_health);
        Self {
            health,
            events,
            runtime,
            open: BTreeMap::new(),
            addresses: BTreeMap::new(),
            listeners: Listeners::new(shares.listeners),
            terms: Terms::probes(pool, Pages::One),
        }
    }

    /// Where a family's servers listen: wherever node ports are answered, and
    /// also on loopback addresses in the configured ranges, as upstream has it.
    pub fn listen_on(&mut self, family: Family, nodeports: &NodeportAddresses, local: &[IpAddr]) {
        let any = match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let addresses = match nodeports {
            NodeportAddresses::All => vec![any],
            NodeportAddresses::Within(ranges) => {
                let within = |ip: &&IpAddr| ranges.iter().any(|range| range.contains(*ip));
                local.iter().filter(within).copied().collect()
            }
        };
        self.addresses.insert(family, addresses);
    }

    /// Opens, closes and updates servers until they are these. One that cannot listen is told of
    /// once, and goes on trying by itself.
    pub fn sync(&mut self, checks: &[ServiceHealthCheck]) {
        let mut wanted = BTreeMap::new();
        for check in checks {
            for address in self.addresses.get(&check.family).into_iter().flatten() {
                let address = SocketAddr::new(*address, check.port);
                wanted.insert((check.service.clone(), address), check.local_endpoints);
            }
        }
        // Closing comes first: a port may go from one Service to another.
        let closing = self.open.extract_if(.., |key, _| !wanted.contains_key(key));
        let closing: Vec<Server> = closing.map(|(_, server)| server).collect();
        self.close(closing);
        let mut problems = Vec::new();
        for ((service, address), local_endpoints) in wanted {
            if let Some(server) = self.open.get(&(service.clone(), address)) {
                server
                    .local_endpoints
                    .store(local_endpoints, Ordering::Relaxed);
                server.try_now.notify_one();
                continue;
            }
            let (server, problem) = self.start(&service, address, local_endpoints);
            if let Some(error) = problem {
                let text = format!("healthCheckNodePort: listening on {address}: {error}");
                problems.push((service.clone(), text));
            }
            self.open.insert((service, address), server);
        }
        self.tell(problems);
    }

    /// Says what cannot listen: a line and an event for each, but not for hundreds at once.
    fn tell(&self, problems: Vec<(ObjectName, String)>) {
        let more = problems.len().saturating_sub(TOLD);
        for (service, problem) in problems.iter().skip(TOLD) {
            tracing::debug!("Service {service}: {problem}; trying again");
        }
        for (service, problem) in problems.into_iter().take(TOLD) {
            tracing::warn!("Service {service}: {problem}; trying again");
            self.events.report(Report::service_warning(
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
        let (service, terms) = (service.clone(), self.terms.clone());
        let task = self.runtime.spawn(async move {
            // The place among the listeners is free when the socket is closed.
            let (_place, listener) = match listening {
                Some(listening) => listening,
                None => waiting.until_it_listens().await,
            };
            let answer = move |_: &_| {
                let healthy = health.is_healthy(Moment::now());
                health_answer(&service, count.load(Ordering::Relaxed), healthy)
            };
            answer_all(listener, terms, answer).await;
        });
        let server = Server {
            local_endpoints,
            try_now,
            task,
        };
        (server, problem)
    }
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
    let ok = healthy && local_endpoints > 0;
    let status = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Answer::json(status, body).with_header(
        "x-load-balancing-endpoint-weight",
        &local_endpoints.to_string(),
    )
}
