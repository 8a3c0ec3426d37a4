use super::exec::{Answer, Question};
use super::pods::Proxy;
use super::words::{Words, parse};
use super::{is_meant, merge};
use crate::report::{Format, Output, Report};
use rules::finding::Severity;
use serde_json::{Value, json};

fn words(text: &str) -> Words {
    let words: Vec<&str> = text.split_whitespace().collect();
    parse(&words).expect("a command line").expect("no help")
}

#[test]
fn the_name_decides() {
    for (program, meant) in [
        ("kubectl-svc_doctor", true),
        ("/home/me/.krew/bin/kubectl-svc_doctor", true),
        (r"C:\krew\bin\kubectl-svc_doctor.exe", true),
        ("/usr/local/bin/kube-proxy", cfg!(not(feature = "node"))),
    ] {
        assert_eq!(is_meant(program), meant, "{program}");
    }
}

#[test]
fn own_flags_come_first_and_others_go_on() {
    let words = words("-n net --node n1 --timeout=5 explain shop/web -o json -n x");
    assert_eq!(
        (words.namespace.as_str(), words.node.as_deref()),
        ("net", Some("n1"))
    );
    assert_eq!((words.timeout, words.container.as_str()), (5, "kube-proxy"));
    let Question(command) = Question::as_data(&words);
    assert_eq!(
        command.join(" "),
        "kube-proxy explain shop/web -o json -n x --output=json --fail-on=never"
    );
    assert!(parse(&["--help"]).expect("help").is_none());
    assert!(parse::<&str>(&[]).expect("help").is_none());
}

#[test]
fn what_is_no_command_line() {
    for (text, why) in [
        ("--nope explain", "unknown flag: --nope"),
        ("-n", "flag needs an argument"),
        ("-n net", "a command is missing"),
        ("explane x", "unknown command"),
        ("render", "unknown command"),
        ("--timeout 0 explain", "--timeout"),
        ("--timeout soon explain", "--timeout"),
    ] {
        let words: Vec<&str> = text.split_whitespace().collect();
        let error = parse(&words).expect_err(text).to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn the_form_of_all_nodes_together() {
    for (text, format, fail_on) in [
        ("explain x", Format::Table, Some(Severity::Error)),
        (
            "explain x -ojson --fail-on warning",
            Format::Json,
            Some(Severity::Warning),
        ),
        ("explain -o=yaml x --fail-on=never", Format::Yaml, None),
        (
            "explain --output wide x -o json",
            Format::Json,
            Some(Severity::Error),
        ),
    ] {
        let output = words(text).output().expect("a form");
        assert_eq!(output, Output { format, fail_on }, "{text}");
    }
    for text in [
        "explain -o html",
        "explain -o nope",
        "explain --fail-on nope",
    ] {
        words(text).output().expect_err(text);
    }
}

fn proxies() -> [Proxy; 3] {
    ["n1", "n2", "n3"].map(|node| Proxy {
        node: node.to_owned(),
        pod: format!("kube-proxy-{node}"),
    })
}

fn finding(code: &str, severity: &str, node: Option<&str>, message: &str) -> Value {
    json!({"code": code, "severity": severity, "object": "Service shop/web", "node": node,
        "message": message, "remedy": "do", "evidence": [format!("seen by {node:?}")]})
}

fn answer(findings: &[Value]) -> Answer {
    let kernel = json!({"name": "kernel", "ageSeconds": null, "error": "no right"});
    let report = json!({"apiVersion": "kube-proxy-rs/v1", "kind": "Explanation",
        "sources": [kernel], "findings": findings});
    Answer {
        stdout: report.to_string(),
        ..Answer::default()
    }
}

fn shown(report: &Report<super::NodeReports>, format: Format) -> String {
    let output = Output {
        format,
        fail_on: None,
    };
    anstream::adapter::strip_str(&output.text(report)).to_string()
}

#[test]
fn what_several_nodes_find_is_told_once() {
    let [n1, n2, n3] = &proxies();
    let none = |node| finding("KP102", "error", Some(node), "no endpoint here");
    let everywhere = finding("KP201", "warning", None, "too much");
    let answers = vec![
        (n1, Ok(answer(std::slice::from_ref(&everywhere)))),
        (n2, Ok(answer(&[none("n2"), everywhere]))),
        (n3, Ok(answer(&[none("n3")]))),
    ];
    let report = merge::merge("explain", answers).expect("a report");
    insta::assert_snapshot!("merged", shown(&report, Format::Table));
    assert_eq!(report.worst(), Some(Severity::Error));
    let report = Report {
        generated_at: "2026-01-01T00:00:00Z".to_owned(),
        ..report
    };
    insta::assert_snapshot!("json", shown(&report, Format::Json));
    let data: Value = serde_json::from_str(&shown(&report, Format::Json)).expect("JSON");
    assert_eq!(data["reports"][1]["report"]["kind"], "Explanation");
}

#[test]
fn nodes_without_a_report_are_named() {
    let [n1, n2, n3] = &proxies();
    let failed = Answer {
        stderr: "2026 INFO x\nError: Service shop/wib: there is none\n".to_owned(),
        code: 3,
        ..Answer::default()
    };
    let other = Answer {
        stdout: "kube-proxy does not know explain".to_owned(),
        ..Answer::default()
    };
    let newer = answer(&[finding("KP999", "error", None, "new")]);
    let answers = vec![(n1, Ok(failed.clone())), (n2, Ok(other)), (n3, Ok(newer))];
    let error = merge::merge("explain", answers)
        .expect_err("no report")
        .to_string();
    assert!(error.contains("Service shop/wib: there is none"), "{error}");
    let answers = vec![
        (n1, Ok(failed)),
        (n2, Err(anyhow::anyhow!("no answer within 30 s"))),
        (n3, Ok(answer(&[]))),
    ];
    let report = merge::merge("explain", answers).expect("a report");
    insta::assert_snapshot!("some", shown(&report, Format::Table));
}
