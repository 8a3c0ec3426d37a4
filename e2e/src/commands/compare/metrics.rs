//! What `/metrics` exposes: names, types, labels, buckets; and values, where both have to have
//! the same.

use std::time::Duration;

use anyhow::{Result, bail};
use e2e::exposition::{Family, families, value};
use e2e::http::Request;
use serde_json::{Value, json};

use crate::compare::Programs;
use crate::compare::difference::ensure_same;
use crate::compare::rig::{Port, Rig, SERVICES, SLICES, slice};
use crate::mode::Mode;
use crate::report::Cases;

/// What upstream's names begin with that are not there in ours, and why.
const NOT_OURS: &[(&str, &str)] = &[
    ("go_", "Go's run-time"),
    (
        "aggregator_",
        "a library of the API server's, linked in by accident",
    ),
    (
        "apiserver_",
        "libraries of the API server's, linked in by accident",
    ),
    (
        "cardinality_enforcement_",
        "of a flag that kube-proxy does not have",
    ),
    (
        "rest_client_exec_plugin_",
        "of programs that print credentials; there are none in use",
    ),
    (
        "rest_client_transport_",
        "the cache of Go's HTTP transports",
    ),
];

/// What tells of things that upstream does not tell has a prefix of its own.
const OUR_OWN: &str = "kubeproxyrs_";

/// Values that depend on nothing but the objects.
const SAME_VALUES: &[&str] = &[
    "kubeproxy_sync_proxy_rules_service_changes_total",
    "kubeproxy_sync_proxy_rules_service_changes_pending",
    "kubeproxy_sync_proxy_rules_endpoint_changes_total",
    "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
    "kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv4\",traffic_policy=\"external\"}",
    "kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv4\",traffic_policy=\"internal\"}",
    "kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv6\",traffic_policy=\"external\"}",
    "kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv6\",traffic_policy=\"internal\"}",
    "kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv4\"}",
    "kubeproxy_proxy_healthz_total{code=\"200\"}",
    "kubeproxy_proxy_livez_total{code=\"200\"}",
];

/// The same of mode iptables.
const SAME_VALUES_OF_IPTABLES: &[&str] = &[
    "kubeproxy_sync_proxy_rules_iptables_total{ip_family=\"IPv4\",table=\"filter\"}",
    "kubeproxy_sync_proxy_rules_iptables_total{ip_family=\"IPv4\",table=\"nat\"}",
    "kubeproxy_sync_proxy_rules_iptables_total{ip_family=\"IPv6\",table=\"filter\"}",
    "kubeproxy_sync_proxy_rules_iptables_total{ip_family=\"IPv6\",table=\"nat\"}",
    "kubeproxy_sync_proxy_rules_iptables_last{ip_family=\"IPv4\",table=\"filter\"}",
    "kubeproxy_sync_proxy_rules_iptables_last{ip_family=\"IPv4\",table=\"nat\"}",
    "kubeproxy_iptables_ct_state_invalid_dropped_packets_total",
    "kubeproxy_iptables_localhost_nodeports_accepted_packets_total",
];

/// Lets both do everything that has a metric, and compares.
pub fn compare(programs: &Programs, mode: Mode, cases: &mut Cases) -> Result<()> {
    let mut rig = Rig::start(programs, mode, &[])?;
    // Counted once by each, before anything is compared.
    let livez = rig.metrics()?;
    let livez = livez.map(|text| value(&text, "kubeproxy_proxy_livez_total{code=\"200\"}"));
    work(&mut rig)?;
    let [upstream, ours] = rig.metrics()?;
    let theirs = families(&upstream);
    let our_families = families(&ours);
    for (name, family) in &theirs {
        match our_families.get(name) {
            None if reason(name).is_some() => {}
            found => {
                let found = found.map_or("only upstream has it".to_owned(), Family::describe);
                cases.case(name, || ensure_same(&family.describe(), &found));
            }
        }
    }
    let besides = |name: &&String| !theirs.contains_key(*name) && !name.starts_with(OUR_OWN);
    for name in our_families.keys().filter(besides) {
        cases.case(name, || -> Result<()> { bail!("only ours has it") });
    }
    let of_the_mode = match mode {
        Mode::Nftables => &[][..],
        Mode::Iptables => SAME_VALUES_OF_IPTABLES,
    };
    for name in SAME_VALUES.iter().chain(of_the_mode) {
        let mut values = [value(&upstream, name), value(&ours, name)];
        if name.contains("livez") {
            // Less those that were asked for until each was up.
            for (value, before) in values.iter_mut().zip(livez) {
                *value = value.map(|value| value - before.unwrap_or_default());
            }
        }
        let [upstream, ours] = values.map(|value| format!("{value:?}"));
        cases.case(&format!("value of {name}"), || {
            ensure_same(&upstream, &ours)
        });
    }
    Ok(())
}

fn reason(name: &str) -> Option<&'static str> {
    let found = NOT_OURS.iter().find(|(prefix, _)| name.starts_with(prefix));
    found.map(|(_, reason)| *reason)
}

/// Services and endpoints that come, change and go; health checks.
fn work(rig: &mut Rig) -> Result<()> {
    let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local",
                       "internalTrafficPolicy": "Local"});
    rig.api.post(SERVICES, &service("web", "TCP", &local))?;
    rig.api
        .post(SERVICES, &service("names", "UDP", &json!({})))?;
    // A second is the grain of what a trigger tells.
    std::thread::sleep(Duration::from_millis(1100));
    let trigger = now();
    for (name, protocol) in [("web", "TCP"), ("names", "UDP")] {
        let addresses = ["10.244.9.1", "10.244.9.2"];
        rig.api
            .post(SLICES, &slice(name, protocol, &addresses, &trigger))?;
    }
    let programmed = "kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv4\"}";
    rig.until("endpoints in the rules", |metrics| {
        value(metrics, programmed) == Some(2.0)
    })?;
    let fewer = slice("names", "UDP", &["10.244.9.2"], &trigger);
    let change = json!({"endpoints": fewer["endpoints"]});
    rig.api.patch(&format!("{SLICES}/names-v4"), &change)?;
    let partial = "kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"}";
    let reconciled =
        "kubeproxy_conntrack_reconciler_sync_duration_seconds_count{ip_family=\"IPv4\"}";
    let pending = "kubeproxy_sync_proxy_rules_endpoint_changes_pending";
    rig.until("a change in the rules, and flows forgotten", |metrics| {
        value(metrics, partial).is_some()
            && value(metrics, reconciled).is_some()
            && value(metrics, pending) == Some(0.0)
            && value(metrics, programmed) == Some(3.0)
    })?;
    for path in ["/healthz", "/livez"] {
        rig.ask(Port::Health, &Request::new(path))?;
    }
    Ok(())
}

fn service(name: &str, protocol: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "ipFamilyPolicy": "RequireDualStack",
            "ports": [{"name": "main", "protocol": protocol, "port": 80, "targetPort": 8080}],
        },
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    object
}

/// RFC 3339, to the second.
fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}
