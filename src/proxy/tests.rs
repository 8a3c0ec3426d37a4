//! Stale flows wait for rules that are right, and are not forgotten; what is refused or changed
//! by others.

mod chains;
mod drift;
mod hourly;
mod paused;
mod refusals;
mod rendered;

use super::syncer::Machine;
use super::*;
use crate::clock;
use crate::events::Recorder;
use crate::health::{Health, Moment};
use crate::http::ServiceHealth;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::telemetry::Telemetry;
use crate::world::World;
use jiff::Timestamp;
use rules::RememberedClients;
use rules::flows::{Deleted, FlowTable, Suspects};
use rules::model::{EndpointSlice, Family, ObjectName, Protocol, Service, ServicePort};
use rules::nft::ruleset::Transaction;
use rules::nft::{Kernel, NftBackend, Refusal, Table};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Switches that the fakes obey, and what they were asked.
#[derive(Default)]
struct Switches {
    refuse_rules: AtomicBool,
    refuse_flows: AtomicBool,
    passes: AtomicUsize,
    /// Steps of the transactions that were taken.
    steps: AtomicUsize,
}

struct Rules(Table, Arc<Switches>);

impl Kernel for Rules {
    fn delete_table(&mut self, family: Family) -> std::io::Result<bool> {
        self.0.delete_table(family)
    }

    fn clients(&mut self, _: Family) -> std::io::Result<RememberedClients> {
        Ok(RememberedClients::default())
    }

    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        if self.1.refuse_rules.load(Ordering::Relaxed) {
            return Err(Refusal {
                family: Family::V4,
                cause: rules::Cause::Interrupted,
                refused: Vec::new(),
                attempted: "a test".to_owned(),
                reason: "no".to_owned(),
            });
        }
        let steps = transaction.ops.len();
        self.1.steps.fetch_add(steps, Ordering::Relaxed);
        self.0.apply(transaction)
    }
}

struct Flows(Arc<Switches>);

impl FlowTable for Flows {
    fn delete_stale(&mut self, _: &Suspects<'_>, tally: &mut Deleted) -> std::io::Result<()> {
        self.0.passes.fetch_add(1, Ordering::Relaxed);
        if self.0.refuse_flows.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("no"));
        }
        tally.deleted += 1;
        Ok(())
    }
}

fn service(protocol: Protocol, port: u16) -> Change {
    Change::Service(Service {
        name: ObjectName::new("ns", protocol.nft()),
        cluster_ips: vec![[10, 96, 0, protocol.number()].into()],
        ports: vec![ServicePort {
            name: "".into(),
            protocol,
            port,
            node_port: None,
        }],
        ..Service::default()
    })
}

/// A slice of the UDP Service that changed at this time.
fn slice(at: i64) -> Change {
    Change::Slice(EndpointSlice {
        name: ObjectName::new("ns", "slice"),
        service: ObjectName::new("ns", "udp"),
        family: Family::V4,
        ports: Vec::new(),
        endpoints: Vec::new(),
        last_change_trigger: Some(at),
    })
}

/// A proxy of fakes.
fn proxy(
    families: &[Family],
    switches: &Arc<Switches>,
    telemetry: &Telemetry,
    runtime: &Handle,
) -> Proxy<NftBackend<Rules>> {
    let flags = ["--proxy-mode=nftables", "--hostname-override=n1"];
    let rules = Rules(Table::new(), switches.clone());
    proxy_with(&flags, rules, families, switches, telemetry, runtime)
}

fn proxy_with<K: Kernel>(
    flags: &[&str],
    kernel: K,
    families: &[Family],
    switches: &Arc<Switches>,
    telemetry: &Telemetry,
    runtime: &Handle,
) -> Proxy<NftBackend<K>> {
    let machine = Machine {
        kernel,
        flow_table: Box::new(Flows(switches.clone())),
        addresses: Box::new(|| Ok(Vec::new())),
    };
    let world = World::new(&Settings::from_flags(flags).expect("flags"));
    proxy_of(world, families, machine, telemetry, runtime)
}

