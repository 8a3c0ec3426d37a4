//! The proxy in mode iptables, with chains in memory.

use super::*;
use crate::mode::Mode;
use rules::drift::{Edit, ForeignChange, What};
use rules::iptables::{IptablesBackend, Memory};
use rules::model::{Endpoint, EndpointPort, Hints};

type Chains = Proxy<IptablesBackend<Memory>>;

/// A proxy with one Service that has so many endpoints.
fn synced(endpoints: u16, telemetry: &Telemetry, runtime: &Handle) -> Chains {
    let flags = ["--proxy-mode=iptables", "--hostname-override=n1"];
    let machine = Machine {
        kernel: Memory::new(),
        flow_table: Box::new(Flows(Arc::default())),
        addresses: Box::new(|| Ok(Vec::new())),
    };
    let world = World::new(&Settings::from_flags(&flags).expect("flags"));
    let mut proxy: Chains = proxy_of(world, &[Family::V4], machine, telemetry, runtime);
    proxy.apply(service(Protocol::Udp, 53));
    proxy.apply(Change::Slice(EndpointSlice {
        name: ObjectName::new("ns", "slice"),
        service: ObjectName::new("ns", "udp"),
        family: Family::V4,
        ports: vec![EndpointPort {
            name: "".into(),
            protocol: Protocol::Udp,
            port: 5353,
        }],
        endpoints: (0..endpoints).map(endpoint).collect(),
        last_change_trigger: None,
    }));
    assert!(proxy.sync());
    proxy
}

fn endpoint(number: u16) -> Endpoint {
    let [high, low] = number.to_be_bytes();
    Endpoint {
        address: [10, 244, high, low].into(),
        node: None,
        ready: true,
        serving: true,
        terminating: false,
        hints: Hints::default(),
    }
}

fn telemetry_of_the_mode() -> Telemetry {
    Telemetry {
        metrics: Metrics::of(Mode::Iptables, false).expect("metrics"),
        ..telemetry(Recorder::nowhere())
    }
}

/// Somebody empties the chain that all Services begin in.
fn flush(proxy: &mut Chains) {
    proxy.syncer.kernel.edit(Family::V4, |chains| {
        let mut all = chains.iter_mut();
        let chain =
            all.find(|(own, _)| own.chain.as_str() == "KUBE-SERVICES" && own.table.name() == "nat");
        chain.expect("it is there").1.clear();
    });
}

fn is_whole(proxy: &Chains) -> bool {
    let chains = proxy.syncer.kernel.chains(Family::V4);
    let mut all = chains.iter();
    let chain =
        all.find(|(own, _)| own.chain.as_str() == "KUBE-SERVICES" && own.table.name() == "nat");
    !chain.expect("it is there").1.is_empty()
}

#[test]
fn rules_are_counted_as_upstream_counts_them() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let telemetry = telemetry_of_the_mode();
    let mut proxy = synced(2, &telemetry, runtime.handle());
    let get = |name: &str, table: &str| {
        let name = format!(
            "kubeproxy_sync_proxy_rules_iptables_{name}{{ip_family=\"IPv4\",table=\"{table}\"}}"
        );
        value(&telemetry.metrics, &name).expect(&name)
    };
    // KUBE-POSTROUTING has three, KUBE-MARK-MASQ and the end of KUBE-SERVICES one each; and the
    // Service one there, two to choose by and two for each endpoint.
    assert_eq!(get("total", "nat"), 5.0 + 7.0);
    assert_eq!(get("last", "nat"), 5.0 + 7.0);
    // KUBE-FORWARD's, and KUBE-FIREWALL's.
    assert_eq!(get("total", "filter"), 4.0);
    // One that has no endpoints adds a rule that rejects, and nothing of the other is written again.
    proxy.apply(service(Protocol::Tcp, 80));
    assert!(proxy.sync());
    assert_eq!(get("total", "nat"), 12.0);
    assert_eq!(get("last", "nat"), 6.0);
    assert_eq!(get("total", "filter"), 5.0);
}

#[test]
fn what_somebody_changes_is_replaced() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let telemetry = telemetry_of_the_mode();
    let mut proxy = synced(2, &telemetry, runtime.handle());
    flush(&mut proxy);
    let change = ForeignChange {
        generation: 7,
        pid: 42,
        process: "iptables".to_owned(),
        edits: vec![Edit {
            family: Family::V4,
            table: Some("nat"),
            added: false,
            what: What::Rule,
            name: "KUBE-SERVICES".to_owned(),
            count: 1,
        }],
        upstream: false,
    };
    proxy.noticed(vec![Notice::Changed(change)], Instant::now());
    let due = proxy.syncer.next_look().expect("something to mend");
    assert!(due < Instant::now() + Duration::from_secs(1));
    proxy.syncer.proxiers[0].look(due);
    assert!(proxy.sync());
    assert!(is_whole(&proxy));
    let drift = "kubeproxyrs_drift_total{ip_family=\"IPv4\"}";
    assert_eq!(value(&telemetry.metrics, drift), Some(1.0));
}
