//! Flags and configuration files: what `--write-config-to` writes, and what is refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use e2e::cleanup::ScratchDir;
use serde::Deserialize;

use crate::compare::Programs;
use crate::compare::difference::ensure_same;
use crate::report::Cases;

const QUESTIONS: &str = include_str!("../../../compare/config.yaml");
/// What every file begins with.
const HEAD: &str = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
/// A file with some flags beside it.
const FILE: &str = "mode: nftables\nhostnameOverride: file\n\
                    logging: {verbosity: 1, vmodule: [{filePattern: b, verbosity: 2}]}\n";

/// [`QUESTIONS`]; their comments say what each is about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Questions {
    flags: Vec<Flags>,
    files: Vec<String>,
    flags_with_file: Vec<Flags>,
    bad_flags: Vec<BadFlags>,
    bad_files: Vec<BadFile>,
    bad_fields: Vec<BadFile>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Flags {
    Line(String),
    Words(Vec<String>),
}

impl Flags {
    fn words(&self) -> Vec<&str> {
        match self {
            Self::Line(line) => line.split_whitespace().collect(),
            Self::Words(words) => words.iter().map(String::as_str).collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BadFlags {
    flags: Flags,
    says: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BadFile {
    file: String,
    says: String,
}

/// Puts every question to both.
pub fn compare(programs: &Programs, cases: &mut Cases) -> Result<()> {
    let questions: Questions = serde_saphyr::from_str(QUESTIONS).context("the questions")?;
    let scratch = ScratchDir::create("compare-config")?;
    let asker = Asker {
        programs,
        scratch: scratch.path(),
    };
    let mut is_written = |about: &str, file: Option<&str>, flags: &[&str]| {
        let name = format!(
            "written: {} {}",
            about.replace('\n', " ~ "),
            flags.join(" ")
        );
        cases.case(name.trim_end(), || asker.is_written(file, flags));
    };
    for flags in &questions.flags {
        is_written("", None, &flags.words());
    }
    for file in &questions.files {
        is_written(file, Some(&format!("{HEAD}{file}")), &[]);
    }
    for name in ["kubeadm", "kind"] {
        let path = fixtures().join(format!("{name}.yaml"));
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        is_written(&format!("{name}'s ConfigMap"), Some(&text), &[]);
    }
    for flags in &questions.flags_with_file {
        is_written("a file", Some(&format!("{HEAD}{FILE}")), &flags.words());
    }
    let mut is_refused = |about: &str, file: Option<&str>, flags: &[&str], says: &str| {
        let name = format!(
            "refused: {} {}",
            about.replace('\n', " ~ "),
            flags.join(" ")
        );
        cases.case(name.trim_end(), || asker.is_refused(file, flags, says));
    };
    for BadFlags { flags, says } in &questions.bad_flags {
        is_refused("", None, &flags.words(), says);
    }
    for BadFile { file, says } in &questions.bad_files {
        is_refused(file, Some(file), &[], says);
    }
    for BadFile { file, says } in &questions.bad_fields {
        is_refused(file, Some(&format!("{HEAD}{file}")), &[], says);
    }
    Ok(())
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

struct Asker<'a> {
    programs: &'a Programs,
    scratch: &'a Path,
}

impl Asker<'_> {
    /// Both write the same for this file, if there is one, and these flags.
    fn is_written(&self, file: Option<&str>, flags: &[&str]) -> Result<()> {
        let upstream = self.write(&self.programs.upstream, file, flags);
        let ours = self.write(&self.programs.ours, file, flags);
        ensure_same(&upstream.context("upstream")?, &ours.context("ours")?)
    }

    /// Both end with exit code 1 and say this on the way.
    fn is_refused(&self, file: Option<&str>, flags: &[&str], says: &str) -> Result<()> {
        for (who, program) in [
            ("upstream", &self.programs.upstream),
            ("ours", &self.programs.ours),
        ] {
            let output = self.run(program, file, flags)?;
            let said = said(&output);
            let code = output.status.code();
            ensure!(code == Some(1), "{who}: {}: {said}", output.status);
            ensure!(said.contains(says), "{who}: {says:?} is not in {said}");
        }
        Ok(())
    }

    fn written(&self) -> PathBuf {
        self.scratch.join("written.yaml")
    }

    fn write(&self, program: &Path, file: Option<&str>, flags: &[&str]) -> Result<String> {
        std::fs::remove_file(self.written()).ok();
        let output = self.run(program, file, flags)?;
        let status = output.status;
        ensure!(status.success(), "{status}: {}", said(&output));
        std::fs::read_to_string(self.written()).context("nothing was written")
    }

    fn run(&self, program: &Path, file: Option<&str>, flags: &[&str]) -> Result<Output> {
        let mut command = Command::new(program);
        if let Some(text) = file {
            let path = self.scratch.join("config.yaml");
            std::fs::write(&path, text)?;
            command.arg(format!("--config={}", path.display()));
        }
        command
            .args(flags)
            .arg("--write-config-to")
            .arg(self.written())
            .output()
            .with_context(|| format!("start {}", program.display()))
    }
}

/// What it said, quotes as they were before they were logged.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_read() {
        let questions: Questions = serde_saphyr::from_str(QUESTIONS).expect("valid");
        assert_eq!(questions.flags[0].words(), [""; 0]);
        assert!(
            questions
                .flags
                .iter()
                .any(|flags| flags.words().contains(&""))
        );
        let lines = QUESTIONS.lines().filter(|line| line.starts_with("- "));
        let all = questions.flags.len()
            + questions.files.len()
            + questions.flags_with_file.len()
            + questions.bad_flags.len()
            + questions.bad_files.len()
            + questions.bad_fields.len();
        assert_eq!(lines.count(), all);
    }
}
