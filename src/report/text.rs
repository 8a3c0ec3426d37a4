//! A page as text for a terminal. Nothing of it but colours is control characters: names come
//! from the cluster.

use super::page::{Block, Page, Table};
use anstyle::{AnsiColor, Style};
use comfy_table::ContentArrangement;
use comfy_table::presets::NOTHING;
use rules::finding::{Finding, Severity};
use std::fmt::Write;

/// The page as lines, with colours as escape sequences; `anstream` takes them out where nobody
/// wants any.
pub(super) fn text(page: &Page) -> String {
    let mut out = String::new();
    line(&mut out, &bold(&page.title));
    for block in &page.blocks {
        match block {
            Block::Heading(text) => {
                out.push('\n');
                line(&mut out, &bold(&text.to_uppercase()));
            }
            Block::Text(text) => line(&mut out, &clean(text)),
            Block::Lead(text) => line(&mut out, &bold(text)),
            Block::List(items) => {
                for item in items {
                    line(&mut out, &format!("- {}", clean(item)));
                }
            }
            Block::Fields(fields) => line(&mut out, &fields_text(fields)),
            Block::Table(table) => line(&mut out, &table_text(table)),
            Block::Code(code) => {
                for code in code.lines() {
                    line(&mut out, &format!("    {}", clean(code)));
                }
            }
            Block::Figure(_) => {}
            Block::Finding(finding) => finding_text(&mut out, finding),
        }
    }
    out
}

fn line(out: &mut String, text: &str) {
    for text in text.lines() {
        out.push_str(text.trim_end());
        out.push('\n');
    }
}

fn finding_text(out: &mut String, finding: &Finding) {
    let style = match finding.severity {
        Severity::Error => AnsiColor::Red.on_default(),
        Severity::Warning => AnsiColor::Yellow.on_default(),
        Severity::Info => Style::new(),
    };
    let mut head = format!(
        "{style}{:<8} {}{style:#}  ",
        finding.severity.to_string(),
        finding.code
    );
    let about = [finding.object.as_deref(), finding.node.as_deref()];
    for part in about.into_iter().flatten() {
        let _ = write!(head, "{}: ", clean(part));
    }
    head.push_str(&clean(&finding.message));
    line(out, &head);
    for fact in &finding.evidence {
        line(out, &format!("         seen: {}", clean(fact)));
    }
    if !finding.remedy.is_empty() {
        for (number, text) in finding.remedy.lines().enumerate() {
            let before = if number == 0 { "remedy: " } else { "        " };
            line(out, &format!("         {before}{}", clean(text)));
        }
    }
}

fn fields_text(fields: &[(String, String)]) -> String {
    let mut table = bare();
    for (name, value) in fields {
        table.add_row([clean(name), clean(value)]);
    }
    lines_of(table)
}

fn table_text(rows: &Table) -> String {
    let mut table = bare();
    table.set_header(rows.head.iter().map(|head| clean(head).to_uppercase()));
    for row in &rows.rows {
        table.add_row(row.iter().map(|cell| clean(cell)));
    }
    lines_of(table)
}

/// Columns two spaces apart, without lines.
fn bare() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn lines_of(mut table: comfy_table::Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn bold(text: &str) -> String {
    let style = Style::new().bold();
    format!("{style}{}{style:#}", clean(text))
}

/// Without what a terminal would obey.
fn clean(text: &str) -> String {
    let replace = |c: char| {
        if c.is_control() && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(replace).collect()
}
