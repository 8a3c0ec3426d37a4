//! Where it cannot begin, what it does without an API server, and its end.

use super::rig::{BINARY, LIMIT, Rig, service};
use nix::sys::signal::Signal;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_signal_ends_it_and_the_rules_stay() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut rig = Rig::new(&format!("end-{signal}"));
        rig.write("web.yaml", &service("web", "10.96.0.10", 80, "10.244.1.10"));
        rig.start();
        rig.served(&["10.96.0.10 . tcp . 80"]);
        let before = rig.namespace.exec(&["nft", "list", "ruleset"]);
        rig.process().signal(signal).expect("it runs");
        let status = rig.ended(LIMIT);
        assert!(status.success(), "{signal}: {status}");
        let after = rig.namespace.exec(&["nft", "list", "ruleset"]);
        assert_eq!(after.expect("a listing"), before.expect("a listing"));
    }
}

#[test]
fn what_makes_no_sense_is_one_line_and_exit_code_1() {
    let rows: &[(&[&str], &str)] = &[
        (
            &["--manifests=/nonexistent/dir"],
            "--manifests /nonexistent/dir: ",
        ),
        (
            &[],
            "neither --kubeconfig nor --master, and this is not a pod of a cluster",
        ),
        (
            &["--kubeconfig=/nonexistent/file"],
            "--kubeconfig /nonexistent/file: ",
        ),
        (&["--master=http://[::1"], "--master"),
        (
            &["--manifests=/tmp", "--cluster-cidr=10.0.0.0/8,11.0.0.0/8"],
            "KubeProxyConfiguration.DetectLocalConfiguration.ClusterCIDRs: Invalid value",
        ),
    ];
    let mut rig = Rig::new("flags");
    for (flags, says) in rows {
        let before = rig.log().lines().count();
        let mut command = rig.namespace.command(BINARY);
        command.env_remove("KUBERNETES_SERVICE_HOST").args(*flags);
        command.args(["--hostname-override=n1", "--proxy-mode=nftables"]);
        command.arg("--conntrack-max-per-core=0");
        rig.run(&mut command);
        let status = rig.ended(LIMIT);
        assert_eq!(status.code(), Some(1), "{flags:?}: {}", rig.log());
        let log = rig.log();
        let errors = log
            .lines()
            .skip(before)
            .filter(|line| line.contains("ERROR"));
        let errors: Vec<&str> = errors.collect();
        assert_eq!(errors.len(), 1, "{flags:?}: {log}");
        assert!(errors[0].contains(says), "{errors:?}");
    }
}

/// A table of an earlier run, as far as this test is concerned.
const OLD: &str = "table ip kube-proxy {\n\tset cluster-ips {\n\t\ttype ipv4_addr\n\t}\n}\n";

#[test]
fn without_an_api_server_it_says_so_and_the_rules_stay() {
    let mut rig = Rig::new("noapi");
    rig.namespace.nft(OLD).expect("a table");
    rig.start_with(&["--master=http://127.0.0.1:1"]);
    let kinds = ["services", "endpointslices", "nodes", "servicecidrs"];
    rig.wait("a message for each kind", |rig| {
        for kind in kinds {
            let watching = format!("watching {kind}: ");
            let lines = rig.lines(&[&watching, "Connection refused", "trying again"]);
            anyhow::ensure!(lines.len() == 1, "{kind}: {lines:?}");
        }
        Ok(())
    });
    let health = "127.0.0.1:10256".parse().expect("an address");
    rig.wait("/livez", |rig| {
        let response = rig.namespace.get(health, "/livez")?;
        anyhow::ensure!(response.status == 200, "{}", response.body);
        Ok(())
    });
    let tables = rig
        .namespace
        .exec(&["nft", "list", "ruleset"])
        .expect("a listing");
    assert_eq!(tables, OLD);
}

#[test]
fn it_keeps_trying_to_reach_the_api_server() {
    let mut rig = Rig::new("retry");
    let listener = rig.namespace.run(|| TcpListener::bind("127.0.0.1:6443"));
    let listener = listener.expect("the namespace").expect("a free port");
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = attempts.clone();
    // Ends with the test's process; the socket's end is no matter.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    rig.start_with(&["--master=http://127.0.0.1:6443"]);
    rig.wait("three attempts for each of four kinds", |_| {
        let attempts = attempts.load(Ordering::Relaxed);
        anyhow::ensure!(attempts >= 12, "{attempts}");
        Ok(())
    });
}
