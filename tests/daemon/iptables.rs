//! The daemon in mode iptables: its chains are upstream's, its settings are that mode's, and it comes
//! from and goes to mode nftables.

use super::rig::{BINARY, LIMIT, Rig, service};
use anyhow::ensure;
use e2e::Namespace;
use nix::sys::signal::Signal;

/// A chain of the Service below: its name is upstream's for `default/web`.
const COMMENT: &str = "\"default/web cluster IP\"";

impl Rig {
    /// Starts it in mode iptables on the manifests.
    fn start_iptables(&mut self, flags: &[&str]) {
        let manifests = format!("--manifests={}", self.manifests().display());
        self.start_with(&[&[&manifests, "--proxy-mode=iptables"], flags].concat());
    }

    fn saved(&self, program: &str) -> String {
        self.namespace.exec(&[program]).unwrap_or_default()
    }

    /// Waits until both tools tell of the Service, or no longer do.
    pub fn has_chains(&mut self, expected: bool) {
        self.wait("chains", |rig| {
            let saved = rig.saved("iptables-nft-save");
            ensure!(saved.contains(COMMENT) == expected, "{saved}");
            Ok(())
        });
    }

    fn has_table(&mut self, expected: bool) {
        self.wait("tables", |rig| {
            let tables = rig.namespace.exec(&["nft", "list", "tables"])?;
            ensure!(tables.contains("kube-proxy") == expected, "{tables}");
            Ok(())
        });
    }

    /// Ends it; its rules stay.
    fn stop(&mut self) {
        self.process().signal(Signal::SIGTERM).expect("it runs");
        assert!(self.ended(LIMIT).success(), "{}", self.log());
    }

    fn answer(&self, address: &str, path: &str) -> String {
        let address = address.parse().expect("an address");
        let answer = self.namespace.get(address, path);
        answer.expect("an answer").body
    }
}

fn rig(test: &str) -> Rig {
    let rig = Rig::new(test);
    rig.write("web.yaml", &service("web", "10.96.0.10", 80, "10.244.1.10"));
    rig
}

fn sysctl(namespace: &Namespace, name: &str) -> String {
    let file = format!("/proc/sys/net/{name}");
    let value = namespace.exec(&["cat", &file]).expect("a file");
    value.trim().to_owned()
}

#[test]
fn its_chains_are_there_and_what_serves_is_told() {
    let mut rig = rig("chains");
    rig.start_iptables(&["--service-metrics"]);
    rig.has_chains(true);
    let saved = rig.saved("iptables-nft-save");
    for line in [
        "-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES",
        ":KUBE-PROXY-CANARY - [0:0]",
        "-d 10.96.0.10/32 -p tcp -m comment --comment \"default/web cluster IP\" -m tcp --dport 80",
        "--ctstate INVALID -m nfacct --nfacct-name  ct_state_invalid_dropped_pkts -j DROP",
        "--comment \"block incoming localnet connections\"",
    ] {
        assert!(saved.contains(line), "{line} in\n{saved}");
    }
    let six = rig.saved("ip6tables-nft-save");
    assert!(six.contains("-A PREROUTING -m comment"), "{six}");
    assert_eq!(rig.answer("127.0.0.1:10249", "/proxyMode"), "iptables");
    let metrics = rig.answer("127.0.0.1:10249", "/metrics");
    for part in [
        "kubeproxy_sync_proxy_rules_iptables_total{ip_family=\"IPv4\",table=\"nat\"} ",
        "kubeproxy_iptables_ct_state_invalid_dropped_packets_total 0",
        "kubeproxy_iptables_localhost_nodeports_accepted_packets_total 0",
    ] {
        assert!(metrics.contains(part), "{part} in\n{metrics}");
    }
    assert!(!metrics.contains("nftables"), "{metrics}");
    assert_eq!(rig.lines(&["--service-metrics"]).len(), 1, "{}", rig.log());
    assert_eq!(
        rig.lines(&["mode iptables, IPv4"]).len(),
        1,
        "{}",
        rig.log()
    );
    assert_eq!(sysctl(&rig.namespace, "ipv4/conf/all/route_localnet"), "1");
    rig.has_table(false);

    // A change is a change of chains.
    rig.remove("web.yaml");
    rig.has_chains(false);
}

