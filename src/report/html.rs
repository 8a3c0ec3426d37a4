//! A page for a browser: one file that asks nobody for anything.

use super::page::{Block, Page, Table};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use rules::finding::Finding;

/// The whole document.
pub(super) fn document(page: &Page, footer: &str) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                title { (page.title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    h1 { (page.title) }
                    @for block in &page.blocks { (block_markup(block)) }
                }
                footer { (footer) }
            }
        }
    };
    markup.into_string()
}

fn block_markup(block: &Block) -> Markup {
    match block {
        Block::Heading(text) => html! { h2 { (text) } },
        Block::Text(text) => html! { p { (text) } },
        Block::Lead(text) => html! { p.lead { (text) } },
        Block::List(items) => html! { ul { @for item in items { li { (item) } } } },
        Block::Fields(fields) => html! {
            dl {
                @for (name, value) in fields {
                    div { dt { (name) } dd { (value) } }
                }
            }
        },
        Block::Table(table) => table_markup(table),
        Block::Code(code) => html! { pre { code { (code) } } },
        Block::Figure(svg) => html! { figure { (PreEscaped(svg)) } },
        Block::Finding(finding) => finding_markup(finding),
    }
}

fn table_markup(table: &Table) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { @for head in &table.head { th { (head) } } } }
                tbody {
                    @for row in &table.rows {
                        tr { @for cell in row { td.word[is_word(cell)] { (cell) } } }
                    }
                }
            }
        }
    }
}

/// A name or a figure, which a browser would break at its hyphens.
fn is_word(cell: &str) -> bool {
    const LONGEST: usize = 24;
    cell.len() <= LONGEST && cell.contains('-') && !cell.contains(' ')
}

fn finding_markup(finding: &Finding) -> Markup {
    let about = [finding.object.as_deref(), finding.node.as_deref()];
    html! {
        section.finding.(finding.severity.to_string()) {
            p {
                strong { (finding.severity) " " (finding.code.id()) }
                @for part in about.into_iter().flatten() { " " span.about { (part) } }
                " " (finding.message)
            }
            @if !finding.evidence.is_empty() {
                ul { @for fact in &finding.evidence { li { (fact) } } }
            }
            @if !finding.remedy.is_empty() {
                p { em { "Remedy: " } (finding.remedy) }
            }
        }
    }
}
