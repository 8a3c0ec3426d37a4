//! `kube-proxy explain` beside the daemon that programmed the node: nothing differs, and after
//! somebody edited the table it says what, and what that means.

use super::rig::{BINARY, LIMIT, Rig};
use e2e::nfacct;
use nix::sys::signal::Signal;
use serde_json::Value;

/// A Service of every kind of frontend, and with what each has in the table: shared chains, a list
/// and clients that are remembered.
const SERVICES: [(&str, &str); 3] = [
    ("plain", "externalIPs: [198.51.100.1]"),
    (
        "listed",
        "externalIPs: [198.51.101.1, 198.51.101.2, 198.51.101.3, 198.51.101.4, 198.51.101.5]",
    ),
    ("sticky", "sessionAffinity: ClientIP"),
];

fn manifests(rig: &Rig) {
    for (n, (name, spec)) in SERVICES.iter().enumerate() {
        let text = format!(
            "{{apiVersion: v1, kind: Service, metadata: {{namespace: shop, name: {name}}}, spec: \
             {{clusterIP: 10.96.0.1{n}, clusterIPs: [10.96.0.1{n}, \"fd00:10:96::1{n}\"], \
             type: LoadBalancer, externalTrafficPolicy: Local, {spec}, \
             loadBalancerSourceRanges: [203.0.113.0/24], ports: [{{port: 80, nodePort: 3008{n}}}]}}, \
             status: {{loadBalancer: {{ingress: [{{ip: 198.51.102.{n}}}]}}}}}}\n---\n\
             {{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: \
             {{namespace: shop, name: {name}-4, labels: {{kubernetes.io/service-name: {name}}}}}, \
             ports: [{{name: \"\", port: 8080}}], endpoints: [{{addresses: [10.244.{n}.1], \
             nodeName: n1}}, {{addresses: [10.244.{n}.2], nodeName: n2}}, \
             {{addresses: [10.244.{n}.3], nodeName: n1}}]}}\n"
        );
        rig.write(&format!("{name}.yaml"), &text);
    }
}

