//! The way to an API server, as the environment of a process has it: proxies and DNS.

use crate::rig::{BINARY, Rig};
use anyhow::ensure;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const PROXY: &str = "192.0.2.1:3128";

fn kubeconfig(rig: &Rig, server: &str) -> String {
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": true}}],
        "users": [{"name": "u", "user": {"token": "x"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    });
    let path = rig.scratch("kubeconfig");
    std::fs::write(&path, text.to_string()).expect("a file");
    path.to_str().expect("UTF-8").to_owned()
}

/// Starts the daemon with an environment.
fn start(rig: &mut Rig, server: &str, environment: &[(&str, &str)]) {
    let mut command = rig.namespace.command("env");
    for (name, value) in environment {
        command.arg(format!("{name}={value}"));
    }
    start_as(rig, command, server);
}

/// Starts it by a command that takes it as its arguments.
fn start_as(rig: &mut Rig, mut command: Command, server: &str) {
    let kubeconfig = kubeconfig(rig, server);
    command
        .arg(BINARY)
        .args(["--hostname-override=n1", "--proxy-mode=nftables"])
        .args(["--conntrack-max-per-core=0", "--cluster-cidr=10.244.0.0/16"])
        .args(["--kubeconfig", &kubeconfig]);
    rig.run(&mut command);
}

fn says(rig: &mut Rig, text: &str) {
    rig.wait(text, |rig| {
        ensure!(rig.log().contains(text), "it is not said");
        Ok(())
    });
}

/// A proxy that refuses everything; how often it was asked.
fn refusing_proxy(rig: &Rig) -> Arc<AtomicU32> {
    let count = Arc::new(AtomicU32::new(0));
    let own = Arc::clone(&count);
    let listener = rig.namespace.run(|| TcpListener::bind(PROXY));
    let listener = listener.expect("the namespace").expect("a port");
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            own.fetch_add(1, Ordering::Relaxed);
            let mut head = [0; 4096];
            // Its end is the client's matter.
            let _ = stream.read(&mut head);
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        }
    });
    count
}

#[test]
fn a_proxy_that_refuses_is_named_with_what_it_says() {
    let mut rig = Rig::new("proxy");
    let asked = refusing_proxy(&rig);
    start(
        &mut rig,
        "https://192.0.2.9:6443",
        &[("HTTPS_PROXY", PROXY)],
    );
    says(&mut rig, "through the proxy http://192.0.2.1:3128");
    says(
        &mut rig,
        "proxy 192.0.2.1:3128: it refuses a connection to 192.0.2.9:6443: 403 Forbidden",
    );
    assert!(asked.load(Ordering::Relaxed) > 0);
}

#[test]
fn no_proxy_is_about_the_api_server() {
    let mut rig = Rig::new("no-proxy");
    let asked = refusing_proxy(&rig);
    // Nobody listens there, and the node says so at once.
    let environment = [
        ("HTTPS_PROXY", PROXY),
        ("NO_PROXY", "odd entry,,:1, 192.0.2.0/29"),
    ];
    start(&mut rig, "https://192.0.2.1:6443", &environment);
    says(&mut rig, "connecting to 192.0.2.1:6443: Connection refused");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert!(!rig.log().contains("proxy http"), "{}", rig.log());
}

#[test]
fn a_name_server_that_is_silent_is_noticed() {
    let mut rig = Rig::new("dns");
    let resolver = rig.scratch("resolv.conf");
    std::fs::write(&resolver, "nameserver 192.0.2.1\n").expect("a file");
    // Takes questions, answers none.
    let socket = rig.namespace.run(|| UdpSocket::bind("192.0.2.1:53"));
    let _socket = socket.expect("the namespace").expect("a port");
    // Mounts are the process's own, as `ip netns exec` has it.
    let mut command = rig.namespace.command("sh");
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    command.args(["-c", script]).arg(&resolver);
    start_as(&mut rig, command, "https://api.example:6443");
    // The C library may give up a moment before we do.
    says(&mut rig, "connecting to api.example:6443: DNS: ");
    // Which it says of each kind, and goes on: it is still there.
    assert!(rig.process().check().is_ok());
}
