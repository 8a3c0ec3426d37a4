//! The load balancer outside the cluster.
//!
//! It changes no address: a new connection to one of its addresses gets a mark, each healthy
//! node in turn, and the mark chooses a routing table whose only gateway is that node. Health is
//! what the nodes answer on the Service's health check port.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::address::Pair;
use crate::namespace::output;
use crate::{Namespace, Worker, http, ip};

/// Between two rounds of health checks; clouds take about ten seconds.
const INTERVAL: Duration = Duration::from_millis(200);
/// This many failures in a row take a node out, one success takes it in.
const FAILURES: u8 = 2;

/// One address that the load balancer serves.
#[derive(Clone, Debug)]
pub struct Vip {
    /// The address, in both families.
    pub address: Pair,
    /// The port on every node where `GET /healthz` answers 200 if it shall get connections:
    /// healthCheckNodePort for policy Local, 10256 for Cluster.
    pub health_port: u16,
}

/// The load balancer, which is also the router between the nodes and outside.
#[derive(Debug)]
pub struct LoadBalancer {
    shared: Arc<Shared>,
    // Before the namespace, which its sockets keep alive.
    _poller: Worker,
    namespace: Namespace,
}

#[derive(Debug)]
struct Shared {
    nodes: Vec<Pair>,
    vips: Mutex<Vec<Served>>,
}

#[derive(Clone, Debug)]
struct Served {
    vip: Vip,
    /// Failed checks in a row, per node.
    failures: Vec<u8>,
}

impl LoadBalancer {
    /// Starts it in `namespace`, from which `nodes` are reached.
    pub(crate) fn start(namespace: Namespace, nodes: Vec<Pair>) -> Result<Self> {
        for (index, Pair { v4, v6 }) in nodes.iter().enumerate() {
            let (mark, table) = (index + 1, index + 101);
            ip(
                &namespace,
                &format!(
                    "rule add fwmark {mark} lookup {table}\n\
                     route add default via {v4} table {table}\n\
                     -6 rule add fwmark {mark} lookup {table}\n\
                     -6 route add default via {v6} table {table}"
                ),
            )?;
        }
        let shared = Arc::new(Shared {
            nodes,
            vips: Mutex::default(),
        });
        let polled = Arc::clone(&shared);
        let poller = namespace.start_worker("balancer", move |stop| polled.poll(stop))?;
        Ok(Self {
            shared,
            _poller: poller,
            namespace,
        })
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Serves these addresses and no others from now on. A node gets connections once
    /// its first check succeeded.
    pub fn serve(&self, vips: &[Vip]) {
        let nodes = self.shared.nodes.len();
        let served = vips.iter().map(|vip| Served {
            vip: vip.clone(),
            failures: vec![FAILURES; nodes],
        });
        *self.shared.lock() = served.collect();
    }

    /// The numbers of the nodes, from 1, that get `address`'s connections now.
    pub fn in_service(&self, address: Pair) -> Vec<usize> {
        let vips = self.shared.lock();
        let served = vips.iter().find(|served| served.vip.address == address);
        served.map(Served::healthy).unwrap_or_default()
    }
}

impl Served {
    fn healthy(&self) -> Vec<usize> {
        let numbered = self.failures.iter().zip(1..);
        numbered
            .filter(|(failures, _)| **failures < FAILURES)
            .map(|(_, number)| number)
            .collect()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Served>> {
        self.vips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks, and programs what changed, until told to stop.
    fn poll(&self, stop: &AtomicBool) -> Result<()> {
        let mut loaded = String::new();
        while !stop.load(Ordering::Relaxed) {
            let mut vips = self.lock().clone();
            for served in &mut vips {
                self.check(served);
            }
            let ruleset = ruleset(&vips);
            if ruleset != loaded {
                // The child is born in this thread's namespace.
                output(Command::new("nft").args(["-f", "-"]), &ruleset)
                    .context("program the load balancer")?;
                loaded = ruleset;
            }
            // After the rules, so that whoever waits for a node finds it served.
            self.publish(vips);
            std::thread::sleep(INTERVAL);
        }
        Ok(())
    }

    fn check(&self, served: &mut Served) {
        for (node, failures) in self.nodes.iter().zip(&mut served.failures) {
            let address = SocketAddr::new(IpAddr::V4(node.v4), served.vip.health_port);
            let answer = http::get(address, "/healthz", Duration::from_millis(500));
            *failures = match answer {
                Ok(response) if response.status == 200 => 0,
                _ => failures.saturating_add(1),
            };
        }
    }

    /// Notes the results, but only for addresses that are still served.
    fn publish(&self, checked: Vec<Served>) {
        for current in self.lock().iter_mut() {
            let same = |served: &&Served| {
                served.vip.address == current.vip.address
                    && served.vip.health_port == current.vip.health_port
            };
            if let Some(served) = checked.iter().find(same) {
                current.failures.clone_from(&served.failures);
            }
        }
    }
}

/// The rules that give every new connection the mark of the next healthy node.
fn ruleset(vips: &[Served]) -> String {
    let mut rules = String::new();
    for served in vips {
        let healthy = served.healthy();
        for address in served.vip.address.both() {
            let family = if address.is_ipv4() { "ip" } else { "ip6" };
            let frontend = format!("{family} daddr {address}");
            if healthy.is_empty() {
                writeln!(rules, "{frontend} ct state new drop").ok();
                continue;
            }
            let marks: Vec<_> = healthy
                .iter()
                .enumerate()
                .map(|(index, number)| format!("{index} : {number}"))
                .collect();
            // A repeated SYN is new as well, but keeps its node.
            writeln!(
                rules,
                "{frontend} ct state new ct mark 0 ct mark set numgen inc mod {} map {{ {} }}",
                healthy.len(),
                marks.join(", ")
            )
            .ok();
            writeln!(rules, "{frontend} meta mark set ct mark").ok();
        }
    }
    format!(
        "add table inet balancer\n\
         delete table inet balancer\n\
         table inet balancer {{\n\
         chain prerouting {{\n\
         type filter hook prerouting priority mangle; policy accept;\n\
         {rules}}}\n}}\n"
    )
}
