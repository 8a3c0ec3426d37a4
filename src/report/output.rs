//! In which form a report goes out, and with which exit code the command ends.

use super::{Data, Report, html, text};
use crate::yaml;
use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};
use rules::finding::Severity;
use std::io::Write;
use std::process::ExitCode;

/// What `-o` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    Table,
    /// The same with what seldom matters.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// A file for a browser.
    Html,
}

/// What the flags of [`args`] say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// `-o`.
    pub format: Format,
    /// `--fail-on`: findings of that severity and above make the command end with 1; `None` is
    /// `never`.
    pub fail_on: Option<Severity>,
}

const FORMATS: [(&str, Format); 5] = [
    ("table", Format::Table),
    ("wide", Format::Wide),
    ("json", Format::Json),
    ("yaml", Format::Yaml),
    ("html", Format::Html),
];
const FAIL_ON: [(&str, Option<Severity>); 4] = [
    ("info", Some(Severity::Info)),
    ("warning", Some(Severity::Warning)),
    ("error", Some(Severity::Error)),
    ("never", None),
];

/// The flags `-o` and `--fail-on`; a command may have formats beyond those of all.
pub fn args(more_formats: &[&'static str]) -> [Arg; 2] {
    let formats = FORMATS.iter().map(|(name, _)| *name);
    let formats = formats.chain(more_formats.iter().copied());
    let output = Arg::new("output")
        .long("output")
        .short('o')
        .help("The form of the answer: text, wider text, data, or a file for a browser.")
        .value_parser(PossibleValuesParser::new(formats))
        .default_value("table");
    let fail_on = Arg::new("fail-on")
        .long("fail-on")
        .help("End with 1 if something of this severity, or worse, was found.")
        .value_parser(PossibleValuesParser::new(FAIL_ON.map(|(name, _)| name)))
        .default_value("error");
    [output, fail_on].map(|arg| {
        let id = arg.get_id().clone();
        arg.help_heading("Output").overrides_with(id)
    })
}

/// The value of a flag that only takes those of a table.
fn chosen<T: Copy>(matches: &ArgMatches, flag: &str, table: &[(&str, T)], default: T) -> T {
    let given = matches.get_one::<String>(flag);
    let row = given.and_then(|given| table.iter().find(|(name, _)| name == given));
    row.map_or(default, |(_, value)| *value)
}

impl Output {
    /// What was given; a format of the command's own counts as [`Format::Table`].
    pub fn new(matches: &ArgMatches) -> Self {
        Self {
            format: chosen(matches, "output", &FORMATS, Format::Table),
            fail_on: chosen(matches, "fail-on", &FAIL_ON, Some(Severity::Error)),
        }
    }

    /// The report in that form, with colours where it is text.
    pub fn text<D: Data>(&self, report: &Report<D>) -> String {
        match self.format {
            Format::Table => text::text(&report.page(false)),
            Format::Wide => text::text(&report.page(true)),
            Format::Json => {
                let json = serde_json::to_string_pretty(report);
                json.map(|json| json + "\n").unwrap_or_default()
            }
            Format::Yaml => yaml::write(report),
            Format::Html => {
                let footer = format!(
                    "{} seen from {}, {}",
                    report.kind, report.node, report.generated_at
                );
                html::document(&report.page(true), &footer)
            }
        }
    }

    /// Prints the report; the exit code is 1 if something is found that is bad enough.
    ///
    /// # Errors
    /// Standard output takes nothing.
    pub fn print<D: Data>(&self, report: &Report<D>) -> anyhow::Result<ExitCode> {
        print(&self.text(report))?;
        Ok(self.exit_code(report))
    }

    /// The same as one line of JSON, for answers of which there are many.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn print_line<D: Data>(&self, report: &Report<D>) -> anyhow::Result<ExitCode> {
        let line = serde_json::to_string(report).context("writing JSON")?;
        print(&(line + "\n"))?;
        Ok(self.exit_code(report))
    }

    /// 1 if something is found that is bad enough.
    pub fn exit_code<D: Data>(&self, report: &Report<D>) -> ExitCode {
        let fails = self
            .fail_on
            .is_some_and(|limit| report.worst() >= Some(limit));
        ExitCode::from(u8::from(fails))
    }
}

/// Prints text, without colours where there is no terminal, or `NO_COLOR` is set. A reader that
/// has seen enough is no matter.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("writing the report")
        }
        _ => Ok(()),
    }
}
