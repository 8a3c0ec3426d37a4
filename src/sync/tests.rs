//! Stale flows wait for rules that are right, and are not forgotten.

use super::*;
use crate::settings::Settings;
use rules::RememberedClient;
use rules::conntrack::{Deleted, FlowTable, Suspects};
use rules::fake::FakeKernel;
use rules::model::{ObjectName, Protocol, Service, ServicePort};
use rules::ruleset::Transaction;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Switches that the fakes obey, and what they were asked.
#[derive(Default)]
struct Switches {
    refuse_rules: AtomicBool,
    refuse_flows: AtomicBool,
    passes: AtomicUsize,
}

struct Rules(FakeKernel, Arc<Switches>);

impl Kernel for Rules {
    fn clients(&mut self, _: Family) -> std::io::Result<Vec<RememberedClient>> {
        Ok(Vec::new())
    }

    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        if self.1.refuse_rules.load(Ordering::Relaxed) {
            return Err(Refusal {
                family: "ip",
                attempted: "a test".to_owned(),
                reason: "no".to_owned(),
            });
        }
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

fn service(protocol: Protocol, port: u16) -> Event {
    Event::Service(Service {
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

#[test]
fn no_failure_loses_the_cleanup_and_none_runs_without_need() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let switches = Arc::new(Switches::default());
    let health = Arc::new(Health::new(Duration::from_secs(60)));
    let metrics = Metrics::new().expect("metrics");
    let families = [Family::V4];
    let mut syncer = Syncer::new(
        Settings::from_flags(&["--proxy-mode=nftables"])
            .expect("flags")
            .rules,
        &"n1".into(),
        &families,
        Rules(FakeKernel::new(), switches.clone()),
        Reports {
            metrics: metrics.clone(),
            health: health.clone(),
        },
        ServiceHealth::new(health, runtime.handle().clone()),
        FlowCleanup::new(
            Box::new(Flows(switches.clone())),
            &families,
            metrics.clone(),
        ),
    );
    let passes = || switches.passes.load(Ordering::Relaxed);

    switches.refuse_rules.store(true, Ordering::Relaxed);
    syncer.apply(service(Protocol::Udp, 53));
    assert!(syncer.sync().is_err());
    assert_eq!(passes(), 0, "with the old rules the flows would come back");
    switches.refuse_rules.store(false, Ordering::Relaxed);
    switches.refuse_flows.store(true, Ordering::Relaxed);
    assert!(syncer.sync().is_ok(), "the rules are in place");
    assert_eq!(passes(), 1);
    assert!(syncer.has_stale_flows());
    switches.refuse_flows.store(false, Ordering::Relaxed);
    assert!(syncer.sync().is_ok(), "nothing else to do");
    assert_eq!(passes(), 2);
    assert!(!syncer.has_stale_flows());

    syncer.apply(service(Protocol::Tcp, 80));
    assert!(syncer.sync().is_ok());
    assert_eq!(passes(), 2, "TCP needs no pass");
    let text = String::from_utf8(metrics.text().expect("text")).expect("UTF-8");
    let line = "kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family=\"IPv4\"} 1";
    assert!(text.lines().any(|own| own == line), "{text}");
}
