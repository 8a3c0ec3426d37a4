//! Checks of real namespaces, with what others put there.

use super::*;
use crate::report::{Format, Output};
use e2e::Namespace;
use e2e::cleanup::ScratchDir;
use nft_wire::{Protocol, Socket};
use rules::finding::{Code, Severity};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const OBJECTS: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
   "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}},
  {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web"},
   "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.10", "externalTrafficPolicy": "Local",
            "healthCheckNodePort": 31022, "ports": [{"port": 80, "nodePort": 30517}]}}
]}"#;

/// A node with an address of each family.
struct Node {
    namespace: Namespace,
    manifests: ScratchDir,
}

impl Node {
    fn new() -> Self {
        let namespace = Namespace::create("check").expect("a namespace, which needs root");
        for words in [
            "address add 192.0.2.1/24 dev lo",
            "address add 192.0.2.99/24 dev lo",
            "address add 2001:db8::1/64 dev lo nodad",
        ] {
            e2e::ip(&namespace, words).expect("an address");
        }
        let manifests = ScratchDir::create("check").expect("a directory");
        std::fs::write(manifests.path().join("all.json"), OBJECTS).expect("a file");
        Self {
            namespace,
            manifests,
        }
    }

    fn exec(&self, lines: &[&str]) {
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            self.namespace.exec(&words).expect(line);
        }
    }

    fn settings(&self) -> Settings {
        let manifests = format!("--manifests={}", self.manifests.path().display());
        let flags = [
            "--hostname-override=n1",
            "--proxy-mode=nftables",
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
            // Where nobody answers.
            "--metrics-bind-address=127.0.0.1:9",
            &manifests,
        ];
        Settings::from_flags(&flags).expect("valid flags")
    }

    fn report(&self, from: Option<From>) -> Report<Check> {
        let settings = self.settings();
        let report = self
            .namespace
            .run(|| report(&settings, Mode::Nftables, from));
        report.expect("the namespace").expect("a report")
    }

    fn found(&self, from: Option<From>) -> Vec<(Code, Severity)> {
        let report = self.report(from);
        let codes = report.findings.iter();
        codes.map(|found| (found.code, found.severity)).collect()
    }
}

#[test]
fn a_healthy_node_is_silent_and_stays_as_it_was() {
    let node = Node::new();
    let report = node.report(None);
    assert_eq!(report.findings, []);
    for check in report.data.groups.iter().flat_map(|group| &group.checks) {
        let quiet = matches!(check.status, Status::Ok | Status::Skipped);
        assert!(quiet, "{check:?}");
    }
    let left = node.namespace.exec(&["nft", "list", "ruleset"]);
    assert_eq!(left.expect("a list"), "");
}

#[test]
fn a_node_that_mode_iptables_serves() {
    let node = Node::new();
    node.exec(&[
        "iptables-nft -P FORWARD DROP",
        "iptables-nft -N KUBE-FORWARD",
        "iptables-nft -A FORWARD -j KUBE-FORWARD",
        "iptables-nft -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
        "iptables-nft -t nat -N KUBE-SERVICES",
        "iptables-nft -t nat -A PREROUTING -j KUBE-SERVICES",
        "iptables-nft -t nat -N cali-PREROUTING",
        "iptables-nft -N ufw-user-input",
        "ip address add 169.254.20.10/32 dev lo",
    ]);
    node.namespace
        .run(|| count("localhost_nps_accepted_pkts"))
        .expect("the namespace");
    // With that counter, by which connections to node ports on localhost come.
    node.exec(&[
        "iptables-nft -t nat -A OUTPUT -d 127.0.0.0/8 -p tcp --dport 30517 -m nfacct \
         --nfacct-name localhost_nps_accepted_pkts -j DNAT --to-destination 192.0.2.1:8080",
    ]);
    node.namespace
        .run(|| {
            let listener = TcpListener::bind("192.0.2.1:8080").expect("a port");
            let mut client = TcpStream::connect("127.0.0.1:30517").expect("a connection");
            let (mut server, _) = listener.accept().expect("a connection");
            server.write_all(b"x").expect("sent");
            client.read_exact(&mut [0]).expect("received");
            let found =
                report(&node.settings(), Mode::Nftables, Some(From::Iptables)).expect("a report");
            let text = Output {
                format: Format::Table,
                fail_on: None,
            };
            let text = anstream::adapter::strip_str(&text.text(&found)).to_string();
            insta::assert_snapshot!(without_the_machine(&text));
            insta::assert_snapshot!("json", data_without_the_machine(found));
        })
        .expect("the namespace");
}

/// The same as data.
fn data_without_the_machine(mut report: Report<Check>) -> String {
    report.generated_at = "2026-01-01T00:00:00Z".to_owned();
    let checks = report
        .data
        .groups
        .iter_mut()
        .flat_map(|own| &mut own.checks);
    for check in checks.filter(|own| ["version", "modules", "room"].contains(&&*own.name)) {
        check.detail = "...".to_owned();
    }
    let output = Output {
        format: Format::Json,
        fail_on: None,
    };
    output.text(&report)
}