fn proxy_of<B: Backend>(
    world: World,
    families: &[Family],
    machine: Machine<B::Kernel>,
    telemetry: &Telemetry,
    runtime: &Handle,
) -> Proxy<B> {
    let (health, events) = (telemetry.health.clone(), telemetry.events.clone());
    let service_health = ServiceHealth::new(health, events, runtime.clone());
    Proxy {
        syncer: Syncer::new(world, families, machine, Duration::from_secs(30)),
        reporter: Reporter::new(telemetry.clone(), service_health),
    }
}

fn telemetry(events: Recorder) -> Telemetry {
    Telemetry {
        metrics: Metrics::new().expect("metrics"),
        health: Arc::new(Health::new(Duration::from_secs(60))),
        events,
    }
}

#[test]
fn no_failure_loses_the_cleanup_and_none_runs_without_need() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let switches = Arc::new(Switches::default());
    let telemetry = telemetry(Recorder::nowhere());
    let metrics = telemetry.metrics.clone();
    let mut proxy = proxy(&[Family::V4], &switches, &telemetry, runtime.handle());
    let passes = || switches.passes.load(Ordering::Relaxed);

    switches.refuse_rules.store(true, Ordering::Relaxed);
    proxy.apply(service(Protocol::Udp, 53));
    assert!(!proxy.sync());
    assert_eq!(passes(), 0, "with the old rules the flows would come back");
    switches.refuse_rules.store(false, Ordering::Relaxed);
    proxy.syncer.proxiers[0].trouble.rested();
    switches.refuse_flows.store(true, Ordering::Relaxed);
    assert!(proxy.sync(), "the rules are in place");
    assert_eq!(passes(), 1);
    assert!(proxy.syncer.has_leftovers());
    switches.refuse_flows.store(false, Ordering::Relaxed);
    assert!(proxy.sync(), "nothing else to do");
    assert_eq!(passes(), 2);
    assert!(!proxy.syncer.has_leftovers());

    proxy.apply(service(Protocol::Tcp, 80));
    assert!(proxy.sync());
    assert_eq!(passes(), 2, "TCP needs no pass");
    let text = metrics.text();
    let line = "kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family=\"IPv4\"} 1";
    assert!(text.lines().any(|found| found == line), "{text}");
}

/// The value of a metric, given by its name and labels.
fn value(metrics: &Metrics, name: &str) -> Option<f64> {
    e2e::exposition::value(&metrics.text(), name)
}

#[test]
fn changes_are_counted_as_upstream_counts_them() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let telemetry = telemetry(Recorder::nowhere());
    let mut proxy = proxy(&Family::ALL, &Arc::default(), &telemetry, runtime.handle());
    let get = |name: &str| {
        let name = format!("kubeproxy_sync_proxy_rules_{name}");
        value(&telemetry.metrics, &name)
    };
    proxy.begin();
    for family in ["IPv4", "IPv6"] {
        let queued = get(&format!(
            "last_queued_timestamp_seconds{{ip_family=\"{family}\"}}"
        ));
        assert!(queued.is_some_and(|at| at > 1e9), "{family}: {queued:?}");
    }
    let status = serde_json::to_value(telemetry.health.livez(Moment::now())).expect("JSON");
    assert!(status["status"]["IPv6"]["healthy"] == true, "{status}");

    // One event for each family; one that says nothing new is counted, but waits for nothing.
    for _ in 0..2 {
        proxy.apply(service(Protocol::Udp, 53));
    }
    proxy.apply(service(Protocol::Tcp, 80));
    assert_eq!(get("service_changes_total"), Some(6.0));
    assert_eq!(get("service_changes_pending"), Some(2.0));
    proxy.apply(slice(0));
    assert_eq!(get("endpoint_changes_total"), Some(1.0));
    assert_eq!(get("endpoint_changes_pending"), Some(1.0));
    // A Service does not wait because its endpoints do.
    assert_eq!(get("service_changes_pending"), Some(2.0));
    assert_eq!(
        get("no_local_endpoints_total{ip_family=\"IPv4\",traffic_policy=\"internal\"}"),
        None
    );

    assert!(proxy.sync());
    assert_eq!(get("service_changes_pending"), Some(0.0));
    assert_eq!(get("endpoint_changes_pending"), Some(0.0));
    for policy in ["internal", "external"] {
        let name =
            format!("no_local_endpoints_total{{ip_family=\"IPv6\",traffic_policy=\"{policy}\"}}");
        assert_eq!(get(&name), Some(0.0), "{policy}: set at every sync");
    }
}

