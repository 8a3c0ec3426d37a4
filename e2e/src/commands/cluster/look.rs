//! A command of ours that looks at the cluster, run on a node as somebody would run it there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::address::CLUSTER_CIDR;
use e2e::{Node, binary};
use serde_json::Value;

/// Who asks, and where.
pub(crate) struct Look<'a> {
    pub(crate) node: &'a Node,
    pub(crate) kubeconfig: PathBuf,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) error: String,
    pub(crate) took: Duration,
}

impl Look<'_> {
    /// Runs `kube-proxy` with these words.
    pub(crate) fn run(&self, words: &str) -> Result<Said> {
        let begun = Instant::now();
        let output = self
            .node
            .namespace()
            .command(binary()?)
            .args(words.split(' '))
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["--hostname-override", self.node.name()])
            .args(["--proxy-mode", "nftables", "--cluster-cidr", CLUSTER_CIDR])
            .output()
            .with_context(|| format!("run {words}"))?;
        Ok(Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout)?,
            error: String::from_utf8(output.stderr)?,
            took: begun.elapsed(),
        })
    }

    /// The report of these words, which has to have this kind and exit code.
    pub(crate) fn report(&self, words: &str, kind: &str, code: i32) -> Result<Value> {
        let said = self.run(&format!("{words} -o json"))?;
        let report = said
            .report()
            .with_context(|| format!("{words}: {said:?}"))?;
        ensure!(
            report["kind"] == kind && said.code == Some(code),
            "{words} ends with {:?}: {report:#}",
            said.code
        );
        Ok(report)
    }

    /// The one line that these words are refused with.
    pub(crate) fn refused(&self, words: &str) -> Result<Said> {
        let said = self.run(words)?;
        ensure!(
            said.code == Some(3) && said.out.is_empty() && said.error.lines().count() == 1,
            "{words}: {said:?}"
        );
        Ok(said)
    }
}

impl Said {
    fn report(&self) -> Result<Value> {
        serde_json::from_str(&self.out).context("no report")
    }
}

/// Codes of what a report found.
pub(crate) fn codes(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().into_iter().flatten();
    findings.filter_map(|own| own["code"].as_str()).collect()
}

/// Why something could not be looked at, a line for each source.
pub(crate) fn unseen(report: &Value) -> Vec<String> {
    let sources = report["sources"].as_array().into_iter().flatten();
    let errors = sources.filter(|own| !own["error"].is_null());
    errors
        .map(|own| format!("{}: {}", own["name"], own["error"]))
        .collect()
}
