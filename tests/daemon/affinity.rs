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

/// Puts clients into a set of the table, some thousands at a time: more than that one message of
/// nft's takes with the right to a large buffer alone, which is the first namespace's.
fn fill(rig: &Rig, set: &str, second: u8, count: u32, expires: &str) {
    let all: Vec<u32> = (0..count).collect();
    for some in all.chunks(3_000) {
        let elements = some.iter().map(|n| {
            let [_, _, high, low] = n.to_be_bytes();
            format!("10.{second}.{high}.{low} expires {expires}")
        });
        let elements = elements.collect::<Vec<_>>().join(", ");
        let add = format!("add element ip kube-proxy {set} {{ {elements} }}");
        rig.namespace.nft(&add).expect("room for clients");
    }
}

/// Whoever can forge addresses decides how many clients there are.
#[test]
fn of_too_many_clients_the_longest_remembered_are_carried_over() {
    const EACH: u32 = 60_000;
    const KEPT: usize = 100_000;
    // Some 40 MB in a debug build.
    const PEAK_KB: u64 = 80_000;
    let mut rig = rig("affinity-many");
    for (set, second, expires) in [(FIRST, 1, "1h"), (SECOND, 2, "2h")] {
        let declared = "{ type ipv4_addr; flags dynamic,timeout; timeout 3h; }";
        let table = format!("table ip kube-proxy {{ set {set} {declared}\n}}");
        rig.namespace.nft(&table).expect("a set");
        fill(&rig, set, second, EACH, expires);
    }
    rig.start();
    let said = "IPv4: session affinity remembers 120000 clients; the 100000";
    rig.wait("the start", |rig| {
        anyhow::ensure!(rig.lines(&[said]).len() == 1, "nothing is said");
        Ok(())
    });
    rig.wait("the clients", |rig| {
        let kept = |set| rig.listed("ip", "set", set).matches("expires").count();
        let found = [kept(FIRST), kept(SECOND)];
        anyhow::ensure!(found == [KEPT - EACH as usize, EACH as usize], "{found:?}");
        Ok(())
    });
    let peak = e2e::usage::peak_mb(rig.process().pid()).expect("it runs");
    println!("{peak} MB at the most");
    assert!(
        peak * 1e6 < (PEAK_KB * 1024) as f64,
        "{peak} MB at the most"
    );
}
