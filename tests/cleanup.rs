//! `kube-proxy --cleanup`, and what a start removes of other modes.
//!
//! Each test has a network namespace of its own, and fails where it cannot.

use e2e::{Namespace, ip};
use std::io::Write;
use std::process::{Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_kube-proxy");

/// A table as kube-proxy in mode iptables makes it, with rules of others around.
const NAT: &str = "\
*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SVC-AAAA - [0:0]
:KUBE-SEP-AAAA - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:OTHER - [0:0]
-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING
-A PREROUTING -j OTHER
-A OTHER -p tcp -m tcp --dport 7 -j RETURN
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-AAAA
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-SVC-AAAA -j KUBE-SEP-AAAA
-A KUBE-SEP-AAAA -s 10.244.0.1/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-AAAA -p tcp -m tcp -j DNAT --to-destination 10.244.0.1:6443
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
COMMIT
*mangle
:KUBE-PROXY-CANARY - [0:0]
COMMIT
";

/// Tables of kube-proxy in mode nftables, and another.
const TABLES: &str = "\
table ip kube-proxy {
	chain a {
		type nat hook output priority 0
	}
}
table ip6 kube-proxy {
	set s {
		type ipv6_addr
	}
}
table ip other {
	chain a {
	}
}
";

/// Feeds rules to `iptables-nft-restore` or the like.
fn restore(namespace: &Namespace, program: &str, rules: &str) {
    let mut child = namespace
        .command(program)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}, which Debian's iptables has: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(rules.as_bytes()).expect("it reads");
    drop(stdin);
    assert!(child.wait().expect("an end").success(), "{program}");
}

fn clean_up(namespace: &Namespace) -> (Output, String) {
    let output = namespace.command(BINARY).arg("--cleanup").output();
    let output = output.expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

fn save(namespace: &Namespace, program: &str) -> String {
    namespace.exec(&[program]).expect("a listing")
}

/// What is not kube-proxy's is there still, and nothing else is.
fn only_others(saved: &str) {
    for line in saved.lines().filter(|line| line.contains("KUBE-")) {
        assert!(line.contains("KUBE-KUBELET-CANARY"), "{line}\n{saved}");
    }
    assert!(saved.contains("-A PREROUTING -j OTHER"), "{saved}");
    assert!(saved.contains("-A OTHER -p tcp"), "{saved}");
}

#[test]
fn rules_of_every_mode_go() {
    let namespace = Namespace::create("clean").expect("a namespace, which needs root");
    for family in ["iptables", "ip6tables"] {
        let rules = match family {
            "iptables" => NAT.to_owned(),
            _ => NAT
                .replace("10.96.0.1/32", "fd00::1/128")
                .replace("10.244.0.1/32", "fd01::1/128")
                .replace("10.244.0.1:6443", "[fd01::1]:6443"),
        };
        restore(&namespace, &format!("{family}-nft-restore"), &rules);
    }
    namespace.nft(TABLES).expect("tables");
    // A kernel without dummies has these.
    let interface = "link add kube-ipvs0 type veth peer name peer";
    ip(&namespace, interface).expect("an interface");
    for set in ["KUBE-CLUSTER-IP", "KUBE-6-NODE-PORT-TCP", "OTHER"] {
        let words = ["ipset", "create", set, "hash:ip,port"];
        namespace.exec(&words).expect("an ipset");
    }

    let (output, said) = clean_up(&namespace);
    assert!(output.status.success(), "{said}");
    only_others(&save(&namespace, "iptables-nft-save"));
    only_others(&save(&namespace, "ip6tables-nft-save"));
    let tables = namespace.exec(&["nft", "list", "tables"]).expect("a list");
    assert!(!tables.contains("kube-proxy"), "{tables}");
    assert!(tables.contains("table ip other"), "{tables}");
    let links = namespace.exec(&["ip", "link"]).expect("a list");
    assert!(!links.contains("kube-ipvs0"), "{links}");
    let sets = namespace.exec(&["ipset", "list", "-n"]).expect("a list");
    assert_eq!(sets.trim(), "OTHER");
    for line in [
        "removed table ip kube-proxy",
        "chains of kube-proxy from table ip6 nat",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }

    // Nothing is left, and that is no error.
    let (output, said) = clean_up(&namespace);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("removed"), "{said}");
}

#[test]
fn chains_that_others_use_stay() {
    let namespace = Namespace::create("used").expect("a namespace, which needs root");
    let rules = NAT.replace(
        "COMMIT\n*mangle",
        "-A OTHER -j KUBE-MARK-MASQ\nCOMMIT\n*mangle",
    );
    restore(&namespace, "iptables-nft-restore", &rules);
    let (output, said) = clean_up(&namespace);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("chain KUBE-MARK-MASQ stays"), "{said}");
    let saved = save(&namespace, "iptables-nft-save");
    assert!(saved.contains("-A OTHER -j KUBE-MARK-MASQ"), "{saved}");
    assert!(saved.contains("-A KUBE-MARK-MASQ -j MARK"), "{saved}");
    assert!(!saved.contains("KUBE-SERVICES"), "{saved}");
}

#[test]
fn legacy_tables_are_left_to_their_own_programs() {
    let namespace = Namespace::create("legacy").expect("a namespace, which needs root");
    restore(&namespace, "iptables-legacy-restore", NAT);
    // Where there are no such programs, it says what it did not look at.
    let output = namespace
        .command("env")
        .args(["PATH=/nonexistent", BINARY, "--cleanup"])
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("were not looked at"), "{said}");
    assert!(save(&namespace, "iptables-legacy-save").contains("KUBE-SVC-AAAA"));

    let (output, said) = clean_up(&namespace);
    assert!(output.status.success(), "{said}");
    only_others(&save(&namespace, "iptables-legacy-save"));
}

#[test]
fn without_permission_it_fails() {
    let namespace = Namespace::create("denied").expect("a namespace, which needs root");
    let output = namespace
        .command("setpriv")
        .args(["--bounding-set=-net_admin", "--inh-caps=-net_admin", BINARY])
        .arg("--cleanup")
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("not permitted"), "{said}");
    assert!(
        said.contains("encountered an error while tearing down rules"),
        "{said}"
    );
}
