//! Flags and configuration files: what `--write-config-to` writes, and what is refused.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result};
use e2e::cleanup::ScratchDir;

use crate::Programs;
use crate::report::Report;

/// Flags that both take; what they write must be equal to the byte.
const WRITTEN: &[&[&str]] = &[&[], &["--proxy-mode=nftables"]];

/// Puts every row of the tables to both.
pub fn compare(programs: &Programs, report: &mut Report) -> Result<()> {
    let scratch = ScratchDir::create("compare-config")?;
    for flags in WRITTEN {
        let question = format!("writes: {}", flags.join(" "));
        let upstream = written(&programs.upstream, flags, scratch.path());
        let ours = written(&programs.ours, flags, scratch.path());
        match (upstream, ours) {
            (Ok(upstream), Ok(ours)) => report.texts(question, &upstream, &ours),
            (upstream, ours) => report.different(question, format!("{upstream:?}\n{ours:?}")),
        }
    }
    Ok(())
}

/// The configuration that a binary makes of flags.
fn written(program: &Path, flags: &[&str], scratch: &Path) -> Result<String> {
    let file = scratch.join("written.yaml");
    std::fs::remove_file(&file).ok();
    let output = run(program, flags, &file)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "{}: {said}", output.status);
    std::fs::read_to_string(&file).with_context(|| format!("{}: {said}", program.display()))
}

fn run(program: &Path, flags: &[&str], file: &Path) -> Result<Output> {
    Command::new(program)
        .args(flags)
        .arg("--write-config-to")
        .arg(file)
        .output()
        .with_context(|| format!("start {}", program.display()))
}