#[test]
fn latency_has_a_sample_per_trigger_since_the_start() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let telemetry = telemetry(Recorder::nowhere());
    let switches = Arc::new(Switches::default());
    let mut proxy = proxy(&[Family::V4], &switches, &telemetry, runtime.handle());
    let name = "kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv4\"}";
    let now = Timestamp::now().as_millisecond();
    // What was there before the start says nothing about this process.
    proxy.apply(slice(now - 3_600_000));
    assert!(proxy.sync());
    assert_eq!(value(&telemetry.metrics, name), None);
    switches.refuse_rules.store(true, Ordering::Relaxed);
    proxy.apply(service(Protocol::Udp, 53));
    proxy.apply(slice(now + 1));
    assert!(!proxy.sync());
    assert_eq!(
        value(&telemetry.metrics, name),
        None,
        "not in the kernel yet"
    );
    switches.refuse_rules.store(false, Ordering::Relaxed);
    proxy.syncer.proxiers[0].trouble.rested();
    proxy.apply(slice(now + 2));
    assert!(proxy.sync());
    assert_eq!(value(&telemetry.metrics, name), Some(2.0), "none is lost");
}

#[test]
fn a_contested_frontend_makes_an_event_on_the_one_that_loses() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (events, mut queue) = Recorder::queue();
    let telemetry = telemetry(events);
    let mut proxy = proxy(&[Family::V4], &Arc::default(), &telemetry, runtime.handle());
    proxy.apply(service(Protocol::Tcp, 80));
    let Change::Service(mut other) = service(Protocol::Tcp, 80) else {
        unreachable!("it makes Services");
    };
    other.name = ObjectName::new("ns", "younger");
    proxy.apply(Change::Service(other));
    let sent = recorded(&mut queue).expect("an event");
    let expected = crate::events::Regarding::Service(ObjectName::new("ns", "younger"));
    assert_eq!(sent.regarding, expected);
    assert_eq!(sent.reason, "LeftOut");
    assert!(
        !sent.note.contains("ns/tcp"),
        "it names the owner: {sent:?}"
    );
}

/// The next report, if there is one.
fn recorded(
    queue: &mut tokio::sync::mpsc::Receiver<crate::events::Message>,
) -> Option<crate::events::Event> {
    match queue.try_recv().ok()? {
        crate::events::Message::Event(event) => Some(event),
        crate::events::Message::Flush(_) => None,
    }
}

#[test]
fn an_address_that_is_not_its_owners_to_give_makes_an_event() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (events, mut queue) = Recorder::queue();
    let mut proxy = proxy(
        &[Family::V4],
        &Arc::default(),
        &telemetry(events),
        runtime.handle(),
    );
    proxy.apply(Change::ServiceCidr(rules::model::ServiceCidr {
        name: "kubernetes".into(),
        cidrs: vec!["10.96.0.0/16".parse().expect("a range")],
    }));
    let Change::Service(mut squatter) = service(Protocol::Tcp, 80) else {
        unreachable!("it makes Services");
    };
    squatter.external_ips = vec![[10, 96, 0, 50].into()];
    proxy.apply(Change::Service(squatter));
    let sent = recorded(&mut queue).expect("an event");
    assert_eq!((sent.reason, sent.warning), ("ExternalIPConflict", true));
    assert!(sent.note.contains("10.96.0.50"), "{sent:?}");
}

