//! What the command answers: as planned from manifests, on a machine that has no table.

use super::*;
use crate::report::{Data, Format, Output};
use crate::settings::Settings;
use rules::finding::{Code, Severity};
use rules::model::Protocol;
use std::path::Path;

fn asked(source: &str, destination: &str) -> Asked {
    Asked {
        source: Place::source(source).expect("a source"),
        destination: Destination::read(destination).expect("a destination"),
        protocol: None,
        from_node: None,
    }
}

fn session(flags: &[&str]) -> Session {
    session_in("nftables", flags)
}

fn session_in(mode: &str, flags: &[&str]) -> Session {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/trace/tests");
    let manifests = format!("--manifests={}", directory.display());
    let mode = format!("--proxy-mode={mode}");
    let always = [
        mode.as_str(),
        "--hostname-override=n1",
        "--nodeport-addresses=primary",
        &manifests,
    ];
    let flags = match flags {
        [] => &["--detect-local-mode=NodeCIDR"],
        flags => flags,
    };
    let settings = Settings::from_flags(&[&always, flags].concat()).expect("valid flags");
    Session::new(settings, true)
}

fn answer_in(session: &mut Session, asked: &Asked) -> anyhow::Result<Report<Traced>> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(trace(session, asked, None))
}

fn answer(source: &str, destination: &str) -> Report<Traced> {
    let asked = asked(source, destination);
    let report = answer_in(&mut session(&[]), &asked);
    report.unwrap_or_else(|error| panic!("{source} to {destination}: {error:#}"))
}

/// The report as text, without colours.
fn text(report: &Report<Traced>, format: Format) -> String {
    let output = Output {
        format,
        fail_on: None,
    };
    anstream::adapter::strip_str(&output.text(report)).to_string()
}

#[test]
fn the_ways_of_a_service() {
    let mut all = String::new();
    for (source, destination) in [
        ("pod/default/curl", "svc/shop/web:http"),
        ("outside", "svc/shop/web"),
        ("outside", "node:30517"),
        ("outside", "node:30524"),
        ("outside", "svc/shop/ranged"),
        ("outside", "svc/shop/empty"),
        ("outside", "10.96.4.20"),
        ("node", "node:30517"),
        ("node/n2", "node:30517"),
        ("pod/default/far", "svc/shop/web"),
        ("pod/default/curl", "svc/shop/sticky:http"),
        ("svc/shop/web", "svc/shop/web"),
        ("outside", "node:22"),
        ("pod/default/curl", "pod/default/far:22"),
        ("pod/default/curl", "10.96.4.20:81"),
        ("pod/default/curl", "10.96.99.99:80"),
    ] {
        all += &text(&answer(source, destination), Format::Table);
        all += "\n\n";
    }
    insta::assert_snapshot!(all);
}

#[test]
fn the_ways_through_chains_of_iptables() {
    let mut all = String::new();
    let mut codes = Vec::new();
    for (source, destination) in [
        ("pod/default/curl", "svc/shop/web:http"),
        ("outside", "svc/shop/web"),
        ("outside", "node:30517"),
        ("outside", "node:30524"),
        ("outside", "svc/shop/ranged"),
        ("outside", "svc/shop/empty"),
        ("node", "node:30517"),
        ("pod/default/curl", "svc/shop/sticky:http"),
        ("svc/shop/web", "svc/shop/web"),
        ("outside", "10.96.4.20"),
        ("pod/default/curl", "10.96.4.20:81"),
    ] {
        let flags = ["--detect-local-mode=NodeCIDR"];
        let asked = asked(source, destination);
        let report = answer_in(&mut session_in("iptables", &flags), &asked);
        let report = report.unwrap_or_else(|error| panic!("{source} to {destination}: {error:#}"));
        let found = report.findings.iter().map(|own| own.code);
        codes.push((destination, found.collect::<Vec<_>>()));
        all += &text(&report, Format::Table);
        all += "\n\n";
    }
    insta::assert_snapshot!(all);
    let codes_of = |wanted: &str| {
        let found = codes.iter().find(|(destination, _)| *destination == wanted);
        found.map(|(_, codes)| codes.clone()).unwrap_or_default()
    };
    assert_eq!(codes_of("svc/shop/empty"), [Code::NoReadyEndpoint]);
    assert_eq!(codes_of("node:30524"), [Code::NoneOnThisNode]);
    assert_eq!(codes_of("svc/shop/web:http"), []);
    let wide = {
        let asked = asked("outside", "svc/shop/web");
        let flags = ["--detect-local-mode=NodeCIDR"];
        answer_in(&mut session_in("iptables", &flags), &asked).expect("an answer")
    };
    let wide = text(&wide, Format::Wide);
    assert!(wide.contains("-A KUBE-SERVICES -d "), "{wide}");
}

