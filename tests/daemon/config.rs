//! The daemon by configuration files: those of kubeadm and kind, what is wrong with others, and
//! what happens when they change.

use super::rig::{BINARY, LIMIT, Rig, service};
use e2e::wait;
use std::path::{Path, PathBuf};

const HEAD: &str = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read_to_string(path.join(format!("{name}.yaml"))).expect("a fixture")
}

impl Rig {
    /// Writes a configuration that takes objects from manifests.
    fn config(&self, text: &str) -> PathBuf {
        let path = self.scratch("config.conf");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Starts the daemon by a file; the last flags win.
    fn start_by(&mut self, config: &Path, flags: &[&str]) {
        let mut command = self.namespace.command(BINARY);
        command.env_remove("KUBERNETES_SERVICE_HOST");
        command.arg("--config").arg(config);
        command.args(["--hostname-override=n1"]).args(flags);
        self.run(&mut command);
    }
}

/// The fixture without the kubeconfig, which manifests stand in for, and with the machine's
/// limit on connections left alone.
fn with_manifests(text: &str) -> String {
    text.replace(
        "kubeconfig: /var/lib/kube-proxy/kubeconfig.conf",
        "kubeconfig: \"\"",
    )
    .replace("maxPerCore: null", "maxPerCore: 0")
}

#[test]
fn configmaps_of_kubeadm_and_kind_are_served() {
    for name in ["kubeadm", "kind"] {
        let mut rig = Rig::new(&format!("config-{name}"));
        rig.write("web.yaml", &service("web", "10.96.0.10", 80, "10.244.1.10"));
        let config = rig.config(&with_manifests(&fixture(name)));
        let manifests = rig.manifests();
        let manifests = format!("--manifests={}", manifests.display());
        rig.start_by(&config, &[&manifests]);
        // That of kubeadm has no mode, which stands for iptables.
        if name == "kubeadm" {
            rig.has_chains(true);
        } else {
            rig.served(&["10.96.0.10 . tcp . 80"]);
        }
        assert_eq!(rig.lines(&["strict decoding"]).len(), 0, "{}", rig.log());
        let default = rig.lines(&["no proxy mode is given"]).len();
        assert_eq!(default, usize::from(name == "kubeadm"), "{}", rig.log());
    }
}

#[test]
fn their_kubeconfig_is_used() {
    for name in ["kubeadm", "kind"] {
        let mut rig = Rig::new(&format!("kubeconfig-{name}"));
        let text = fixture(name).replace("maxPerCore: null", "maxPerCore: 0");
        let config = rig.config(&text.replace("/var/lib/kube-proxy", "/nonexistent"));
        rig.start_by(&config, &[]);
        assert_eq!(rig.ended(LIMIT).code(), Some(1), "{}", rig.log());
        let said = rig.lines(&["ERROR", "/nonexistent/kubeconfig.conf"]);
        assert_eq!(said.len(), 1, "{}", rig.log());
    }
}

#[test]
fn a_change_of_the_file_ends_it_and_one_of_its_name_does_not() {
    let started = |test: &str| {
        let mut rig = Rig::new(test);
        rig.write("web.yaml", &service("web", "10.96.0.10", 80, "10.244.1.10"));
        let conntrack = "conntrack: {maxPerCore: 0}\n";
        let config = rig.config(&format!("{HEAD}mode: nftables\n{conntrack}"));
        let manifests = format!("--manifests={}", rig.manifests().display());
        rig.start_by(&config, &[&manifests]);
        rig.served(&["10.96.0.10 . tcp . 80"]);
        (rig, config)
    };
    let (mut rig, config) = started("written");
    let mut text = std::fs::read_to_string(&config).expect("the file");
    text.push('#');
    std::fs::write(&config, text).expect("a write");
    assert_eq!(rig.ended(LIMIT).code(), Some(1), "{}", rig.log());
    let says = "content of the proxy server's configuration file was updated";
    assert_eq!(rig.lines(&["ERROR", says]).len(), 1, "{}", rig.log());

    let (mut rig, config) = started("renamed");
    std::fs::rename(&config, rig.scratch("elsewhere")).expect("a rename");
    assert_eq!(rig.ended(LIMIT).code(), Some(1), "{}", rig.log());

    // As a ConfigMap's volume does it, and many editors.
    let (mut rig, config) = started("replaced");
    let aside = rig.scratch("aside");
    std::fs::write(&aside, HEAD).expect("a file");
    std::fs::rename(&aside, &config).expect("a rename");
    rig.settled();
    rig.process().check().expect("it runs on");
}

#[test]
fn what_is_wrong_with_a_file_is_one_line() {
    let mut rig = Rig::new("bad-config");
    for (text, says) in [
        ("", "failed complete: --config"),
        (
            "mode: ipvs\n",
            "\"ipvs\" is not supported by kube-proxy-rs; use iptables",
        ),
        ("mode: [\n", "failed to decode: yaml: "),
        (
            "clusterCIDR: 10.0.0.0/8,11.0.0.0/8\n",
            "DetectLocalConfiguration.ClusterCIDRs",
        ),
        (
            "clientConnection: {kubeconfig: /a}\n",
            "leave out clientConnection.kubeconfig",
        ),
    ] {
        let head = if text.is_empty() { "" } else { HEAD };
        let config = rig.config(&format!("{head}{text}"));
        let before = rig.log().lines().count();
        rig.start_by(&config, &["--manifests=/tmp"]);
        assert_eq!(rig.ended(LIMIT).code(), Some(1), "{}", rig.log());
        let log = rig.log();
        let said: Vec<&str> = log.lines().skip(before).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains("ERROR") && said[0].contains(says),
            "{said:?}"
        );
    }
}

#[test]
fn set_up_alone_writes_no_rules() {
    let rig = Rig::new("init-only");
    let sysctl = "/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream";
    let output = rig
        .namespace
        .command(BINARY)
        .args(["--init-only", "--proxy-mode=nftables", "--manifests=/tmp"])
        .args([
            "--conntrack-max-per-core=0",
            "--conntrack-udp-timeout-stream=77s",
        ])
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{output:?}");
    let namespace = &rig.namespace;
    assert_eq!(
        namespace.exec(&["cat", sysctl]).expect("a file").trim(),
        "77"
    );
    let rules = namespace
        .exec(&["nft", "list", "ruleset"])
        .expect("a listing");
    assert_eq!(rules, "");
}

#[test]
fn the_log_may_be_json() {
    let mut rig = Rig::new("json");
    let manifests = format!("--manifests={}", rig.manifests().display());
    rig.start_with(&[&manifests, "--logging-format=json", "-v=2"]);
    wait::until("a line", LIMIT, || {
        anyhow::ensure!(rig.log().contains("synced"));
        Ok(())
    })
    .expect("a sync");
    let (mut info, mut debug) = (0, 0);
    for line in rig.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(line["ts"].is_f64() && line["caller"].is_string(), "{line}");
        assert!(line["msg"].is_string(), "{line}");
        info += usize::from(line["v"] == 0);
        debug += usize::from(line["v"] == 2);
    }
    assert!(info > 0 && debug > 0, "{}", rig.log());
}