#[test]
fn a_node_that_loses_its_addresses_and_ranges_keeps_them() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (events, mut queue) = Recorder::queue();
    let telemetry = telemetry(events);
    let mut proxy = proxy_with(
        &[
            "--proxy-mode=nftables",
            "--hostname-override=n1",
            "--detect-local-mode=NodeCIDR",
        ],
        Rules(Table::new(), Arc::default()),
        &Family::ALL,
        &Arc::default(),
        &telemetry,
        runtime.handle(),
    );
    let node = |addresses: &[&str], pod_cidrs: &[&str]| {
        let addresses = addresses.iter().map(|ip| ip.parse().expect("an IP"));
        let pod_cidrs = pod_cidrs
            .iter()
            .map(|range| range.parse().expect("a range"));
        Change::Node(rules::model::Node {
            name: "n1".into(),
            addresses: addresses.collect(),
            pod_cidrs: pod_cidrs.collect(),
            ..rules::model::Node::default()
        })
    };
    let addresses = ["192.0.2.1", "2001:db8::1"];
    let ranges = ["10.0.1.0/24", "fd00:1::/64"];
    let configs = |proxy: &Proxy<NftBackend<Rules>>| -> Vec<rules::Config> {
        proxy
            .syncer
            .proxiers
            .iter()
            .map(|proxier| proxier.backend.config().clone())
            .collect()
    };
    proxy.apply(node(&addresses, &ranges));
    assert!(proxy.sync());
    let whole = configs(&proxy);
    for config in &whole {
        assert_ne!(config.nodeport_addresses, rules::NodeportAddresses::All);
        assert_ne!(config.local_detector, rules::LocalDetector::None);
    }
    for (what, events) in [
        ("emptied", vec![node(&[], &[])]),
        ("without IPv6", vec![node(&addresses[..1], &ranges[..1])]),
        (
            "gone, then registered anew",
            vec![Change::NodeGone, node(&[], &[])],
        ),
    ] {
        for event in events {
            proxy.apply(event);
            assert!(proxy.sync());
            assert_eq!(configs(&proxy), whole, "{what}");
            let sent = recorded(&mut queue).expect("an event");
            assert_eq!(sent.reason, "NodeIncomplete", "{what}");
            proxy.apply(node(&addresses, &ranges));
            assert!(recorded(&mut queue).is_none(), "{what}");
        }
    }
    // What it tells anew is believed.
    proxy.apply(node(&["192.0.2.2", "2001:db8::2"], &ranges));
    assert!(proxy.sync());
    assert_ne!(configs(&proxy), whole);
}

#[test]
fn a_sync_does_what_changed_however_many_services_there_are() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let work = |count: u16| {
        let switches = Arc::new(Switches::default());
        let telemetry = telemetry(Recorder::nowhere());
        let mut proxy = proxy(&[Family::V4], &switches, &telemetry, runtime.handle());
        let checked = |number: u16, protocol| {
            let Change::Service(service) = service(protocol, 80) else {
                unreachable!("it makes Services");
            };
            let [high, low] = number.to_be_bytes();
            Change::Service(Service {
                name: ObjectName::new("ns", format!("s{number}")),
                cluster_ips: vec![[10, 96, high, low].into()],
                health_check_node_port: Some(20_000 + number),
                ..service
            })
        };
        for number in 0..count {
            proxy.syncer.apply(checked(number, Protocol::Tcp));
        }
        // Not told to the servers: those would open ports.
        let first = proxy.syncer.sync().remove(0);
        assert_eq!(first.health_checks.len(), usize::from(count));
        let before = switches.steps.swap(0, Ordering::Relaxed);
        assert!(before > 0);
        let Change::Service(changed) = checked(7, Protocol::Udp) else {
            unreachable!("it makes Services");
        };
        let port = Some(30_000);
        proxy.syncer.apply(Change::Service(Service {
            health_check_node_port: port,
            ..changed
        }));
        let next = proxy.syncer.sync().remove(0);
        assert_eq!(next.attempts.len(), 1);
        assert!(!next.attempts[0].full);
        (next.health_checks, switches.steps.load(Ordering::Relaxed))
    };
    let few = work(20);
    assert_eq!(few.0.len(), 1, "{few:?}");
    assert_eq!(few, work(2000));
}
