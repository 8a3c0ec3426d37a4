//! What the program itself says of the Service under policy Local: explain, advise, trace.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use e2e::Bed;
use e2e::address::{CLIENT, CLUSTER_CIDR};

use crate::demo::policy::{POLICIES, Policy};
use crate::report::write_text;

/// No section of an answer is shown longer than this, in lines.
const LINES: usize = 20;

/// What a report says that has no findings.
const NO_FINDINGS: &str = "0 errors, 0 warnings";

/// A command as one types it on a node, and what it answers.
pub(crate) struct Said {
    pub(crate) command: String,
    pub(crate) lines: Vec<String>,
}

/// Everything that was asked, and the page for a browser.
pub(crate) struct Explained {
    pub(crate) said: Vec<Said>,
    pub(crate) page: PathBuf,
}

/// Asks on node-2, while all pods are there.
pub(crate) fn ask(bed: &Bed, manifests: &Path) -> Result<Explained> {
    let [_, local] = POLICIES;
    let service = service();
    let packet = format!("{}:{}", local.address().v4, Policy::PORT);
    let client = CLIENT.v4.to_string();
    // With the sections that are about what was measured.
    let questions: [(Vec<&str>, &[&str]); 3] = [
        (
            vec!["explain", &service, "--ask-nodes"],
            &["ENDPOINTS", "HEALTH CHECK PORT"],
        ),
        (vec!["advise", &service], &["VERDICT", "REMEDIES"]),
        (vec!["trace", &client, &packet], &["RESULT"]),
    ];
    let said = questions.map(|(words, sections)| {
        let answer = asked(bed, manifests, &words)?;
        let command = format!("kube-proxy {}", words.join(" "));
        let lines = excerpt(&answer, sections);
        Ok(Said { command, lines })
    });
    let page = asked(bed, manifests, &["advise", &service, "-o", "html"])?;
    Ok(Explained {
        said: said.into_iter().collect::<Result<_>>()?,
        page: write_text("demo", "report.html", &page)?,
    })
}

/// The Service that is asked about.
pub(crate) fn service() -> String {
    let [_, local] = POLICIES;
    format!("default/{}", local.service)
}

/// The flags that the daemon on `node` has too; in a pod of the DaemonSet they are found out.
pub(crate) fn flags<'a>(node: &'a str, manifests: &'a str) -> [&'a str; 6] {
    [
        "--manifests",
        manifests,
        "--hostname-override",
        node,
        "--cluster-cidr",
        CLUSTER_CIDR,
    ]
}

/// The objects are the daemon's own; the kernel's side is the node's.
fn asked(bed: &Bed, manifests: &Path, words: &[&str]) -> Result<String> {
    let node = &bed.nodes()[1];
    let program = e2e::binary()?;
    let program = program
        .to_str()
        .context("the program's path is not UTF-8")?;
    let manifests = manifests.to_str().context("directory name is not UTF-8")?;
    let flags = flags(node.name(), manifests);
    let words = [&[program], words, &flags, &["--fail-on", "never"]].concat();
    node.namespace().exec(&words)
}

/// The head of an answer and some of its sections, findings if there are any, and which others it
/// has. The other family's rows are the same once more.
fn excerpt(answer: &str, sections: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut others = Vec::new();
    for (index, block) in answer.split("\n\n").enumerate() {
        let heading = block.lines().next().unwrap_or_default();
        let has_findings = heading == "FINDINGS" && !block.contains(NO_FINDINGS);
        let is_shown = sections.iter().any(|own| heading.starts_with(own));
        if index > 0 && !is_shown && !has_findings {
            let empty = if heading == "FINDINGS" { "no " } else { "" };
            others.push(format!("{empty}{}", heading.to_lowercase()));
            continue;
        }
        lines.extend((index > 0).then(String::new));
        let (other_family, own): (Vec<&str>, _) =
            block.lines().partition(|line| line.starts_with('['));
        let more = own.len().saturating_sub(LINES);
        lines.extend(own.into_iter().take(LINES).map(str::to_owned));
        lines.extend((more > 0).then(|| format!("… {more} more lines")));
        if !other_family.is_empty() {
            lines.push("… and the same for IPv6".to_owned());
        }
    }
    if !others.is_empty() {
        lines.push(format!("… and: {}", others.join("; ")));
    }
    lines
}