#[test]
fn it_comes_from_mode_nftables_and_goes_there() {
    let mut rig = rig("modes");
    rig.start();
    rig.served(&["10.96.0.10 . tcp . 80"]);
    rig.stop();
    rig.start_iptables(&[]);
    rig.has_chains(true);
    rig.has_table(false);
    rig.stop();
    rig.start();
    rig.served(&["10.96.0.10 . tcp . 80"]);
    rig.has_chains(false);
    let saved = rig.saved("iptables-nft-save");
    assert!(!saved.contains("KUBE-SERVICES"), "{saved}");
}

#[test]
fn settings_of_the_mode_count() {
    let mut rig = rig("settings");
    let liberal = [("net/netfilter/nf_conntrack_tcp_be_liberal", "1")];
    rig.namespace.sysctls(&liberal).expect("a sysctl");
    rig.start_iptables(&[
        "--iptables-localhost-nodeports=false",
        "--iptables-masquerade-bit=7",
        "--masquerade-all",
        "--nodeport-addresses=192.0.2.0/24",
    ]);
    rig.has_chains(true);
    let saved = rig.saved("iptables-nft-save");
    for line in [
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x80/0x80",
        // Of pods as well.
        "-d 10.96.0.10/32 -p tcp -m comment --comment \"default/web cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ",
        "-A KUBE-SERVICES -d 192.0.2.1/32 -m comment",
    ] {
        assert!(saved.contains(line), "{line} in\n{saved}");
    }
    for word in ["INVALID", "block incoming localnet", "127.0.0.1"] {
        assert!(!saved.contains(word), "{word} in\n{saved}");
    }
    assert_eq!(sysctl(&rig.namespace, "ipv4/conf/all/route_localnet"), "0");
    assert_eq!(rig.lines(&["nf_conntrack_tcp_be_liberal is set"]).len(), 1);
}

#[test]
fn set_up_alone_lets_loopback_addresses_be_routed() {
    for (flags, expected) in [
        (&["--proxy-mode=iptables"][..], "1"),
        (&[], "1"),
        (&["--proxy-mode=nftables"], "0"),
        (
            &["--proxy-mode=iptables", "--nodeport-addresses=primary"],
            "0",
        ),
    ] {
        let rig = rig("localnet");
        let output = rig
            .namespace
            .command(BINARY)
            .args([
                "--init-only",
                "--manifests=/tmp",
                "--conntrack-max-per-core=0",
            ])
            .args(flags)
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{output:?}");
        let value = sysctl(&rig.namespace, "ipv4/conf/all/route_localnet");
        assert_eq!(value, expected, "{flags:?}");
        assert_eq!(
            rig.namespace
                .exec(&["nft", "list", "ruleset"])
                .expect("a list"),
            ""
        );
    }
}

#[test]
fn what_others_change_is_mended() {
    let mut rig = rig("mended");
    rig.start_iptables(&[]);
    rig.has_chains(true);
    for (words, process) in [
        ("iptables-nft -t nat -F KUBE-SERVICES", "iptables"),
        ("nft flush ruleset", "nft"),
    ] {
        // What is done while it writes itself is mended too, but not told.
        rig.settled();
        let before = rig.lines(&["was changed by"]).len();
        let words: Vec<&str> = words.split(' ').collect();
        rig.namespace.exec(&words).expect("an edit");
        rig.wait("a line", |rig| {
            let said = rig.lines(&["was changed by", process]).len();
            ensure!(said > before, "{}", rig.log());
            Ok(())
        });
        rig.has_chains(true);
    }
    let metrics = rig.answer("127.0.0.1:10249", "/metrics");
    assert!(
        metrics.contains("kubeproxyrs_drift_total{ip_family=\"IPv4\"} "),
        "{metrics}"
    );
}

#[test]
fn nodes_of_legacy_iptables_are_served_by_nftables() {
    let mut rig = rig("legacy");
    // To list a table makes it. Only that one would have the kubelet's chains.
    rig.namespace
        .exec(&["iptables-legacy", "-t", "mangle", "-S"])
        .expect("a legacy table");
    rig.start_iptables(&[]);
    rig.served(&["10.96.0.10 . tcp . 80"]);
    let said = rig.lines(&[
        "proxy mode iptables is asked for",
        "are legacy",
        "nftables serves",
    ]);
    assert_eq!(said.len(), 1, "{}", rig.log());
    assert_eq!(rig.answer("127.0.0.1:10249", "/proxyMode"), "nftables");
    let saved = rig.saved("iptables-nft-save");
    assert!(!saved.contains("KUBE-"), "{saved}");
    // All addresses answer node ports, as in mode iptables.
    let listed = rig.listed("ip", "set", "nodeport-ips");
    assert!(!listed.contains("192.0.2.1"), "{listed}");
}
