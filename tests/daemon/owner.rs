//! Beside somebody who holds the table.

use super::rig::{LIMIT, Rig, service};
use anyhow::ensure;
use e2e::wait;
use std::process::Stdio;

#[test]
fn a_table_that_another_process_owns_is_no_health_and_taken_when_it_is_free() {
    let mut rig = Rig::new("owner");
    let mut owner = rig.namespace.command("nft");
    owner.arg("-i").stdin(Stdio::piped());
    let mut owner = owner.spawn().expect("nft");
    let table = "table ip kube-proxy { flags owner; }\n";
    let input = owner.stdin.as_mut().expect("a pipe");
    std::io::Write::write_all(input, table.as_bytes()).expect("nft reads");
    let there = || {
        let listed = rig.namespace.exec(&["nft", "list", "tables"])?;
        ensure!(listed.contains("ip kube-proxy"), "{listed}");
        Ok(())
    };
    wait::until("the table", LIMIT, there).expect("a table of its own");
    let manifests = rig.manifests();
    let manifests = manifests.to_str().expect("UTF-8").to_owned();
    rig.start_with(&["--iptables-sync-period=2s", "--manifests", &manifests]);
    let livez = "http://127.0.0.1:10256/livez";
    rig.wait("ill health, though no change waits", |rig| {
        let words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", livez];
        let code = rig.namespace.exec(&words)?;
        ensure!(code == "503", "{code}");
        Ok(())
    });
    let said = rig.lines(&["sync failed", "EPERM", "belongs to another process"]);
    assert_eq!(said.len(), 1, "once: {}", rig.log());
    assert_eq!(
        rig.lines(&["someone else changed"]).len(),
        0,
        "{}",
        rig.log()
    );
    owner.kill().expect("it runs");
    owner.wait().expect("it ended");
    rig.write("web.yaml", &service("web", "10.96.0.10", 80, "10.244.1.10"));
    rig.served(&["10.96.0.10 . tcp . 80"]);
}
