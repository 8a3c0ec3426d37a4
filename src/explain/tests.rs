//! Reports of manifests, and a manifest that provokes each finding beside one that is healthy.

use super::*;
use crate::report::{Format, Output};
use e2e::cleanup::ScratchDir;
use std::future::Future;

/// Two ready pods on two of three nodes, behind a load balancer with policy Local.
const HEALTHY: &str = include_str!("tests/healthy.yaml");

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// What is explained of objects with some words of theirs replaced, seen from n2.
fn explained(
    replaced: &[(&str, &str)],
    flags: &[&str],
    what: &str,
) -> anyhow::Result<Report<Explanations>> {
    let mut objects = HEALTHY.to_owned();
    for (from, to) in replaced {
        assert!(objects.contains(from), "{from:?} is not in the objects");
        objects = objects.replace(from, to);
    }
    let dir = ScratchDir::create("explain").expect("a directory");
    std::fs::write(dir.path().join("all.yaml"), objects).expect("a file");
    let manifests = format!("--manifests={}", dir.path().display());
    let mut words = vec![
        "--hostname-override=n2",
        "--proxy-mode=nftables",
        "--cluster-cidr=10.244.0.0/16",
        &manifests,
    ];
    words.extend(flags);
    let settings = Settings::from_flags(&words).expect("valid flags");
    let request = Request {
        target: Target::parse(Some(what), None).expect("a target"),
        ask_nodes: false,
    };
    block_on(explain(&settings, &request))
}

fn text(mut report: Report<Explanations>, format: Format) -> String {
    report.generated_at = "2026-01-01T00:00:00Z".to_owned();
    let output = Output {
        format,
        fail_on: None,
    };
    anstream::adapter::strip_str(&output.text(&report)).to_string()
}

#[test]
fn a_service_in_words_and_as_data() {
    let report = || explained(&[], &[], "shop/web").expect("a report");
    insta::assert_snapshot!("healthy", text(report(), Format::Table));
    insta::assert_snapshot!("healthy_json", text(report(), Format::Json));
    let from_n3 = explained(&[], &["--hostname-override=n3"], "198.51.100.7:80");
    insta::assert_snapshot!(
        "none_on_this_node",
        text(from_n3.expect("a report"), Format::Wide)
    );
}

#[test]
fn all_services_of_a_namespace() {
    let report = explained(&[], &[], "shop/").expect("a report");
    insta::assert_snapshot!("namespace", text(report, Format::Table));
}

/// Codes with severities, each once.
fn codes(report: &Report<Explanations>) -> Vec<String> {
    let findings = report.findings.iter();
    let mut codes: Vec<String> = findings
        .map(|found| format!("{} {}", found.code, found.severity))
        .collect();
    codes.sort();
    codes.dedup();
    codes
}

