//! Session affinity outlives the proxy: a table that is taken over hands its
//! clients on.

use super::rig::{LIMIT, Rig};
use nix::sys::signal::Signal;

pub const WEB: &str = r"
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10, 'fd00:10:96::10']
  sessionAffinity: ClientIP
  ports: [{name: http, port: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-4, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.244.0.1]}, {addresses: [10.244.0.2]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-6, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv6
ports: [{name: http, port: 8080}]
endpoints: [{addresses: ['fd00:10:244::1']}]
";

const FIRST: &str = "affinity-default/web/tcp/80__10.244.0.1/8080";
pub const SECOND: &str = "affinity-default/web/tcp/80__10.244.0.2/8080";
const SIX: &str = "affinity-default/web/tcp/80__fd00.10.244..1/8080";

fn rig(test: &str) -> Rig {
    let rig = Rig::new(test);
    rig.write("web.yaml", WEB);
    rig
}

/// One element of a client that is to be forgotten soon.
pub fn remember(rig: &Rig, family: &str, set: &str, client: &str) {
    let element = format!("{{ {client} timeout 3h expires 1h }}");
    let words = ["nft", "add", "element", family, "kube-proxy", set, &element];
    rig.namespace.exec(&words).expect("an element");
}

fn until_listed(rig: &mut Rig, family: &str, set: &str, part: &str) {
    rig.wait(part, |rig| {
        let listed = rig.listed(family, "set", set);
        anyhow::ensure!(listed.contains(part), "{set}: {listed}");
        Ok(())
    });
}

#[test]
fn a_restart_keeps_clients() {
    let mut rig = rig("affinity-restart");
    rig.start();
    until_listed(&mut rig, "ip6", SIX, "flags dynamic,timeout");
    remember(&rig, "ip", SECOND, "203.0.113.7");
    remember(&rig, "ip6", SIX, "2001:db8:113::7");
    rig.namespace
        .exec(&["nft", "add", "chain", "ip6", "kube-proxy", "old"])
        .expect("a chain");
    rig.process().signal(Signal::SIGTERM).expect("it runs");
    rig.ended(LIMIT);
    rig.start();
    // IPv6 comes last.
    rig.wait("a new table", |rig| {
        anyhow::ensure!(rig.listed("ip6", "chain", "old").is_empty(), "the old one");
        Ok(())
    });
    for (family, set, client) in [
        ("ip", SECOND, "203.0.113.7"),
        ("ip6", SIX, "2001:db8:113::7"),
    ] {
        let listed = rig.listed(family, "set", set);
        assert!(listed.contains(client), "{listed}");
        assert!(listed.contains("timeout 3h expires 59m"), "{listed}");
    }
    assert!(!rig.listed("ip", "set", FIRST).contains("203.0.113.7"));
}

#[test]
fn upstreams_clients_are_taken_over() {
    let mut rig = rig("affinity-upstream");
    // Upstream names a set by a hash, the port's name and the endpoint.
    let table = "table ip kube-proxy {
        set affinity-QT2YAAAA-default/web/tcp/http__10.244.0.2/8080 {
            type ipv4_addr
            flags dynamic,timeout
            timeout 3h
            elements = { 203.0.113.7 expires 1h, 203.0.113.8 expires 2h }
        }
        set affinity-QT2YAAAA-default/gone/tcp/http__10.244.0.9/8080 {
            type ipv4_addr
            flags dynamic,timeout
            timeout 3h
            elements = { 203.0.113.9 expires 1h }
        }
    }";
    rig.namespace.nft(table).expect("upstream's table");
    rig.start();
    until_listed(&mut rig, "ip", SECOND, "203.0.113.7");
    until_listed(&mut rig, "ip", SECOND, "203.0.113.8");
    assert!(!rig.listed("ip", "set", FIRST).contains("203.0.113"));
}
