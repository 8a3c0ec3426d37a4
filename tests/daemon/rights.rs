//! Without the rights of the machine's root, and beside somebody who holds the table.

use super::rig::{BINARY, LIMIT, Rig, service};
use anyhow::{Context, ensure};
use e2e::wait;
use std::process::Stdio;

/// A user namespace of an unprivileged user, with a network namespace of its own: what rootless
/// kubelets run in.
#[test]
fn in_a_user_namespace_it_serves() {
    let mut rig = Rig::new("rootless");
    // Somewhere that everyone can reach, as the build directory need not be.
    let binary = rig.scratch("kube-proxy");
    std::fs::copy(BINARY, &binary).expect("a copy");
    rig.write("web.yaml", &service("web", "10.96.0.10", 80, "10.244.1.10"));
    // More than the buffer that a socket begins with holds.
    for n in 0..100 {
        let endpoints: Vec<String> = (0..100).map(|m| format!("10.245.{n}.{m}")).collect();
        let address = format!("10.97.0.{n}");
        let text = service(
            &format!("many-{n}"),
            &address,
            80,
            &endpoints.join("]}, {addresses: ["),
        );
        rig.write(&format!("many-{n}.yaml"), &text);
    }
    // Only root of its own namespace can list the rules, so it does that itself.
    let listing = rig.scratch("listing");
    let script = format!(
        "ip link set lo up; {} --hostname-override=n1 --proxy-mode=nftables \
         --conntrack-max-per-core=0 --iptables-min-sync-period=20ms --manifests {} & \
         trap \"kill $!\" EXIT; trap exit TERM; while kill -0 $!; do nft list table ip kube-proxy > {list}.new 2>/dev/null; \
         mv {list}.new {list}; sleep 0.2; done",
        binary.display(),
        rig.manifests().display(),
        list = listing.display()
    );
    let mut command = rig.namespace.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args([
        "unshare",
        "--user",
        "--map-root-user",
        "--net",
        "sh",
        "-c",
        &script,
    ]);
    std::process::Command::new("chmod")
        .arg("0777")
        .arg(listing.parent().expect("a directory"))
        .status()
        .expect("chmod");
    rig.run(&mut command);
    rig.wait("all Services to be served", |_| {
        let listed = std::fs::read_to_string(&listing).context("a listing")?;
        let all = (0..100).map(|n| format!("10.97.0.{n} . tcp . 80 . 99"));
        for part in all.chain(["10.96.0.10 . tcp . 80".to_owned()]) {
            ensure!(listed.contains(&part), "{part} is missing");
        }
        Ok(())
    });
    assert_eq!(rig.lines(&["left out"]).len(), 0, "{}", rig.log());
}

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
