//! Flags and configuration files: what `--write-config-to` writes, and what is refused.

mod tables;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use e2e::cleanup::ScratchDir;

use crate::compare::Programs;
use crate::compare::report::Report;
use tables::{BAD_FIELDS, BAD_FILES, BAD_FLAGS, FILES, FLAGS, FLAGS_WITH_FILE, HEAD};

/// Puts every row of the tables to both.
pub fn compare(programs: &Programs, report: &mut Report) -> Result<()> {
    let scratch = ScratchDir::create("compare-config")?;
    let mut asker = Asker {
        programs,
        report,
        scratch: scratch.path(),
    };
    for flags in FLAGS {
        asker.written(&flags.join(" "), &words(flags));
    }
    for file in FILES {
        asker.file_written(file, &format!("{HEAD}{file}"), &[])?;
    }
    for name in ["kubeadm", "kind"] {
        let path = fixtures().join(format!("{name}.yaml"));
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        asker.file_written(&format!("{name}'s ConfigMap"), &text, &[])?;
    }
    for flags in FLAGS_WITH_FILE {
        let file = format!(
            "{HEAD}mode: nftables\nhostnameOverride: file\nlogging: {{verbosity: 1, \
                            vmodule: [{{filePattern: b, verbosity: 2}}]}}\n"
        );
        asker.file_written("a file", &file, flags)?;
    }
    for (flags, names) in BAD_FLAGS {
        asker.refused(&flags.join(" "), &words(flags), names);
    }
    for (file, names) in BAD_FILES {
        asker.file_refused(file, file, names)?;
    }
    for (fields, names) in BAD_FIELDS {
        asker.file_refused(fields, &format!("{HEAD}{fields}"), names)?;
    }
    Ok(())
}

fn words(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|flag| (*flag).to_owned()).collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

struct Asker<'a> {
    programs: &'a Programs,
    report: &'a mut Report,
    scratch: &'a Path,
}

impl Asker<'_> {
    /// Both write the same for these flags.
    fn written(&mut self, about: &str, flags: &[String]) {
        let question = format!("written: {}", about.replace('\n', " ~ "));
        let upstream = self.write(&self.programs.upstream, flags);
        let ours = self.write(&self.programs.ours, flags);
        match (upstream, ours) {
            (Ok(upstream), Ok(ours)) => self.report.texts(question, &upstream, &ours),
            (Err(error), _) => self
                .report
                .different(question, format!("upstream: {error}")),
            (_, Err(error)) => self.report.different(question, format!("ours: {error}")),
        }
    }

    fn file_written(&mut self, about: &str, text: &str, flags: &[&str]) -> Result<()> {
        let about = format!("{about} {}", flags.join(" "));
        let mut all = vec![self.config(text)?];
        all.extend(words(flags));
        self.written(&about, &all);
        Ok(())
    }

    /// Both end with exit code 1 and say `names` on the way.
    fn refused(&mut self, about: &str, flags: &[String], names: &str) {
        let question = format!("refused: {}", about.replace('\n', " ~ "));
        for (who, program) in [
            ("upstream", &self.programs.upstream),
            ("ours", &self.programs.ours),
        ] {
            if let Err(error) = self.refuse(program, flags, names) {
                self.report.different(question, format!("{who}: {error}"));
                return;
            }
        }
        self.report.same(question);
    }

    fn file_refused(&mut self, about: &str, text: &str, names: &str) -> Result<()> {
        let config = self.config(text)?;
        self.refused(about, &[config], names);
        Ok(())
    }

    /// A file with this text, as a flag.
    fn config(&self, text: &str) -> Result<String> {
        let file = self.scratch.join("config.yaml");
        std::fs::write(&file, text)?;
        Ok(format!("--config={}", file.display()))
    }

    fn target(&self) -> PathBuf {
        self.scratch.join("written.yaml")
    }

    fn write(&self, program: &Path, flags: &[String]) -> Result<String> {
        std::fs::remove_file(self.target()).ok();
        let output = self.run(program, flags)?;
        ensure!(
            output.status.success(),
            "{}: {}",
            output.status,
            said(&output)
        );
        std::fs::read_to_string(self.target()).context("nothing was written")
    }

    fn refuse(&self, program: &Path, flags: &[String], names: &str) -> Result<()> {
        let output = self.run(program, flags)?;
        let said = said(&output);
        ensure!(output.status.code() == Some(1), "{}: {said}", output.status);
        ensure!(said.contains(names), "{names:?} is not in {said}");
        Ok(())
    }

    fn run(&self, program: &Path, flags: &[String]) -> Result<Output> {
        Command::new(program)
            .args(flags)
            .arg("--write-config-to")
            .arg(self.target())
            .output()
            .with_context(|| format!("start {}", program.display()))
    }
}

/// What it said, quotes as they were before they were logged.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).replace("\\\"", "\"")
}
