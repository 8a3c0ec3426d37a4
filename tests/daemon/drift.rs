//! What others do to the table is undone within a second, whatever it is, and nobody else's
//! tables matter. Who does it again and again is not fought.

use super::rig::{BINARY, LIMIT, Rig, service};
use super::text::parts;
use anyhow::{Context, bail, ensure};
use e2e::Process;
use rules::model::Family;
use std::collections::BTreeMap;
use std::time::Duration;

/// The promise is a second; the rest is for a machine that is busy otherwise.
const SOON: Duration = Duration::from_secs(6);

const WEB: &str = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: \
    {clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10, \"fd00:10:96::10\"], type: NodePort, \
    sessionAffinity: ClientIP, ports: [{port: 80, nodePort: 30080}]}}\n---\n\
    {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: \
    {name: web-4, labels: {kubernetes.io/service-name: web}}, ports: [{name: \"\", port: 8080}], \
    endpoints: [{addresses: [10.244.1.10]}]}\n---\n\
    {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv6, metadata: \
    {name: web-6, labels: {kubernetes.io/service-name: web}}, ports: [{name: \"\", port: 8080}], \
    endpoints: [{addresses: [\"fd00:10:244:1::10\"]}]}\n";

/// Both tables; what a table is besides its objects comes first.
type Tables = Vec<(Vec<String>, BTreeMap<String, Vec<String>>)>;

fn tables(rig: &Rig) -> anyhow::Result<Tables> {
    let table = |family: Family| {
        let words = ["nft", "list", "table", family.nft(), "kube-proxy"];
        let text = rig.namespace.exec(&words)?;
        let about = text.lines().filter(|line| line.starts_with("\tflags"));
        Ok((about.map(str::to_owned).collect(), parts(&text)))
    };
    Family::ALL.into_iter().map(table).collect()
}

/// A running daemon and what it wrote.
fn running(test: &str) -> (Rig, Tables) {
    let mut rig = Rig::new(test);
    rig.write("web.yaml", WEB);
    rig.write("db.yaml", &service("db", "10.96.0.11", 5432, "10.244.1.11"));
    rig.start();
    rig.served(&["10.96.0.10 . tcp . 80", "10.96.0.11 . tcp . 5432"]);
    rig.wait("both families", |rig| tables(rig).map(drop));
    let written = tables(&rig).expect("both tables");
    (rig, written)
}

fn shell(rig: &Rig, script: &str) {
    let done = rig.namespace.exec(&["sh", "-ec", script]);
    done.unwrap_or_else(|error| panic!("{script}: {error:#}"));
}

/// A metric, 0 if it is not there yet.
fn metric(rig: &Rig, name: &str) -> f64 {
    let value = rig.namespace.metric(name).ok().flatten();
    value.unwrap_or(0.0)
}

fn drift(rig: &Rig, family: Family) -> f64 {
    let label = family.label();
    metric(
        rig,
        &format!("kubeproxyrs_drift_total{{ip_family=\"{label}\"}}"),
    )
}

fn replacements(rig: &Rig, family: Family) -> f64 {
    let label = family.label();
    let name = "kubeproxy_sync_full_proxy_rules_duration_seconds_count";
    metric(rig, &format!("{name}{{ip_family=\"{label}\"}}"))
}

fn mended(rig: &mut Rig, what: &str, written: &Tables) -> Duration {
    let start = std::time::Instant::now();
    rig.wait(what, |rig| {
        let now = tables(rig)?;
        for (now, then) in now.iter().zip(written) {
            ensure!(now == then, "{what}: {now:#?}\nis not\n{then:#?}");
        }
        Ok(())
    });
    start.elapsed()
}

/// What it is, what is done, and which families it touches.
const EDITS: [(&str, &str, &[Family]); 22] = [
    ("the ruleset is flushed", "nft flush ruleset", &Family::ALL),
    (
        "a table is deleted",
        "nft delete table ip kube-proxy",
        &[Family::V4],
    ),
    (
        "the other is",
        "nft delete table ip6 kube-proxy",
        &[Family::V6],
    ),
    (
        "a table's rules are flushed",
        "nft flush table ip kube-proxy",
        &[Family::V4],
    ),
    (
        "a chain is flushed",
        "nft flush chain ip kube-proxy services",
        &[Family::V4],
    ),
    (
        "a base chain is",
        "nft flush chain ip6 kube-proxy nat-prerouting",
        &[Family::V6],
    ),
    (
        "a rule is inserted",
        "nft insert rule ip kube-proxy services return",
        &[Family::V4],
    ),
    (
        "a rule is appended",
        "nft add rule ip6 kube-proxy nat-postrouting counter",
        &[Family::V6],
    ),
    (
        "a rule is deleted",
        "h=$(nft -a list chain ip kube-proxy nat-output | grep -o 'handle [0-9]*$' | tail -1); \
         nft delete rule ip kube-proxy nat-output $h",
        &[Family::V4],
    ),
    (
        "a rule is replaced",
        "h=$(nft -a list chain ip kube-proxy nat-output | grep -o 'handle [0-9]*$' | tail -1); \
         nft replace rule ip kube-proxy nat-output $h counter",
        &[Family::V4],
    ),
    (
        "an element is deleted",
        "nft delete element ip kube-proxy services '{ 10.96.0.11 . tcp . 5432 }'",
        &[Family::V4],
    ),
    (
        "an element is added",
        "nft add element ip6 kube-proxy cluster-ips '{ fd00:10:96::99 }'",
        &[Family::V6],
    ),
    (
        "an element gets another value",
        "printf '%s\\n' 'delete element ip kube-proxy services { 10.96.0.11 . tcp . 5432 }' \
         'add element ip kube-proxy services { 10.96.0.11 . tcp . 5432 : drop }' | nft -f -",
        &[Family::V4],
    ),
    (
        "a set is flushed",
        "nft flush set ip kube-proxy cluster-ips",
        &[Family::V4],
    ),
    (
        "a map is flushed",
        "nft flush map ip kube-proxy endpoints",
        &[Family::V4],
    ),
    (
        "a chain is added",
        "nft add chain ip kube-proxy mine",
        &[Family::V4],
    ),
    (
        "a base chain is added",
        "nft add chain ip kube-proxy mine '{ type filter hook input priority 5; policy drop; }'",
        &[Family::V4],
    ),
    (
        "a policy is changed",
        "nft chain ip kube-proxy filter-forward '{ policy drop; }'",
        &[Family::V4],
    ),
    (
        "a chain is renamed",
        "nft rename chain ip kube-proxy services mine",
        &[Family::V4],
    ),
    (
        "a set is added",
        "nft add set ip6 kube-proxy mine '{ type ipv6_addr; }'",
        &[Family::V6],
    ),
    (
        "a table is put to sleep",
        "nft add table ip kube-proxy '{ flags dormant; }'",
        &[Family::V4],
    ),
    (
        "a chain is loaded once more",
        "nft list chain ip kube-proxy nat-prerouting | nft -f -",
        &[Family::V4],
    ),
];

#[test]
fn every_foreign_edit_is_undone_soon_and_its_author_named() {
    let (mut rig, written) = running("edits");
    for (what, script, families) in EDITS {
        let before = families.iter().map(|family| drift(&rig, *family));
        let before: Vec<f64> = before.collect();
        let lines = rig.lines(&["changed by nft (pid "]).len();
        shell(&rig, script);
        let took = mended(&mut rig, what, &written);
        assert!(took < SOON, "{what}: {took:?}\n{}", rig.log());
        for (family, before) in families.iter().zip(before) {
            assert!(drift(&rig, *family) > before, "{what}: {}", rig.log());
        }
        let more = rig.lines(&["changed by nft (pid "]).len() - lines;
        assert_eq!(more, 1, "{what}: one line\n{}", rig.log());
    }
    assert_eq!(rig.lines(&["ERROR"]).len(), 0, "{}", rig.log());
}

#[test]
fn what_is_not_about_the_rules_is_left_alone() {
    let (mut rig, written) = running("others");
    let before = Family::ALL.map(|family| replacements(&rig, family));
    shell(
        &rig,
        "printf '%s\\n' 'table ip kube-proxy-2 { chain services { }; set s { type ipv4_addr; }; }' \
         'table inet kube-proxy { chain services { counter; }; }' \
         'table bridge kube-proxy { chain services { }; }' | nft -f -
         for n in 1 2 3 4 5 6 7 8 9; do nft add rule ip kube-proxy-2 services counter; done
         nft add element ip kube-proxy-2 s '{ 10.96.0.10 }'; nft flush chain inet kube-proxy services
         set=$(nft list table ip kube-proxy | grep -o 'set affinity-[^ ]*' | cut -c5- | head -1)
         nft add element ip kube-proxy $set '{ 203.0.113.7 timeout 60s }'",
    );
    // Our own changes, small and large, are no drift either.
    rig.write("db.yaml", &service("db", "10.96.0.11", 5433, "10.244.1.11"));
    rig.served(&["10.96.0.11 . tcp . 5433"]);
    rig.write("db.yaml", &service("db", "10.96.0.11", 5432, "10.244.1.11"));
    rig.served(&["10.96.0.11 . tcp . 5432"]);
    // An edit that counts shows that the others' moment has come and gone.
    shell(
        &rig,
        "nft add chain ip kube-proxy mine; nft add chain ip6 kube-proxy mine",
    );
    rig.wait("the edit to be undone", |rig| {
        let now = tables(rig)?;
        let there = now.iter().any(|(_, own)| own.contains_key("chain mine"));
        ensure!(!there, "it is still there");
        Ok(())
    });
    for (family, before) in Family::ALL.into_iter().zip(before) {
        assert_eq!(drift(&rig, family), 1.0, "{family}: {}", rig.log());
        let more = replacements(&rig, family) - before;
        assert_eq!(more, 1.0, "{family}: {}", rig.log());
    }
    // Clients stay with their endpoints.
    let all = rig
        .namespace
        .exec(&["nft", "list", "table", "ip", "kube-proxy"]);
    assert!(
        all.expect("a listing").contains("203.0.113.7"),
        "{}",
        rig.log()
    );
    drop(written);
}

#[test]
fn who_edits_again_and_again_is_not_fought() {
    let (mut rig, _) = running("war");
    let before = replacements(&rig, Family::V4);
    let mut antagonist = rig.namespace.command("sh");
    antagonist.args([
        "-c",
        "while :; do nft add element ip kube-proxy cluster-ips '{ 10.96.77.77 }' 2>/dev/null; \
         sleep 0.05; done",
    ]);
    let log = rig.scratch("antagonist");
    let antagonist = Process::start("an antagonist", &mut antagonist, &log).expect("a process");
    rig.wait("the daemon to give way", |rig| {
        let said = rig.lines(&["undone within 10 minutes"]).len();
        ensure!(said >= 4, "{said} times so far");
        Ok(())
    });
    let count = replacements(&rig, Family::V4) - before;
    assert!(count <= 20.0, "{count}: {}", rig.log());
    // Changes of ours go in all the same.
    rig.write("api.yaml", &service("api", "10.96.0.12", 80, "10.244.1.12"));
    rig.served(&["10.96.0.12 . tcp . 80"]);
    drop(antagonist);
    rig.wait("the last edit to be undone", |rig| {
        let listed = rig.listed("ip", "set", "cluster-ips");
        ensure!(!listed.contains("10.96.77.77"), "{listed}");
        Ok(())
    });
    let count = replacements(&rig, Family::V4) - before;
    assert!(count <= 25.0, "{count}: {}", rig.log());
}

#[test]
fn two_daemons_on_a_node_say_so_and_give_way() {
    let (mut rig, _) = running("twins");
    let log = rig.scratch("twin.log");
    let mut twin = rig.namespace.command(BINARY);
    twin.args(["--hostname-override=n1", "--proxy-mode=nftables"])
        .args([
            "--conntrack-max-per-core=0",
            "--iptables-min-sync-period=20ms",
        ])
        .args(["--metrics-bind-address=127.0.0.1:10250"])
        .args(["--healthz-bind-address=127.0.0.1:10257"])
        .args(["--manifests", rig.manifests().to_str().expect("UTF-8")]);
    let twin = Process::start("a twin", &mut twin, &log).expect("a process");
    rig.wait("both to say so", |rig| {
        let theirs = std::fs::read_to_string(&log).context("the twin's log")?;
        for said in [rig.log(), theirs] {
            if !said.contains("another kube-proxy, kube-proxy (pid ") {
                bail!("not yet:\n{said}");
            }
        }
        Ok(())
    });
    rig.wait("pauses to grow", |rig| {
        let longest = rig.lines(&["another kube-proxy", "replaced in 2."]).len()
            + rig.lines(&["another kube-proxy", "replaced in 1."]).len();
        ensure!(longest > 0, "{}", rig.log());
        Ok(())
    });
    let count = replacements(&rig, Family::V4);
    assert!(count < 20.0, "{count}");
    drop(twin);
    // The one that is left has the last word.
    rig.write("db.yaml", &service("db", "10.96.0.11", 5433, "10.244.1.11"));
    rig.served(&["10.96.0.11 . tcp . 5433"]);
    assert!(LIMIT > SOON);
}