/// The exit code and the report.
fn explain(rig: &Rig, mode: &str, what: &str) -> (Option<i32>, Value) {
    let mode = format!("--proxy-mode={mode}");
    let manifests = format!("--manifests={}", rig.manifests().display());
    let mut command = rig.namespace.command(BINARY);
    command
        .args(["explain", what, "-o", "json", &manifests])
        .args(["--hostname-override=n1", &mode])
        .args(["--cluster-cidr=10.244.0.0/16,fd00:10:244::/48"]);
    let output = command.output().expect("it starts");
    let report = serde_json::from_slice(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    (
        output.status.code(),
        report.unwrap_or_else(|_| panic!("no report: {said}")),
    )
}

/// What of a Service's kernel side differs, both families together.
fn differences(rig: &Rig, service: &str) -> Vec<String> {
    differences_in(rig, "nftables", service)
}

fn differences_in(rig: &Rig, mode: &str, service: &str) -> Vec<String> {
    let (code, report) = explain(rig, mode, &format!("shop/{service}"));
    let kernel = report["services"][0]["kernel"]
        .as_array()
        .expect("families");
    assert_eq!(kernel.len(), 2, "{report:#}");
    let found = kernel
        .iter()
        .flat_map(|own| own["differences"].as_array().expect("a list"));
    let found: Vec<String> = found
        .map(|own| own.as_str().expect("text").to_owned())
        .collect();
    let findings = report["findings"].as_array().expect("findings");
    let differs = findings.iter().any(|own| own["code"] == "KP105");
    assert_eq!(differs, !found.is_empty(), "{report:#}");
    // IPv6 has no endpoints here: that is an error of its own.
    assert_eq!(code, Some(1), "{report:#}");
    found
}

#[test]
fn what_the_kernel_holds_is_what_it_should_until_somebody_edits_it() {
    let mut rig = Rig::new("explained");
    manifests(&rig);
    rig.start();
    rig.served(&[
        "10.96.0.10 . tcp . 80",
        "10.96.0.11 . tcp . 80",
        "10.96.0.12 . tcp . 80",
    ]);
    rig.settled();
    for (name, _) in SERVICES {
        assert_eq!(differences(&rig, name), Vec::<String>::new(), "{name}");
    }
    // Without its proxy nobody mends the table; its rules stay.
    rig.process().signal(Signal::SIGKILL).expect("a signal");
    rig.ended(LIMIT);
    for (edit, service, expected) in [
        (
            "delete element ip kube-proxy services { 10.96.0.10 . tcp . 80 }",
            "plain",
            "10.96.0.10:80/tcp for outside clients, this node: should be sent to 3 endpoints",
        ),
        (
            "delete element ip kube-proxy endpoints { 198.51.100.1 . tcp . 80 . 1 }",
            "plain",
            "198.51.100.1:80/tcp for pods on this node, this node: does not reach 10.244.0.2:8080",
        ),
        (
            "delete element ip kube-proxy services { 198.51.101.3 . tcp . 80 }",
            "listed",
            "198.51.101.3:80/tcp for outside clients: should be sent to 2 endpoints",
        ),
        (
            "insert rule ip kube-proxy nat-prerouting ip saddr 203.0.113.1 drop",
            "sticky",
            "chain nat-prerouting: should not be there: ip saddr 203.0.113.1 drop",
        ),
        (
            "flush chain ip kube-proxy masquerading",
            "sticky",
            "chain masquerading: is missing",
        ),
    ] {
        rig.namespace.nft(edit).expect(edit);
        let found = differences(&rig, service);
        assert!(
            found.iter().any(|own| own.starts_with(expected)),
            "{edit}: {found:#?}"
        );
    }
    for (edit, expected) in [
        (
            "delete table ip kube-proxy",
            "there is no table ip kube-proxy",
        ),
        (
            "add table ip kube-proxy",
            "the table ip kube-proxy is another proxy's or another version's",
        ),
    ] {
        rig.namespace.nft(edit).expect(edit);
        let found = differences(&rig, "plain");
        assert!(
            found.iter().any(|own| own.starts_with(expected)),
            "{edit}: {found:#?}"
        );
    }
}

/// Loads what `render` prints by iptables' own programs.
fn load_chains(rig: &Rig) {
    for counter in [
        "ct_state_invalid_dropped_pkts",
        "localhost_nps_accepted_pkts",
    ] {
        nfacct::add(&rig.namespace, counter).expect("a counter");
    }
    let manifests = format!("--manifests={}", rig.manifests().display());
    for (family, program) in [("ipv4", "iptables-restore"), ("ipv6", "ip6tables-restore")] {
        let mut render = rig.namespace.command(BINARY);
        render
            .args([
                "render",
                "--family",
                family,
                "--proxy-mode=iptables",
                &manifests,
            ])
            .args(["--hostname-override=n1"])
            .args(["--cluster-cidr=10.244.0.0/16,fd00:10:244::/48"]);
        let output = render.output().expect("it starts");
        let text = String::from_utf8(output.stdout).expect("rules");
        let load = rig.namespace.pipe(&[program, "--noflush"], &text);
        load.unwrap_or_else(|error| panic!("{family}: {error:#}"));
    }
}

#[test]
fn chains_of_iptables_are_compared_as_well() {
    let rig = Rig::new("explained-chains");
    manifests(&rig);
    let found = differences_in(&rig, "iptables", "plain");
    assert!(
        found[0].starts_with("there is no chain KUBE-SERVICES in table ip nat"),
        "{found:?}"
    );
    load_chains(&rig);
    for (name, _) in SERVICES {
        assert_eq!(
            differences_in(&rig, "iptables", name),
            Vec::<String>::new(),
            "{name}"
        );
    }
    let (_, report) = explain(&rig, "iptables", "shop/plain");
    let rules = report["services"][0]["rules"].as_array().expect("rules");
    let is_jump = |own: &Value| {
        own.as_str()
            .is_some_and(|own| own.starts_with("-A KUBE-SERVICES -d 10.96.0.10/32"))
    };
    assert!(rules.iter().any(is_jump), "{report:#}");
    for (edit, service, expected) in [
        (
            "iptables -t nat -D PREROUTING 1",
            "plain",
            "table nat: the jump from PREROUTING to KUBE-SERVICES is missing",
        ),
        (
            "iptables -t nat -I KUBE-SERVICES -s 203.0.113.1 -j RETURN",
            "sticky",
            "table nat: should not be there: -A KUBE-SERVICES -s 203.0.113.1/32 -j RETURN",
        ),
        (
            "iptables -t nat -I KUBE-POSTROUTING -m limit --limit 5/sec -j RETURN",
            "listed",
            "not ours: chain KUBE-POSTROUTING of table nat, rule 1",
        ),
        (
            "iptables -t nat -F KUBE-NODEPORTS",
            "listed",
            "node port 30081/tcp for ",
        ),
        (
            "iptables -F KUBE-PROXY-FIREWALL",
            "sticky",
            "table filter: is missing: -A KUBE-PROXY-FIREWALL",
        ),
    ] {
        let words: Vec<&str> = edit.split(' ').collect();
        rig.namespace.exec(&words).expect(edit);
        let found = differences_in(&rig, "iptables", service);
        let is_told = found.iter().any(|own| own.starts_with(expected));
        assert!(is_told, "{edit}: {found:#?}");
    }
}