#[test]
fn the_keys_that_scripts_read() {
    let mut report = answer("outside", "svc/shop/web");
    report.generated_at = "2026-01-01T00:00:00Z".to_owned();
    insta::assert_snapshot!("json", text(&report, Format::Json));
    let json: serde_json::Value = serde_json::from_str(&text(&report, Format::Json)).expect("JSON");
    assert_eq!(json["kind"], Traced::KIND);
    assert_eq!(json["result"]["outcome"], "delivered");
    let expected = serde_json::json!([{
        "address": "10.244.1.5",
        "port": 8080,
        "probability": 1.0,
        "clientAddress": "kept",
        "sees": "203.0.113.9",
    }]);
    assert_eq!(json["result"]["endpoints"], expected);
    for (source, destination, outcome) in [
        ("outside", "svc/shop/empty", "rejected"),
        ("outside", "node:30524", "dropped"),
        ("outside", "node:22", "local"),
        ("pod/default/curl", "pod/default/far:22", "routed"),
    ] {
        let report = answer(source, destination);
        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!(
            json["result"]["outcome"], outcome,
            "{source} to {destination}"
        );
    }
    let report = answer("node", "svc/shop/web");
    let replaced = report.data.result.endpoints.iter();
    let sum: f64 = replaced.map(|own| own.probability).sum();
    assert!((sum - 1.0).abs() < 1e-9);
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["result"]["endpoints"][0]["clientAddress"], "replaced");
}

#[test]
fn findings_come_with_what_is_wrong_and_not_without() {
    let codes = |source: &str, destination: &str| -> Vec<(Code, Severity)> {
        let findings = answer(source, destination).findings;
        findings
            .iter()
            .map(|own| (own.code, own.severity))
            .collect()
    };
    let none: [(Code, Severity); 0] = [];
    assert_eq!(
        codes("outside", "svc/shop/empty"),
        [(Code::NoReadyEndpoint, Severity::Error)]
    );
    assert_eq!(
        codes("outside", "node:30524"),
        [(Code::NoneOnThisNode, Severity::Warning)]
    );
    assert_eq!(
        codes("outside", "10.96.4.20"),
        [(Code::ClientAddressLost, Severity::Info)]
    );
    for (source, destination) in [
        ("outside", "svc/shop/web"),
        ("outside", "node:30517"),
        ("pod/default/curl", "svc/shop/web"),
        ("node", "node:30517"),
    ] {
        assert_eq!(
            codes(source, destination),
            none,
            "{source} to {destination}"
        );
    }
}

#[test]
fn what_is_wrong_is_told_in_one_line_with_what_to_do() {
    let mut all = String::new();
    let mut wrong = |asked: &Asked| {
        let error = answer_in(&mut session(&[]), asked).expect_err("it is wrong");
        let is_usage = error.downcast_ref::<crate::pflag::UsageError>().is_some();
        let code = if is_usage { 2 } else { 3 };
        let line = format!("{error:#}");
        assert_eq!(line.lines().count(), 1, "{line}");
        all += &format!("{code} {line}\n");
    };
    for (source, destination) in [
        ("node", "svc/shop/wep"),
        ("node", "svc/shoop/web"),
        ("node", "svc/shop/head"),
        ("node", "svc/shop/sticky"),
        ("node", "svc/shop/sticky:htpp"),
        ("node", "svc/shop/sticky:81"),
        ("pod/default/crul", "svc/shop/web"),
        ("node/n3", "svc/shop/web"),
        ("10.0.0.1", "[fd00::1]:80"),
        ("2001:db8::1", "svc/shop/web"),
        ("node", "10.96.4.21"),
        ("node", "10.96.4.99"),
        ("node", "pod/default/far"),
        ("outside", "node"),
    ] {
        wrong(&asked(source, destination));
    }
    wrong(&Asked {
        protocol: Some(Protocol::Udp),
        ..asked("node", "svc/shop/web:http")
    });
    wrong(&Asked {
        from_node: Some("n3".to_owned()),
        ..asked("outside", "10.96.4.20:80")
    });
    insta::assert_snapshot!(all);
}

#[test]
fn pods_that_are_known_by_their_interface() {
    let flags = [
        "--detect-local-mode=InterfaceNamePrefix",
        "--pod-interface-name-prefix=cali",
    ];
    let mut session = session(&flags);
    let mut kept = |source: &str| {
        let report = answer_in(&mut session, &asked(source, "svc/shop/web"));
        let report = report.expect("an answer");
        assert!(
            !report.data.assumptions.is_empty(),
            "the interface is assumed"
        );
        let endpoints = &report.data.result.endpoints;
        endpoints
            .iter()
            .all(|own| own.client_address == ending::ClientAddress::Kept)
    };
    assert!(kept("pod/default/curl"));
    assert!(!kept("10.244.2.9"), "which is no pod of this node");
}

#[test]
fn real_packets_are_followed_where_they_are() {
    let question = asked("pod/default/curl", "svc/shop/web");
    let mut tell = |_: &str| {};
    let live = Live {
        limit: Duration::from_secs(1),
        tell: &mut tell,
    };
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    let answer = runtime.block_on(trace(&mut session(&[]), &question, Some(live)));
    let error = answer.expect_err("there is no such kernel").to_string();
    assert!(
        error.contains("--live follows packets of this node"),
        "{error}"
    );
}
