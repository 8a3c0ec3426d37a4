//! `kube-proxy trace`, as a process on the node under test: what it foretells of packets, and what it
//! sees of real ones.

use super::rig::{Expect, Mode, Rig, Source, echo};
use rules::model::{Family, Protocol};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kube-proxy");
/// Nothing takes this long but what never comes.
const NEVER: Duration = Duration::from_secs(30);

impl Rig {
    /// What trace says of packets of all sources and protocols to a frontend.
    pub fn foretold(&self, (address, port): (IpAddr, u16)) -> Vec<(Source, Protocol, Value)> {
        let target = SocketAddr::new(address, port);
        let mut questions = String::new();
        let mut asked = Vec::new();
        for source in [
            Source::Pod,
            Source::Node,
            Source::OtherNode,
            Source::Outside,
        ] {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let from = match source {
                    Source::Node => "node".to_owned(),
                    _ => self.source(source).1.to_string(),
                };
                questions += &format!("{from} {target} {protocol}\n");
                asked.push((source, protocol));
            }
        }
        let file = e2e::cleanup::ScratchDir::create("questions").expect("a directory");
        let path = file.path().join("questions");
        std::fs::write(&path, questions).expect("a file");
        let output = self
            .node()
            .command(PROGRAM)
            .args(["trace", "-o", "json", "--fail-on", "never", "-f"])
            .arg(&path)
            .arg(match self.mode() {
                Mode::Nftables => "--proxy-mode=nftables",
                Mode::Iptables => "--proxy-mode=iptables",
            })
            .output()
            .expect("kube-proxy trace");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let answers: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(answers.len(), asked.len(), "{errors}");
        let rows = asked.into_iter().zip(answers);
        rows.map(|((source, protocol), answer)| (source, protocol, answer))
            .collect()
    }

    /// Whether an answer says what packets have shown.
    pub fn agrees(&self, source: Source, answer: &Value, expect: Expect) -> Result<(), String> {
        let own = self.source(source).1;
        let outcome = match expect {
            Expect::Refused => "rejected",
            Expect::Dropped => "dropped",
            _ => "delivered",
        };
        let here = BTreeSet::from([echo(1)]);
        let (pods, sees) = match expect {
            Expect::Refused | Expect::Dropped => (BTreeSet::new(), own),
            Expect::Preserved => (self.wanted().clone(), own),
            Expect::Masqueraded => (self.wanted().clone(), self.node_ip()),
            Expect::Local(true) => (here, own),
            Expect::Local(false) => (here, self.node_ip()),
        };
        let expected: BTreeSet<(IpAddr, IpAddr)> = pods
            .iter()
            .filter_map(|pod| pod.strip_prefix("echo-")?.parse().ok())
            .map(|number: usize| (self.endpoint_ip(number), sees))
            .collect();
        let address = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
        let endpoints = answer["result"]["endpoints"].as_array();
        let told: BTreeSet<(IpAddr, IpAddr)> = endpoints
            .into_iter()
            .flatten()
            .filter_map(|own| Some((address(&own["address"])?, address(&own["sees"])?)))
            .collect();
        // Towards a pod of its own the node has another address than towards others.
        let addresses = |all: &BTreeSet<(IpAddr, IpAddr)>| -> BTreeSet<IpAddr> {
            all.iter().map(|(address, _)| *address).collect()
        };
        let same = match source {
            Source::Node => addresses(&told) == addresses(&expected),
            _ => told == expected,
        };
        match answer["result"]["outcome"] == outcome && same {
            true => Ok(()),
            false => Err(format!("trace says {}", answer["result"])),
        }
    }

    fn live(&self, source: IpAddr, target: SocketAddr, limit: &str) -> Child {
        self.node()
            .command(PROGRAM)
            .args(["trace", &source.to_string(), &target.to_string()])
            .args(["-o", "json", "--live", limit])
            .arg(match self.mode() {
                Mode::Nftables => "--proxy-mode=nftables",
                Mode::Iptables => "--proxy-mode=iptables",
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kube-proxy trace --live")
    }

    fn tables(&self) -> String {
        self.node().exec(&["nft", "list", "tables"]).expect("nft")
    }
}

/// Waits for a line of standard error.
fn await_line(lines: &mut impl Iterator<Item = std::io::Result<String>>, part: &str) {
    let found = lines.any(|line| line.is_ok_and(|line| line.contains(part)));
    assert!(found, "it ended without {part:?}");
}

#[test]
fn real_packets_are_seen_and_nothing_is_left_of_it() {
    for family in Family::ALL {
        are_seen(family, Mode::Nftables, "masquerading");
    }
}

#[test]
fn real_packets_are_seen_in_chains_of_iptables() {
    for family in Family::ALL {
        are_seen(family, Mode::Iptables, "KUBE-POSTROUTING");
    }
}

fn are_seen(family: Family, mode: Mode, masquerading: &str) {
    let mut rig = Rig::of_mode(family, mode);
    let service = rig.service();
    rig.program(service, &[1, 2]);
    let target = SocketAddr::new(rig.external_ip(), 80);
    let (_, client) = rig.source(Source::Outside);
    let mut child = rig.live(client, target, "60s");
    let errors = child.stderr.take().expect("standard error");
    let mut lines = BufReader::new(errors).lines();
    await_line(&mut lines, "following packets");
    assert!(rig.tables().contains("kube-proxy-trace-"));
    let answered = rig.answering(Source::Outside, (rig.external_ip(), 80), Protocol::Tcp);
    assert_eq!(answered.len(), 2);
    await_line(&mut lines, "sent on to");
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process"));
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).expect("a signal");
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{:?}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let live = &report["live"];
    assert!(live["packets"].as_u64() > Some(0), "{live}");
    let way = &live["ways"][0];
    assert_eq!(way["outcome"], "delivered");
    assert_eq!(way["clientAddress"], "replaced", "{way}");
    let words = way["steps"].to_string();
    assert!(words.contains(masquerading), "{words}");
    assert!(words.contains("becomes this node's address"), "{words}");
    assert_eq!(
        report["findings"].as_array().map(Vec::len),
        Some(1),
        "{report}"
    );
    assert!(
        !rig.tables().contains("kube-proxy-trace"),
        "{}",
        rig.tables()
    );
}

