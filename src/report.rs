//! What the commands answer: one envelope for all, as text, JSON, YAML or a page
//! (docs/cli.md#reports).

mod html;
mod output;
mod page;
mod text;

pub use output::{Format, Output, args};
pub use page::{Block, Page, Table};

use rules::finding::{Finding, Severity};
use schemars::JsonSchema;
use serde::Serialize;

/// `apiVersion` of every report. It changes when a key changes its meaning or goes.
pub const API_VERSION: &str = "kube-proxy-rs/v1";

/// What a command looked at, and what it saw.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report<D> {
    /// `kube-proxy-rs/v1`.
    pub api_version: &'static str,
    /// What `D` is: `Explanation`, `Trace`, …
    pub kind: &'static str,
    /// The node from which it is seen.
    pub node: String,
    /// RFC 3339.
    pub generated_at: String,
    /// What was looked at, and what could not be.
    pub sources: Vec<Source>,
    /// What is answered.
    #[serde(flatten)]
    pub data: D,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
}

/// Where facts come from.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// `api`, `manifests`, `kernel`, `conntrack`, `node n2`, …
    pub name: String,
    /// How old the facts are, in seconds; `null` if they could not be had.
    pub age_seconds: Option<f64>,
    /// Why they could not be had, and what to do.
    pub error: Option<String>,
}

impl Source {
    /// Facts that were read just now.
    pub fn fresh(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            age_seconds: Some(0.0),
            error: None,
        }
    }

    /// Facts that were not to be had.
    pub fn unseen(name: impl Into<String>, error: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            age_seconds: None,
            error: Some(error.into()),
        }
    }
}

/// What one command answers.
pub trait Data: Serialize + JsonSchema {
    /// The report's `kind`.
    const KIND: &'static str;

    /// For people. `wide` is for what seldom matters.
    fn page(&self, wide: bool) -> Page;
}

impl<D: Data> Report<D> {
    /// A report of now.
    pub fn new(
        node: impl Into<String>,
        sources: Vec<Source>,
        data: D,
        mut findings: Vec<Finding>,
    ) -> Self {
        findings.sort_by(|left, right| {
            (right.severity.cmp(&left.severity)).then_with(|| {
                let key = |finding: &Finding| (finding.code, finding.object.clone());
                key(left).cmp(&key(right))
            })
        });
        let now = jiff::Timestamp::now();
        Self {
            api_version: API_VERSION,
            kind: D::KIND,
            node: node.into(),
            generated_at: now.round(jiff::Unit::Second).unwrap_or(now).to_string(),
            sources,
            data,
            findings,
        }
    }

    /// The worst that was found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// For people, with what was found, and what could not be looked at.
    pub fn page(&self, wide: bool) -> Page {
        let mut page = self.data.page(wide);
        page.findings(&self.findings);
        page.unseen(&self.sources);
        page
    }
}

#[cfg(test)]
mod tests;