#[test]
fn each_finding_has_a_manifest_that_provokes_it() {
    const READY: &str = "conditions: {ready: true}";
    const SECOND: &str = "- {addresses: [10.244.2.7], nodeName: n2";
    let six = "- {addresses: [10.244.1.6], nodeName: n1}
- {addresses: [10.244.1.7], nodeName: n1}
- {addresses: [10.244.1.8], nodeName: n1}
- {addresses: [10.244.1.9], nodeName: n1}
- {addresses: [10.244.2.7], nodeName: n2";
    let three =
        "- {addresses: [10.244.2.6], nodeName: n2}\n- {addresses: [10.244.2.7], nodeName: n2";
    let v6 = "
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: web-v6, labels: {kubernetes.io/service-name: web}}
addressType: IPv6
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [\"fd00:244:1::5\"], nodeName: n1}
- {addresses: [\"fd00:244:2::6\"], nodeName: n2}
- {addresses: [\"fd00:244:2::7\"], nodeName: n2}
# end";
    let hinted = "hints: {forZones: [{name: b}]}, conditions: {ready: true}";
    let older = "
---
apiVersion: v1
kind: Service
metadata: {namespace: a, name: older, creationTimestamp: \"2020-01-01T00:00:00Z\"}
spec: {clusterIP: 10.96.0.9, clusterIPs: [10.96.0.9], ports: [{port: 80}]}
status: {loadBalancer: {ingress: [{ip: 198.51.100.7}]}}
# end";
    let younger = older.replace("2020", "2040");
    type Case<'a> = (
        &'a str,
        &'a [(&'a str, &'a str)],
        &'a [&'a str],
        &'a [&'a str],
    );
    let cases: &[Case<'_>] = &[
        ("nothing", &[], &[], &[]),
        (
            "nobody is ready",
            &[(READY, "conditions: {ready: false, serving: false}")],
            &[],
            &["KP101 error"],
        ),
        (
            "nobody runs here, and the balancer knows",
            &[],
            &["--hostname-override=n3"],
            &["KP102 info"],
        ),
        (
            "nobody runs here, and there is no balancer",
            &[
                ("type: LoadBalancer", "type: NodePort"),
                ("healthCheckNodePort: 31022", "sessionAffinity: None"),
            ],
            &["--hostname-override=n3"],
            &["KP102 warning"],
        ),
        (
            "pods here reach nobody",
            &[(
                "internalTrafficPolicy: Cluster",
                "internalTrafficPolicy: Local",
            )],
            &["--hostname-override=n3"],
            &["KP102 error", "KP102 info"],
        ),
        (
            "all terminate",
            &[(
                READY,
                "conditions: {ready: false, serving: true, terminating: true}",
            )],
            &[],
            &["KP103 warning"],
        ),
        (
            "those here terminate",
            &[(
                "nodeName: n2, conditions: {ready: true}",
                "nodeName: n2, conditions: {ready: false, serving: true, terminating: true}",
            )],
            &[],
            &["KP103 warning"],
        ),
        (
            "labels are others",
            &[("labels: {app: web}", "labels: {app: wbe}")],
            &[],
            &["KP106 error"],
        ),
        (
            "files without any pod",
            &[("\nkind: Pod\n", "\nkind: PodTemplate\n")],
            &[],
            &[],
        ),
        (
            "another protocol",
            &[(
                "ports: [{name: http, port: 8080}]",
                "ports: [{name: http, port: 8080, protocol: UDP}]",
            )],
            &[],
            &["KP107 error"],
        ),
        (
            "another name",
            &[("ports: [{name: http, port: 8080}]", "ports: [{port: 8080}]")],
            &[],
            &["KP108 error"],
        ),
        (
            "five against one",
            &[(SECOND, six)],
            &[],
            &["KP201 warning"],
        ),
        (
            "two against one, in each family",
            &[
                (
                    "clusterIPs: [10.96.4.20]",
                    "clusterIPs: [10.96.4.20, \"fd00:96::20\"]",
                ),
                (SECOND, three),
                ("# end", v6),
            ],
            &[],
            &[],
        ),
        (
            "addresses are replaced",
            &[
                (
                    "externalTrafficPolicy: Local",
                    "externalTrafficPolicy: Cluster",
                ),
                ("healthCheckNodePort: 31022", "sessionAffinity: None"),
            ],
            &[],
            &["KP202 info"],
        ),
        (
            "a range that is none",
            &[(
                "loadBalancerSourceRanges: [203.0.113.0/24]",
                "loadBalancerSourceRanges: [203.0.113.0/33]",
            )],
            &[],
            &["KP203 error"],
        ),
        (
            "a range of nobody",
            &[(
                "loadBalancerSourceRanges: [203.0.113.0/24]",
                "loadBalancerSourceRanges: [127.0.0.0/8]",
            )],
            &[],
            &["KP203 error"],
        ),
        (
            "somebody older has the address",
            &[("# end", older)],
            &[],
            &["KP204 error"],
        ),
        (
            "somebody younger wants the address",
            &[("# end", &younger)],
            &[],
            &["KP204 warning"],
        ),
        (
            "node ports on other addresses",
            &[],
            &["--nodeport-addresses=10.99.0.0/16"],
            &["KP205 error"],
        ),
        (
            "one without a hint",
            &[(
                "nodeName: n1, conditions: {ready: true}",
                "nodeName: n1, hints: {forZones: [{name: a}]}, conditions: {ready: true}",
            )],
            &[],
            &["KP206 warning"],
        ),
        (
            "hints that are wanted and missing",
            &[(
                "internalTrafficPolicy: Cluster",
                "trafficDistribution: PreferClose",
            )],
            &[],
            &["KP206 warning"],
        ),
        ("hints that count", &[(READY, hinted)], &[], &[]),
        (
            "a balancer's address from the Services' range",
            &[(
                "cidrs: [10.96.0.0/16]",
                "cidrs: [10.96.0.0/16, 198.51.100.0/24]",
            )],
            &[],
            &["KP207 warning"],
        ),
    ];
    for (case, replaced, flags, expected) in cases {
        let report = explained(replaced, flags, "shop/web").expect(case);
        assert_eq!(codes(&report), *expected, "{case}: {:#?}", report.findings);
        let about = |found: &rules::finding::Finding| {
            !found.remedy.is_empty() && found.object.as_deref() == Some("Service shop/web")
        };
        assert!(report.findings.iter().all(about), "{case}");
    }
}

#[test]
fn what_cannot_be_explained_says_why_in_one_line() {
    let headless = (
        "clusterIP: 10.96.4.20\n  clusterIPs: [10.96.4.20]",
        "clusterIP: None",
    );
    let external = (
        "type: LoadBalancer",
        "type: ExternalName\n  externalName: db.example.org",
    );
    for (replaced, what, expected) in [
        (&[headless][..], "shop/web", "is headless (clusterIP: None)"),
        (&[external], "shop/web", "DNS answers with db.example.org"),
        (
            &[],
            "shop/wbe",
            "there is no Service shop/wbe; did you mean shop/web?",
        ),
        (
            &[],
            "shpo/",
            "there is no Service in namespace shpo; did you mean shop?",
        ),
        (
            &[],
            "192.0.2.99:1",
            "no Service and no endpoint has 192.0.2.99:1",
        ),
    ] {
        let error = explained(replaced, &[], what).expect_err(what).to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn an_address_is_whoevers_it_is() {
    for (what, expected) in [
        ("10.96.4.20:80", "is a cluster IP of Service shop/web"),
        ("10.96.4.20:81/tcp", "which has no such port"),
        ("198.51.100.7", "is a load-balancer IP of Service shop/web"),
        ("172.31.99.9:30517", "is the node port of Service shop/web"),
        ("10.244.1.5:8080", "is an endpoint of Service shop/web"),
    ] {
        let report = explained(&[], &[], what).expect(what);
        let found = report.data.found.expect("what it is");
        assert!(found.contains(expected), "{found}");
    }
}