/// Without what differs from machine to machine: the kernel's release, its modules, how many
/// connections it tracks.
fn without_the_machine(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let own = ["version ", "modules ", "room "];
        match own.iter().find(|name| line.starts_with(**name)) {
            Some(name) => format!("{name} ..."),
            None => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Makes a counter of iptables' match `nfacct`.
fn count(name: &str) {
    const NEW: u16 = 7 << 8;
    let mut socket = Socket::open(Protocol::Netfilter).expect("a socket");
    let made = socket.request(NEW, libc::NLM_F_CREATE, |out| {
        out.raw(&[0; 4]);
        out.text(1, name);
    });
    made.expect("a counter");
}

#[test]
fn rules_of_upstreams_mode_nftables_are_told_from_ours() {
    let node = Node::new();
    node.namespace
        .nft("table ip kube-proxy {\n map service-ips {\n type ipv4_addr : verdict\n }\n}")
        .expect("a table");
    assert_eq!(node.found(None), [(Code::OtherProxy, Severity::Warning)]);
    let from = node.found(Some(From::Nftables));
    assert_eq!(
        from,
        [
            (Code::OtherProxy, Severity::Info),
            (Code::ModeSwitch, Severity::Info)
        ]
    );
    node.namespace
        .nft("delete table ip kube-proxy\ntable ip kube-proxy {\n map services {\n type ipv4_addr : verdict\n }\n}")
        .expect("a table");
    assert_eq!(node.found(None), []);
}

#[test]
fn legacy_tables_a_bridge_and_missing_forwarding_are_found() {
    let node = Node::new();
    node.exec(&["iptables-legacy -t nat -L", "ip link add cni0 type bridge"]);
    node.namespace
        .sysctls(&[("net/ipv4/ip_forward", "0")])
        .expect("a setting");
    // Whether the kernel has br_netfilter is the machine's.
    let calls = std::path::Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists();
    let found = node.found(None);
    assert!(
        found.contains(&(Code::SysctlDiffers, Severity::Error)),
        "{found:?}"
    );
    assert!(
        found.contains(&(Code::OtherProxy, Severity::Info)),
        "{found:?}"
    );
    let bridge = (Code::SysctlDiffers, Severity::Warning);
    assert_eq!(found.contains(&bridge), !calls, "{found:?}");
}

#[test]
fn a_firewall_that_lets_nothing_through_is_an_error() {
    let node = Node::new();
    node.namespace
        .nft(
            "table inet firewalld {\n chain filter_FORWARD {\n\
             type filter hook forward priority 10; policy accept;\n\
             ct state established accept\n reject with icmpx admin-prohibited\n }\n}\n\
             table inet closed {\n chain f {\n type filter hook input priority 0; policy drop;\n }\n}",
        )
        .expect("tables");
    assert_eq!(
        node.found(None),
        [
            (Code::ForeignDrop, Severity::Error),
            (Code::ForeignDrop, Severity::Warning),
            (Code::FirewallManager, Severity::Warning)
        ]
    );
}

#[test]
fn without_services_a_switch_is_no_question_but_the_node_is() {
    let node = Node::new();
    let settings = Settings::from_flags(&[
        "--hostname-override=n1",
        "--proxy-mode=nftables",
        "--manifests=/no/such/directory",
    ]);
    let settings = settings.expect("valid flags");
    let (without, with) = node
        .namespace
        .run(|| {
            let with = report(&settings, Mode::Nftables, Some(From::Ipvs)).map(drop);
            (report(&settings, Mode::Nftables, None), with)
        })
        .expect("the namespace");
    let unseen: Vec<Source> = (without.expect("a report").sources.into_iter())
        .filter(|source| source.error.is_some())
        .collect();
    assert_eq!(unseen.len(), 1, "{unseen:?}");
    assert!(
        unseen[0]
            .error
            .as_ref()
            .is_some_and(|why| why.contains("/no/such/directory"))
    );
    let error = format!("{:#}", with.expect_err("no Services"));
    assert!(
        error.starts_with("check --from ipvs: Services, of --manifests DIR"),
        "{error}"
    );
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn chains_of_iptables_are_the_proxys_own_in_its_mode() {
    let node = Node::new();
    node.exec(&[
        "iptables -t nat -N KUBE-SERVICES",
        "iptables -t nat -A PREROUTING -j KUBE-SERVICES",
        "iptables -N KUBE-FORWARD",
    ]);
    let codes = |mode| {
        let settings = node.settings();
        let report = node.namespace.run(|| report(&settings, mode, None));
        let findings = report.expect("the namespace").expect("a report").findings;
        let codes = findings.iter().map(|found| found.code);
        codes.collect::<Vec<Code>>()
    };
    assert!(codes(Mode::Nftables).contains(&Code::OtherProxy));
    let own = codes(Mode::Iptables);
    assert!(!own.contains(&Code::OtherProxy), "{own:?}");
    // This kernel has all of it, and other tests need it.
    assert!(!own.contains(&Code::KernelFeatureMissing), "{own:?}");
}