/// Nodes that cannot have chains serve mode iptables by a table; and chains serve until a mode changes.
#[test]
fn rules_of_the_other_mode_are_followed_where_they_serve() {
    for (programmed, asked, chain) in [
        (Mode::Nftables, "--proxy-mode=iptables", "nat-output"),
        (Mode::Iptables, "--proxy-mode=nftables", "nat OUTPUT"),
    ] {
        let mut rig = Rig::of_mode(Family::V4, programmed);
        let service = rig.service();
        rig.program(service, &[1, 2]);
        let target = SocketAddr::new(rig.cluster_ip(), 80).to_string();
        let mut trace = rig.node().command(PROGRAM);
        trace.args(["trace", "node", &target, asked]);
        let output = trace.output().expect("kube-proxy trace");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success(), "{text}");
        assert!(text.contains(chain), "{asked}: {text}");
        assert!(
            text.contains("delivered to one of 2 endpoints"),
            "{asked}: {text}"
        );
    }
}

#[test]
fn a_killed_process_leaves_no_table() {
    let mut rig = Rig::new(Family::V4);
    let service = rig.service();
    rig.program(service, &[1]);
    let target = SocketAddr::new(rig.cluster_ip(), 80);
    let (_, client) = rig.source(Source::Pod);
    let mut child = rig.live(client, target, "60s");
    let errors = child.stderr.take().expect("standard error");
    await_line(&mut BufReader::new(errors).lines(), "following packets");
    assert!(rig.tables().contains("kube-proxy-trace-"));
    child.kill().expect("SIGKILL");
    child.wait().expect("its end");
    // The kernel releases the socket's table in a moment of its own.
    e2e::wait::until("the table goes", NEVER, || {
        let tables = rig.tables();
        match tables.contains("kube-proxy-trace") {
            true => Err(anyhow::anyhow!("{tables}")),
            false => Ok(()),
        }
    })
    .expect("it goes");
}

#[test]
fn who_else_drops_is_told_beforehand_and_seen() {
    let mut rig = Rig::new(Family::V4);
    let service = rig.service();
    rig.program(service, &[2]);
    let rules = "table inet guard {\n chain onwards {\n type filter hook forward priority 10;\n \
        policy drop;\n }\n}";
    rig.node().nft(rules).expect("a chain that drops");
    let target = SocketAddr::new(rig.external_ip(), 80);
    let (_, client) = rig.source(Source::Outside);
    let mut child = rig.live(client, target, "60s");
    let errors = child.stderr.take().expect("standard error");
    let mut lines = BufReader::new(errors).lines();
    await_line(&mut lines, "following packets");
    let frontend = (rig.external_ip(), 80);
    let dropped = rig.check(Source::Outside, frontend, Protocol::Tcp, Expect::Dropped);
    assert_eq!(dropped, Ok(()));
    await_line(&mut lines, "dropped by chain onwards of table guard");
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process"));
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).expect("a signal");
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(1), "that is an error");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["others"][0]["table"], "guard");
    assert_eq!(report["result"]["certain"], false);
    let way = &report["live"]["ways"][0];
    assert_eq!(way["outcome"], "dropped");
    assert_eq!(way["endedBy"], "inet guard onwards");
    let findings = report["findings"].as_array().expect("findings");
    let codes = findings.iter().filter(|own| own["code"] == "KP301");
    assert_eq!(codes.count(), 2, "beforehand and seen: {findings:?}");
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    let rig = Rig::new(Family::V4);
    let run = |words: &[&str]| {
        let output = rig.node().command(PROGRAM).args(words).output();
        let output = output.expect("kube-proxy trace");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), errors)
    };
    let question = ["trace", "node", "10.96.0.10:80"];
    let (code, errors) = run(&question);
    assert_eq!(code, Some(3), "{errors}");
    assert!(
        errors.contains("no table ip kube-proxy: is the daemon running"),
        "{errors}"
    );
    let (code, errors) = run(&["trace", "node", "10.96.0.10:80", "--proxy-mode=iptables"]);
    assert_eq!(code, Some(3), "{errors}");
    assert!(
        errors.contains("no chain KUBE-SERVICES in table ip nat, and no table ip kube-proxy"),
        "{errors}"
    );
    rig.node()
        .nft("table ip kube-proxy {\n chain service-x {\n }\n}")
        .expect("a table");
    let (code, errors) = run(&question);
    assert_eq!(code, Some(3), "{errors}");
    assert!(errors.contains("another version's"), "{errors}");
}
