//! What the rules counted, as metrics.

use super::rig::Rig;

const DNS: &str = r"
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: shop}
spec:
  clusterIP: 10.96.0.20
  ports: [{name: dns, port: 53, protocol: UDP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: dns-1, namespace: shop, labels: {kubernetes.io/service-name: dns}}
addressType: IPv4
ports: [{name: dns, port: 5353, protocol: UDP}]
endpoints: [{addresses: [10.244.0.1]}, {addresses: [10.244.0.2]}]
";

const NAMED: &str = "{name=\"dns\",namespace=\"shop\",port=\"dns\"}";

/// So many datagrams to an address, each from a port of its own.
fn send(rig: &Rig, address: &str, count: usize) {
    let script = format!("for i in $(seq {count}); do echo > /dev/udp/{address} || true; done");
    let sent = rig.namespace.exec(&["bash", "-c", &script]);
    sent.expect("datagrams");
}

fn metric(rig: &Rig, name: &str) -> Option<f64> {
    rig.namespace.metric(name).expect("metrics")
}

fn until(rig: &mut Rig, name: &str, value: f64) {
    rig.wait(name, |rig| {
        let found = metric(rig, name);
        anyhow::ensure!(found == Some(value), "{name} is {found:?}, not {value}");
        Ok(())
    });
}

fn running(test: &str, flags: &[&str]) -> Rig {
    let mut rig = Rig::new(test);
    rig.write("dns.yaml", DNS);
    let routes = "route add 10.96.0.0/16 dev lo\nroute add 10.244.0.0/16 dev lo";
    e2e::ip(&rig.namespace, routes).expect("routes");
    let manifests = rig.manifests();
    let manifests = manifests.to_str().expect("UTF-8");
    rig.start_with(&[&["--manifests", manifests], flags].concat());
    rig.served(&["10.96.0.20 . udp . 53"]);
    rig
}

const CONNECTIONS: &str = "kubeproxyrs_connections_total{ip_family=\"IPv4\"}";

fn refused(reason: &str) -> String {
    format!("kubeproxyrs_refused_packets_total{{ip_family=\"IPv4\",reason=\"{reason}\"}}")
}

#[test]
fn totals_outlive_a_table_that_is_replaced() {
    let mut rig = running("counts", &["--service-metrics"]);
    let connections = format!("kubeproxyrs_service_connections_total{NAMED}");
    until(&mut rig, CONNECTIONS, 0.0);
    send(&rig, "10.96.0.20/53", 6);
    send(&rig, "10.96.0.20/54", 1);
    until(&mut rig, &connections, 6.0);
    until(&mut rig, CONNECTIONS, 6.0);
    until(&mut rig, &refused("wrong-port"), 1.0);
    assert_eq!(metric(&rig, &refused("no-endpoint")), Some(0.0));
    until(
        &mut rig,
        &format!("kubeproxyrs_service_open_connections{NAMED}"),
        6.0,
    );
    let spread = metric(&rig, &format!("kubeproxyrs_service_endpoint_spread{NAMED}"));
    assert!(
        spread.is_some_and(|spread| (1.0..=2.0).contains(&spread)),
        "{spread:?}"
    );

    // Nobody asks for metrics between these and the replacement.
    send(&rig, "10.96.0.20/53", 2);
    let handle = "nft -a list table ip kube-proxy | head -1";
    let before = rig.namespace.exec(&["sh", "-c", handle]).expect("a table");
    let edit = ["nft", "add", "chain", "ip", "kube-proxy", "somebodys"];
    rig.namespace.exec(&edit).expect("an edit");
    rig.wait("another table", |rig| {
        let now = rig.namespace.exec(&["sh", "-c", handle])?;
        anyhow::ensure!(now != before && now.contains("handle"), "{now}");
        Ok(())
    });
    rig.served(&["10.96.0.20 . udp . 53"]);
    send(&rig, "10.96.0.20/53", 3);
    until(&mut rig, &connections, 11.0);
    until(&mut rig, CONNECTIONS, 11.0);
    assert_eq!(metric(&rig, &refused("wrong-port")), Some(1.0));

    // Whoever is gone has no metrics.
    rig.remove("dns.yaml");
    rig.wait("no metrics of it", |rig| {
        let found = metric(rig, &connections);
        anyhow::ensure!(found.is_none(), "{found:?}");
        Ok(())
    });
}

#[test]
fn without_the_flag_no_service_is_told_of() {
    let mut rig = running("counts-plain", &[]);
    send(&rig, "10.96.0.20/53", 3);
    until(&mut rig, CONNECTIONS, 3.0);
    let connections = format!("kubeproxyrs_service_connections_total{NAMED}");
    assert_eq!(metric(&rig, &connections), None);
    assert_eq!(rig.listed("ip", "set", "service-connections"), "");
}

#[test]
fn a_limit_that_is_none_is_wrong_usage() {
    let mut rig = Rig::new("counts-limit");
    rig.start_with(&["--manifests=/", "--service-metrics-limit=0"]);
    let status = rig.ended(super::rig::LIMIT);
    assert_eq!(status.code(), Some(1));
    let lines = rig.lines(&["--service-metrics-limit 0", "1 or more"]);
    assert_eq!(lines.len(), 1, "{}", rig.log());
}
