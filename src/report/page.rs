//! What people are shown, before it is known on what: text for a terminal and a page in a browser
//! are made of the same blocks.

use super::Source;
use rules::finding::{Finding, Severity};

/// Blocks, one below the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// What it is about, one line.
    pub title: String,
    /// The blocks.
    pub blocks: Vec<Block>,
}

/// A part of a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A heading.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// What matters most, one sentence.
    Lead(String),
    /// Sentences of equal standing.
    List(Vec<String>),
    /// Names and values.
    Fields(Vec<(String, String)>),
    /// A table.
    Table(Table),
    /// Lines to be copied as they are: YAML, commands.
    Code(String),
    /// A drawing, for browsers alone: markup with `<svg>` elements. Its text has been escaped.
    Figure(String),
    /// Something found.
    Finding(Finding),
}

/// Rows under a head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The columns' names.
    pub head: Vec<String>,
    /// As many cells each.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Self {
            head: head.map(str::to_owned).to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; it has as many cells as the head.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.head.len(), "{:?}", self.head);
        self.rows.push(cells.to_vec());
    }
}

impl Page {
    /// A page of nothing but its title.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            blocks: Vec::new(),
        }
    }

    /// Adds a block.
    pub fn push(&mut self, block: Block) {
        self.blocks.push(block);
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: impl Into<String>) {
        self.push(Block::Heading(text.into()));
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: impl Into<String>) {
        self.push(Block::Text(text.into()));
    }

    /// Adds a table, unless it is empty.
    pub fn table(&mut self, table: Table) {
        if !table.rows.is_empty() {
            self.push(Block::Table(table));
        }
    }

    /// Adds what was found, and a line that counts it.
    pub(super) fn findings(&mut self, findings: &[Finding]) {
        self.heading("Findings");
        self.blocks
            .extend(findings.iter().cloned().map(Block::Finding));
        let count = |severity| {
            let these = findings.iter().filter(|found| found.severity == severity);
            these.count()
        };
        let plural = |count: usize, word: &str| match count {
            1 => format!("1 {word}"),
            _ => format!("{count} {word}s"),
        };
        self.text(format!(
            "{}, {}",
            plural(count(Severity::Error), "error"),
            plural(count(Severity::Warning), "warning"),
        ));
    }

    /// Adds what could not be looked at.
    pub(super) fn unseen(&mut self, sources: &[Source]) {
        let unseen = sources
            .iter()
            .filter_map(|source| Some((source.name.clone(), source.error.clone()?)));
        let unseen: Vec<(String, String)> = unseen.collect();
        if !unseen.is_empty() {
            self.heading("Not looked at");
            self.push(Block::Fields(unseen));
        }
    }
}
