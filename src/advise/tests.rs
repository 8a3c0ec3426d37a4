//! The command on manifests: goldens of each form, what is found and what is not, and patches that
//! are objects of the API.

use super::*;
use crate::report::{Data, Format, Output, Report};
use crate::settings::Settings;
use e2e::cleanup::ScratchDir;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use rules::advise::{Balancer, ClientAddress};
use rules::finding::Code;
use rules::model::{ObjectName, TrafficPolicy};
use std::future::Future;

/// One, two and three pods on three nodes, a Deployment, and policy Local.
const WORKED: &str = include_str!("tests/worked.yaml");

fn plain() -> Question {
    Question {
        to: None,
        balancer: Balancer::Nodes,
        client_address: ClientAddress::Auto,
        port: None,
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// What is done with the settings for these objects.
fn with_objects<T>(objects: &str, look: impl FnOnce(&Settings) -> T) -> T {
    let directory = ScratchDir::create("advise").expect("a directory");
    std::fs::write(directory.path().join("all.yaml"), objects).expect("a file");
    let manifests = format!("--manifests={}", directory.path().display());
    let words = [
        "--proxy-mode=nftables",
        "--hostname-override=n1",
        &manifests,
    ];
    look(&Settings::from_flags(&words).expect("valid flags"))
}

fn asked(objects: &str, name: &str, question: &Question) -> anyhow::Result<Report<advice::Advice>> {
    with_objects(objects, |settings| {
        block_on(one(settings, &ObjectName::new("shop", name), question))
    })
}

fn advice(objects: &str) -> Report<advice::Advice> {
    asked(objects, "web", &plain()).expect("advice")
}

/// The report in a form, as if it were always made at the same time.
fn text<D: Data>(mut report: Report<D>, format: Format) -> String {
    report.generated_at = "2026-01-02T03:04:05Z".to_owned();
    let fail_on = None;
    let text = Output { format, fail_on }.text(&report);
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn the_worked_example_in_each_form() {
    for (name, format) in [
        ("table", Format::Table),
        ("wide", Format::Wide),
        ("json", Format::Json),
        ("html", Format::Html),
    ] {
        insta::assert_snapshot!(name, text(advice(WORKED), format));
    }
    insta::assert_snapshot!("patch", patch(&advice(WORKED).data));
}

#[test]
fn keys_that_scripts_rely_on() {
    let json = serde_json::to_value(advice(WORKED)).expect("JSON");
    let local = &json["policies"]["Local"];
    let shares = local["endpoints"].as_array().expect("endpoints");
    let shares: Vec<f64> = shares
        .iter()
        .filter_map(|own| own["share"].as_f64())
        .collect();
    let wanted = [3.0, 6.0, 6.0, 9.0, 9.0, 9.0].map(|part| 1.0 / part);
    let far = shares
        .iter()
        .zip(wanted)
        .map(|(own, wanted)| (own - wanted).abs());
    assert_eq!(shares.len(), 6);
    assert!(far.fold(0.0, f64::max) < 1e-12, "{shares:?}");
    assert_eq!(local["endpoints"][0]["address"], "10.244.1.5");
    assert_eq!(local["endpoints"][0]["node"], "n1");
    assert_eq!(local["nodes"][2]["name"], "n3");
    assert_eq!(local["nodes"][2]["serves"], true);
    assert_eq!(local["clientAddress"], "kept");
    assert_eq!(json["policies"]["Cluster"]["clientAddress"], "replaced");
}

#[test]
fn an_unequal_share_is_found_and_an_even_one_is_not() {
    let codes = |objects: &str| -> Vec<Code> {
        let report = advice(objects);
        report.findings.iter().map(|own| own.code).collect()
    };
    assert_eq!(codes(WORKED), []);
    let moved = WORKED.replace("10.244.2.9], nodeName: n2", "10.244.3.9], nodeName: n3");
    assert_eq!(codes(&moved), []);
    let crowded = moved.replace("10.244.2.7], nodeName: n2", "10.244.3.7], nodeName: n3");
    assert_eq!(codes(&crowded), [Code::UnequalShare]);
    let cluster = crowded.replace("TrafficPolicy: Local", "TrafficPolicy: Cluster");
    assert_eq!(codes(&cluster), [Code::ClientAddressLost]);
    let listed = with_objects(&crowded, |settings| block_on(all(settings, None, &plain())));
    let listed = listed.expect("a list");
    assert_eq!(listed.findings[0].code, Code::UnequalShare);
    insta::assert_snapshot!("all_json", text(listed.clone(), Format::Json));
    insta::assert_snapshot!("all", text(listed, Format::Table));
}

/// Each document of a patch, with its kind.
fn documents(patch: &str) -> Vec<(String, serde_json::Value)> {
    let documents = crate::yaml::documents(patch).into_iter();
    let parsed = documents.map(|(_, text)| {
        let value: serde_json::Value = serde_saphyr::from_str(text).expect("YAML");
        (value["kind"].as_str().expect("a kind").to_owned(), value)
    });
    parsed.collect()
}

/// Reads a value as an object of the API and writes it again: nothing of it is unknown there.
fn round_trip<K: serde::Serialize + serde::de::DeserializeOwned>(value: &serde_json::Value) {
    let object: K = serde_json::from_value(value.clone()).expect("an object");
    let again = serde_json::to_value(object).expect("JSON");
    assert_holds(&again, value);
}

fn assert_holds(all: &serde_json::Value, part: &serde_json::Value) {
    match (all, part) {
        (serde_json::Value::Object(all), serde_json::Value::Object(part)) => {
            for (key, part) in part {
                assert_holds(all.get(key).unwrap_or(&serde_json::Value::Null), part);
            }
        }
        (serde_json::Value::Array(all), serde_json::Value::Array(part)) => {
            assert_eq!(all.len(), part.len());
            all.iter()
                .zip(part)
                .for_each(|(all, part)| assert_holds(all, part));
        }
        (all, part) => assert_eq!(all, part),
    }
}

/// A workload's patch has no selector and no labels of its own, which the type wants.
fn completed(value: &serde_json::Value) -> serde_json::Value {
    let mut value = value.clone();
    value["spec"]["selector"] = serde_json::json!({});
    if value["kind"] == "StatefulSet" {
        value["spec"]["serviceName"] = serde_json::json!("web");
    }
    value["spec"]["template"]["spec"]["containers"] = serde_json::json!([]);
    value
}

#[test]
fn patches_are_objects_of_the_api() {
    let cluster = WORKED.replace("TrafficPolicy: Local", "TrafficPolicy: Cluster");
    let needed = Question {
        client_address: ClientAddress::Needed,
        ..plain()
    };
    let stateful = cluster.replace("kind: Deployment", "kind: StatefulSet");
    let mut kinds = std::collections::BTreeSet::new();
    for objects in [&cluster, &stateful] {
        let report = asked(objects, "web", &needed).expect("advice");
        let text = patch(&report.data);
        // What is another way is checked without its comment signs.
        let others = report
            .data
            .remedies
            .iter()
            .filter_map(|own| own.manifest.clone());
        let all = documents(&text).into_iter();
        for (kind, value) in all.chain(others.flat_map(|own| documents(&own))) {
            match kind.as_str() {
                "Service" => round_trip::<Service>(&value),
                "PodDisruptionBudget" => round_trip::<PodDisruptionBudget>(&value),
                "DaemonSet" => round_trip::<DaemonSet>(&value),
                "Ingress" => round_trip::<Ingress>(&value),
                "Deployment" => round_trip::<Deployment>(&completed(&value)),
                "StatefulSet" => round_trip::<StatefulSet>(&completed(&value)),
                other => panic!("{other}"),
            }
            kinds.insert(kind);
        }
    }
    assert_eq!(kinds.len(), 6, "{kinds:?}");
}

#[test]
fn flags_change_the_question() {
    let zones = Question {
        balancer: Balancer::Zones,
        to: Some(TrafficPolicy::Local),
        port: Some("http".to_owned()),
        ..plain()
    };
    let report = asked(WORKED, "web", &zones).expect("advice").data;
    // Zone a has two nodes, zone b one.
    let shares: Vec<f64> = report
        .policies
        .local
        .nodes
        .iter()
        .map(|own| own.share)
        .collect();
    assert_eq!(shares, [0.25, 0.25, 0.5]);
    assert_eq!((&*report.current, &*report.to), ("Local", "Local"));
    let not_needed = Question {
        client_address: ClientAddress::NotNeeded,
        ..plain()
    };
    let report = asked(WORKED, "web", &not_needed).expect("advice").data;
    assert_eq!(report.verdict.summary, "Switch to Cluster");
}

#[test]
fn nodes_are_known_by_their_objects() {
    let label = "labels: {node.kubernetes.io/exclude-from-external-load-balancers: \"\", topology";
    let excluded = WORKED.replacen("labels: {topology", label, 1);
    let not_ready = WORKED.replacen("status: \"True\"", "status: \"Unknown\"", 1);
    let leaving = WORKED.replacen(
        "metadata: {name: n1",
        "spec: {taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]}\n\
         metadata: {name: n1",
        1,
    );
    for (objects, out) in [
        (&excluded, "excluded"),
        (&not_ready, "notReady"),
        (&leaving, "leaving"),
    ] {
        let json = serde_json::to_value(advice(objects)).expect("JSON");
        let node = &json["policies"]["Local"]["nodes"][0];
        assert_eq!((&node["out"], &node["share"]), (&out.into(), &0.0.into()));
    }
    let no_nodes = WORKED
        .split_once("apiVersion: v1\nkind: Service")
        .expect("a Service")
        .1;
    let no_nodes = format!("apiVersion: v1\nkind: Service{no_nodes}");
    let report = advice(&no_nodes);
    assert_eq!(report.data.policies.local.nodes.len(), 3);
    let unseen = report.sources.iter().find(|own| own.name == "nodes");
    assert!(
        unseen.is_some_and(|own| own.error.is_some()),
        "{:?}",
        report.sources
    );
}

/// Sixty nodes with twenty pods each.
fn crowd() -> String {
    let (before, rest) = WORKED.split_once("endpoints:\n").expect("endpoints");
    let (_, after) = rest.split_once("---\n").expect("what follows");
    let mut objects = format!("{before}endpoints:\n");
    for node in 0..60 {
        for pod in 0..20 {
            objects +=
                &format!("- {{addresses: [10.1.{node}.{pod}], nodeName: node-{node}.example}}\n");
        }
    }
    objects + "---\n" + after
}

#[test]
fn a_drawing_is_small_whatever_the_service() {
    let report = advice(&crowd()).data;
    assert_eq!(report.policies.local.nodes.len(), 63);
    for panel in &report.drawing.panels {
        assert!(
            panel.nodes.len() <= 9 && panel.pods.len() <= 27,
            "{panel:?}"
        );
        let sum: f64 = panel.pods.iter().map(|own| own.share).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        let sum: f64 = panel.bands.iter().map(|own| own.2).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }
    let html = text(advice(&crowd()), Format::Html);
    let svg: usize = html.split("<svg").skip(1).map(str::len).sum();
    assert!(html.contains("node-0") && svg > 1000);
}

#[test]
fn names_of_others_are_escaped() {
    let evil = WORKED.replace("nodeName: n1", "nodeName: \"<script>alert(1)</script>\"");
    let html = text(advice(&evil), Format::Html);
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("&lt;script"));
}

#[test]
fn what_has_no_external_traffic_is_told_in_one_line() {
    let service = |spec: &str| {
        let wanted = "type: LoadBalancer\n  clusterIP: 10.96.4.20\n  clusterIPs: [10.96.4.20]\n";
        let objects = WORKED.replace("nodePort: 30517", "name: http");
        let objects = objects.replace(
            "name: http, port: 80, targetPort: 8080, name: http",
            "port: 80",
        );
        let objects = objects.replace(
            "status: {loadBalancer: {ingress: [{ip: 198.51.100.7}]}}",
            "",
        );
        assert!(objects.contains(wanted));
        objects.replace(wanted, spec)
    };
    let rows = [
        (
            service("type: ClusterIP\n  clusterIP: 10.96.4.20\n"),
            "web",
            "type ClusterIP",
        ),
        (service("clusterIP: None\n"), "web", "headless"),
        (
            service("type: ExternalName\n  externalName: example.org\n"),
            "web",
            "ExternalName",
        ),
        (WORKED.to_owned(), "wbe", "did you mean shop/web?"),
    ];
    for (objects, name, says) in rows {
        let error = asked(&objects, name, &plain()).expect_err("no advice");
        let error = format!("{error:#}");
        assert!(error.contains(says) && !error.contains('\n'), "{error}");
    }
    let other_port = Question {
        port: Some("https".to_owned()),
        ..plain()
    };
    let error = asked(WORKED, "web", &other_port).expect_err("no such port");
    assert_eq!(
        error.to_string(),
        "Service shop/web has no port https; it has http (80)"
    );
    let inside = service("type: ClusterIP\n  clusterIP: 10.96.4.20\n");
    let listed = with_objects(&inside, |settings| {
        block_on(all(settings, Some("shop"), &plain()))
    });
    let listed = text(listed.expect("a list"), Format::Table);
    assert!(
        listed.contains("No Service has external traffic"),
        "{listed}"
    );
}
