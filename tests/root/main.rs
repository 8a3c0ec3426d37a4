//! The daemon as somebody else than root: the one place where a test has to be the machine's root,
//! to become another user.

#[path = "../daemon/rig.rs"]
#[expect(dead_code, reason = "most of it is for the tests of `daemon`")]
mod rig;

use anyhow::{Context, ensure};
use rig::{BINARY, LIMIT, Rig, service};

/// Ends a test that cannot become another user, with the reason.
fn as_root_of_the_machine() {
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("/proc");
    let ids: Vec<&str> = map.split_whitespace().collect();
    let is_root = nix::unistd::geteuid().is_root();
    assert!(
        is_root && ids == ["0", "0", "4294967295"],
        "it becomes another user, which only root of the machine may"
    );
}

/// A user namespace of an unprivileged user, with a network namespace of its own: what rootless
/// kubelets run in.
#[test]
fn in_a_user_namespace_it_serves() {
    as_root_of_the_machine();
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
fn without_permission_it_says_so_in_one_line_and_exits_with_1() {
    as_root_of_the_machine();
    let mut rig = Rig::new("caps");
    // Somewhere that everyone can reach, as the build directory need not be.
    let binary = rig.scratch("kube-proxy");
    std::fs::copy(BINARY, &binary).expect("a copy");
    let binary = binary.to_str().expect("UTF-8").to_owned();
    for drop in [
        &["--reuid=65534", "--regid=65534", "--clear-groups"][..],
        &["--bounding-set=-net_admin", "--inh-caps=-net_admin"],
    ] {
        let before = rig.log().lines().count();
        let mut command = rig.namespace.command("setpriv");
        command.args(drop).arg(&binary);
        command.args([
            "--hostname-override=n1",
            "--proxy-mode=nftables",
            "--manifests",
        ]);
        command.arg(rig.manifests());
        rig.run(&mut command);
        let status = rig.ended(LIMIT);
        assert_eq!(status.code(), Some(1), "{drop:?}: {}", rig.log());
        let log = rig.log();
        let said: Vec<&str> = log.lines().skip(before).collect();
        assert_eq!(said.len(), 1, "{drop:?}: {said:?}");
        let message = "nftables: not permitted; run as root or with the capability NET_ADMIN";
        assert!(said[0].ends_with(message), "{drop:?}: {said:?}");
    }
}
