//! Node ports on localhost, served by the daemon where nftables serves.

use super::rig::{LIMIT, Rig};
use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const GATE: &str = "--feature-gates=KubeProxyNFTablesLocalhostNodePorts=true";
const NAMED: &str = "--nodeport-addresses=primary,localhost";
const PORT: u16 = 30080;

/// A Service of both families whose endpoint is this node itself.
fn web() -> String {
    let slice = |family: &str, address: &str| {
        format!(
            "---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: {family}, \
             metadata: {{name: web-{}, namespace: default, \
             labels: {{kubernetes.io/service-name: web}}}}, ports: [{{name: http, port: 8080}}], \
             endpoints: [{{addresses: [\"{address}\"], nodeName: n1}}]}}\n",
            family.to_lowercase()
        )
    };
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: default}}, \
         spec: {{type: NodePort, clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10, \
         \"fd00:10:96::a\"], ipFamilies: [IPv4, IPv6], \
         ports: [{{name: http, port: 80, nodePort: {PORT}}}]}}}}\n{}{}",
        slice("IPv4", "192.0.2.1"),
        slice("IPv6", "2001:db8::1")
    )
}

/// The endpoint, on all addresses of the node.
fn endpoint(rig: &Rig) {
    let listener = rig.namespace.run(|| TcpListener::bind("[::]:8080"));
    let listener = listener.expect("the namespace").expect("a listener");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that is gone is no matter.
            drop(stream.and_then(|mut stream| stream.write_all(b"web")));
        }
    });
}

/// What the node port answers on a loopback address.
fn ask(rig: &Rig, host: &str) -> anyhow::Result<String> {
    let server: SocketAddr = format!("{host}:{PORT}").parse()?;
    let connect = || TcpStream::connect_timeout(&server, Duration::from_secs(5));
    let mut stream = rig.namespace.run(connect)??;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn is_served(rig: &mut Rig, host: &str) {
    rig.wait("an answer", |rig| {
        let text = ask(rig, host)?;
        ensure!(text == "web", "{text}");
        Ok(())
    });
}

/// The rules refuse, and count that they do.
fn is_refused(rig: &mut Rig, family: &str, host: &str) {
    let count = |rig: &Rig| {
        let sample = format!(
            "kubeproxy_nftables_localhost_nodeport_rejected_packets_total{{ip_family=\"{family}\",\
             protocol=\"TCP\"}}"
        );
        let text = metrics(rig)?;
        let line = text.lines().find_map(|line| line.strip_prefix(&sample));
        let count: f64 = line.context("no such line")?.trim().parse()?;
        anyhow::Ok(count)
    };
    rig.wait("a refusal that is counted", |rig| {
        let before = count(rig)?;
        ensure!(ask(rig, host).is_err(), "somebody answers");
        // What is read once is told for two seconds.
        std::thread::sleep(Duration::from_millis(2100));
        let after = count(rig)?;
        ensure!(after > before, "{before} and then {after}");
        Ok(())
    });
}

fn metrics(rig: &Rig) -> anyhow::Result<String> {
    let server = "127.0.0.1:10249".parse()?;
    Ok(rig.namespace.get(server, "/metrics")?.body)
}

fn stop(rig: &mut Rig) {
    rig.process().signal(Signal::SIGTERM).expect("it runs");
    assert!(rig.ended(LIMIT).success(), "{}", rig.log());
}

fn start(rig: &mut Rig, flags: &[&str]) {
    let manifests = rig.manifests();
    let manifests = manifests.to_str().expect("UTF-8");
    rig.start_with(&[&["--manifests", manifests], flags].concat());
}

#[test]
fn localhost_is_served_where_it_is_named() {
    let mut rig = Rig::new("localhost");
    endpoint(&rig);
    start(&mut rig, &[GATE, NAMED]);
    rig.write("web.yaml", &web());
    for host in ["127.0.0.1", "[::1]"] {
        is_served(&mut rig, host);
    }
    rig.wait("the metrics", |rig| {
        let text = metrics(rig)?;
        for family in ["IPv4", "IPv6"] {
            let line = format!(
                "kubeproxy_nftables_localhost_nodeport_listeners{{ip_family=\"{family}\"}} 1"
            );
            ensure!(text.contains(&line), "{text}");
        }
        Ok(())
    });
    rig.remove("web.yaml");
    rig.wait("nobody", |rig| {
        ensure!(ask(rig, "127.0.0.1").is_err(), "somebody answers");
        Ok(())
    });
    // It comes back.
    rig.write("web.yaml", &web());
    is_served(&mut rig, "127.0.0.1");
}

/// Upstream's first release of it refuses what it refused before (kubernetes/kubernetes#142183).
#[test]
fn what_was_refused_is_served_after_a_restart_with_localhost() {
    let mut rig = Rig::new("localhost-restart");
    endpoint(&rig);
    rig.write("web.yaml", &web());
    start(&mut rig, &[GATE]);
    is_refused(&mut rig, "IPv4", "127.0.0.1");
    is_refused(&mut rig, "IPv6", "[::1]");
    stop(&mut rig);
    start(&mut rig, &[GATE, NAMED]);
    is_served(&mut rig, "127.0.0.1");
    is_served(&mut rig, "[::1]");
    // Another loopback address is none (kubernetes/kubernetes#142129).
    stop(&mut rig);
    start(&mut rig, &[GATE, "--nodeport-addresses=127.0.0.2/32"]);
    is_refused(&mut rig, "IPv4", "127.0.0.1");
    // And back, without anything that the feature left.
    stop(&mut rig);
    start(&mut rig, &[]);
    rig.wait("a table without it", |rig| {
        let table = rig
            .namespace
            .exec(&["nft", "list", "table", "ip", "kube-proxy"])?;
        ensure!(table.contains("10.96.0.10 . tcp . 80"), "no Service yet");
        ensure!(!table.contains("localhost"), "{table}");
        Ok(())
    });
}
