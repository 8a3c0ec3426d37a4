use super::{Block, Data, Format, Output, Page, Report, Source, Table};
use rules::finding::{Code, Finding, Severity};
use schemars::JsonSchema;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Clone, Serialize, JsonSchema)]
struct Sample {
    name: String,
}

impl Data for Sample {
    const KIND: &'static str = "Sample";

    fn page(&self, wide: bool) -> Page {
        let mut page = Page::new(format!("Sample {}", self.name));
        let mut table = Table::new(["name", "long name"]);
        table.row([self.name.clone(), "x".to_owned()]);
        page.table(table);
        if wide {
            page.push(Block::Code("a: 1\nb: 2".to_owned()));
        }
        page
    }
}

fn report(name: &str) -> Report<Sample> {
    let findings = vec![
        Finding::new(Code::HintsIgnored, Severity::Warning, "one", "do\nthis").on("n1"),
        Finding::new(Code::NoReadyEndpoint, Severity::Error, "two", "")
            .about("Service a/b")
            .because("a fact"),
    ];
    let sources = vec![Source::fresh("api"), Source::unseen("kernel", "no right")];
    let name = name.to_owned();
    Report {
        generated_at: "2026-11-28T00:00:00Z".to_owned(),
        ..Report::new("n1", sources, Sample { name }, findings)
    }
}

fn text(format: Format, name: &str) -> String {
    let output = Output {
        format,
        fail_on: None,
    };
    output.text(&report(name))
}

#[test]
fn each_form() {
    let plain = anstream::adapter::strip_str(&text(Format::Wide, "web")).to_string();
    insta::assert_snapshot!("wide", plain);
    insta::assert_snapshot!("json", text(Format::Json, "web"));
    insta::assert_snapshot!("yaml", text(Format::Yaml, "web"));
    insta::assert_snapshot!("html", text(Format::Html, "web"));
}

#[test]
fn names_are_no_orders_to_a_terminal_or_a_browser() {
    let name = "\u{1b}[2Jx<script>\r";
    assert!(
        !anstream::adapter::strip_str(&text(Format::Table, "x"))
            .to_string()
            .contains('\u{1b}')
    );
    let shown = text(Format::Table, name);
    assert!(
        !shown.contains("\u{1b}[2J") && !shown.contains('\r'),
        "{shown:?}"
    );
    let shown = text(Format::Html, name);
    assert!(!shown.contains("<script>"), "{shown}");
}

#[test]
fn the_exit_code_follows_the_worst_finding() {
    let rows = [
        (Some(Severity::Info), 1),
        (Some(Severity::Warning), 1),
        (Some(Severity::Error), 0),
        (None, 0),
    ];
    let mut report = report("web");
    report
        .findings
        .retain(|found| found.severity < Severity::Error);
    for (fail_on, code) in rows {
        let output = Output {
            format: Format::Json,
            fail_on,
        };
        assert_eq!(
            output.print(&report).expect("printed"),
            ExitCode::from(code),
            "{fail_on:?}"
        );
    }
}
