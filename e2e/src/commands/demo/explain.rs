//! What the program itself says of the Service under policy Local: explain, advise, trace.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use e2e::Bed;
use e2e::address::CLIENT;

use crate::demo::policy::{POLICIES, Policy};
use crate::report::write_text;

/// A command as one types it on a node, and what it answers.
pub(crate) struct Said {
    pub(crate) command: String,
    pub(crate) answer: String,
}

/// Everything that was asked, and the page for a browser.
pub(crate) struct Explained {
    pub(crate) said: Vec<Said>,
    pub(crate) page: PathBuf,
}

/// Asks on node-2, while all pods are there.
pub(crate) fn ask(bed: &Bed, manifests: &Path) -> Result<Explained> {
    let [_, local] = POLICIES;
    let service = format!("default/{}", local.service);
    let packet = format!("{}:{}", local.address().v4, Policy::PORT);
    let client = CLIENT.v4.to_string();
    let questions = [vec!["advise", &service], vec!["trace", &client, &packet]];
    let said = questions.map(|words| {
        let answer = asked(bed, manifests, &words)?;
        let command = format!("kube-proxy {}", words.join(" "));
        Ok(Said { command, answer })
    });
    let page = asked(bed, manifests, &["advise", &service, "-o", "html"])?;
    Ok(Explained {
        said: said.into_iter().collect::<Result<_>>()?,
        page: write_text("demo", "report.html", &page)?,
    })
}

/// The objects are the daemon's own; the kernel's side is the node's.
fn asked(bed: &Bed, manifests: &Path, words: &[&str]) -> Result<String> {
    let node = &bed.nodes()[1];
    let program = e2e::binary()?;
    let program = program
        .to_str()
        .context("the program's path is not UTF-8")?;
    let manifests = manifests.to_str().context("directory name is not UTF-8")?;
    let source = ["--manifests", manifests, "--hostname-override", node.name()];
    let words = [&[program], words, &source, &["--fail-on", "never"]].concat();
    node.namespace().exec(&words)
}
