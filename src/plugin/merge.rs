//! Reports of several nodes as one.

use super::exec::Answer;
use super::pods::Proxy;
use crate::report::{Data, Page, Report, Source, Table};
use anyhow::{Context, bail};
use rules::finding::{Finding, Severity};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What the nodes say, each its own.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct NodeReports {
    /// `explain` and the like.
    pub command: String,
    /// In order of the nodes' names.
    pub reports: Vec<NodeReport>,
}

/// What one node says.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct NodeReport {
    /// The node's name.
    pub node: String,
    /// The pod that was asked.
    pub pod: String,
    /// Its report; `null` if it has none, which is among the sources.
    pub report: Option<Value>,
}

/// Puts answers together. What several nodes find alike is told once, with all of them.
///
/// # Errors
/// No node has a report: what the first one says.
pub(super) fn merge(
    command: &str,
    answers: Vec<(&Proxy, anyhow::Result<Answer>)>,
) -> anyhow::Result<Report<NodeReports>> {
    let (mut reports, mut sources, mut findings) = (Vec::new(), Vec::new(), Vec::new());
    for (proxy, answer) in answers {
        let name = format!("node {}", proxy.node);
        let read = answer.and_then(|answer| read(&answer));
        let report = match read {
            Ok((report, found)) => {
                sources.push(Source::fresh(name));
                found
                    .into_iter()
                    .for_each(|finding| add(&mut findings, proxy, finding));
                Some(report)
            }
            Err(error) => {
                sources.push(Source::unseen(name, format!("{error:#}")));
                None
            }
        };
        let (node, pod) = (proxy.node.clone(), proxy.pod.clone());
        reports.push(NodeReport { node, pod, report });
    }
    if reports.iter().all(|own| own.report.is_none()) {
        let first = sources.first().and_then(|source| source.error.clone());
        bail!(
            "no node answers with a report: {}",
            first.unwrap_or_default()
        );
    }
    let data = NodeReports {
        command: command.to_owned(),
        reports,
    };
    let mut findings: Vec<Finding> = findings.into_iter().map(|(finding, _)| finding).collect();
    findings.sort_by(|left, right| left.node.cmp(&right.node));
    Ok(Report::new("all", sources, data, findings))
}

/// A report, and what it finds.
fn read(answer: &Answer) -> anyhow::Result<(Value, Vec<Finding>)> {
    if answer.stdout.trim().is_empty() {
        bail!("{}", answer.complaint());
    }
    let report: Value = serde_json::from_str(&answer.stdout).context(
        "the pod's answer is no report: its kube-proxy is of another version, or another one",
    )?;
    let findings = report.get("findings").cloned().unwrap_or_default();
    let findings: Vec<Finding> = serde_json::from_value(findings)
        .context("the pod's kube-proxy is of another version: its findings")?;
    Ok((report, findings))
}

/// Adds a finding of a node's: one that is there from another node already gets this one's name
/// beside it.
fn add(findings: &mut Vec<(Finding, Finding)>, proxy: &Proxy, finding: Finding) {
    let mut bare = finding.clone();
    // What differs between nodes that find the same.
    bare.node = None;
    bare.evidence.clear();
    let node = finding.node.clone().unwrap_or_else(|| proxy.node.clone());
    match findings.iter_mut().find(|(_, known)| *known == bare) {
        Some((known, _)) => {
            let nodes = known.node.get_or_insert_default();
            if !nodes.split(", ").any(|own| own == node) {
                *nodes = format!("{nodes}, {node}");
            }
        }
        None => findings.push((finding.on(node), bare)),
    }
}

impl Data for NodeReports {
    const KIND: &'static str = "NodeReports";

    fn page(&self, _: bool) -> Page {
        let mut page = Page::new(format!("{} on {} nodes", self.command, self.reports.len()));
        let mut table = Table::new(["node", "pod", "errors", "warnings", "not looked at"]);
        for NodeReport { node, pod, report } in &self.reports {
            let count = |severity: Severity| match report {
                Some(report) => of_severity(report, severity).to_string(),
                None => "?".to_owned(),
            };
            table.row([
                node.clone(),
                pod.clone(),
                count(Severity::Error),
                count(Severity::Warning),
                report.as_ref().map_or("anything".to_owned(), unseen),
            ]);
        }
        page.table(table);
        page.text("--node NAME shows one node's whole answer, -o json all of them.");
        page
    }
}

fn of_severity(report: &Value, severity: Severity) -> usize {
    let findings = report.get("findings").and_then(Value::as_array);
    let severity = severity.to_string();
    let these = findings.into_iter().flatten();
    these
        .filter(|found| found.get("severity").and_then(Value::as_str) == Some(&severity))
        .count()
}

fn unseen(report: &Value) -> String {
    let sources = report.get("sources").and_then(Value::as_array);
    let unseen = sources
        .into_iter()
        .flatten()
        .filter(|source| source.get("error").is_some_and(|error| !error.is_null()));
    let names = unseen.filter_map(|source| source.get("name")?.as_str());
    names.collect::<Vec<_>>().join(", ")
}
