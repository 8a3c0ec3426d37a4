//! One server per healthCheckNodePort: tells load balancers whether this node
//! has endpoints of a Service with external policy Local (reference: section 4.3).

use super::{Answer, answer_all, listen};
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
use tokio::task::JoinHandle;

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
}

/// A listening server; closed when dropped.
#[derive(Debug)]
struct Server {
    local_endpoints: Arc<AtomicUsize>,
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
        Self {
            health,
            events,
            runtime,
            open: BTreeMap::new(),
            addresses: BTreeMap::new(),
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

    /// Opens, closes and updates servers until they are these. A port that
    /// cannot be bound is warned about and tried again the next time.
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
        for ((service, address), local_endpoints) in wanted {
            if let Some(server) = self.open.get(&(service.clone(), address)) {
                server
                    .local_endpoints
                    .store(local_endpoints, Ordering::Relaxed);
                continue;
            }
            match self.start(&service, address, local_endpoints) {
                Ok(server) => {
                    self.open.insert((service, address), server);
                }
                Err(error) => {
                    let problem = format!("healthCheckNodePort: listening on {address}: {error}");
                    tracing::warn!("Service {service}: {problem}");
                    self.events.report(Report::service_warning(
                        service,
                        "FailedToStartServiceHealthcheck",
                        "Listen",
                        problem,
                    ));
                }
            }
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

    fn start(
        &self,
        service: &ObjectName,
        address: SocketAddr,
        local_endpoints: usize,
    ) -> std::io::Result<Server> {
        let _entered = self.runtime.enter();
        let listener = listen(address, true)?;
        let local_endpoints = Arc::new(AtomicUsize::new(local_endpoints));
        let (count, health) = (local_endpoints.clone(), self.health.clone());
        let service = service.clone();
        let task = self.runtime.spawn(answer_all(listener, move |_| {
            let healthy = health.is_healthy(Moment::now());
            health_answer(&service, count.load(Ordering::Relaxed), healthy)
        }));
        Ok(Server {
            local_endpoints,
            task,
        })
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
