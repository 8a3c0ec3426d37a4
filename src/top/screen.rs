//! What is on the screen, and what keys do.

use super::answer::{HEAD, ServicePort, Top, report};
use super::options::Options;
use super::order::Order;
use super::sample::{Row, Sample};
use super::units;
use crate::report::Source;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Modifier, Style};
use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::io;
use std::time::Duration;

/// Lines above the rows, and below them.
const ABOVE: u16 = 3;
const BELOW: u16 = 1;
/// The first column is no narrower, as long as others can be left out.
const LABEL: usize = 24;
/// Between two columns.
const GAP: usize = 2;
/// No longer text is looked for.
const FILTER: usize = 64;
const HELP: &str = "q quit   n new  o open  b bytes  d drops  s spread  a name   / filter   \
                    ↑ ↓ PgUp PgDn Home";

/// What follows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// To go on.
    Go,
    /// To end.
    Quit,
}

/// All that is on the screen.
#[derive(Debug)]
pub(super) struct Screen {
    order: Order,
    interval: Duration,
    /// The last look, its rows in order.
    sample: Option<Sample>,
    /// The node's figures of it.
    top: Option<Top>,
    /// Why the last one was none, or what the log says.
    error: Option<String>,
    line: Option<String>,
    /// Rows that are scrolled over.
    above: usize,
    /// Rows that fit, as of the last drawing.
    page: usize,
    /// Part of the names of rows that are shown.
    filter: String,
    /// Keys are letters of it.
    editing: bool,
}

impl Screen {
    /// Nothing yet.
    pub(super) fn new(options: &Options) -> Self {
        Self {
            order: options.order,
            interval: options.interval,
            sample: None,
            top: None,
            error: None,
            line: None,
            above: 0,
            page: 1,
            filter: String::new(),
            editing: false,
        }
    }

    /// Takes a look in; what was there before stays if it is none.
    pub(super) fn take(&mut self, sample: io::Result<Sample>) {
        match sample {
            Ok(sample) => {
                self.error = None;
                self.set(sample);
            }
            Err(error) => self.error = Some(format!("conntrack: {error}")),
        }
    }

    /// What the log said last.
    pub(super) fn tell(&mut self, line: Option<String>) {
        self.line = line;
    }

    fn set(&mut self, mut sample: Sample) {
        self.order.sort(&mut sample.rows);
        let rows = std::mem::take(&mut sample.rows);
        self.top = Some(report(sample.clone(), self.order, 0).data);
        sample.rows = rows;
        self.sample = Some(sample);
    }

    fn sort(&mut self, order: Order) {
        self.order = order;
        self.above = 0;
        if let Some(sample) = &mut self.sample {
            order.sort(&mut sample.rows);
        }
    }

    /// Does what a key is for.
    pub(super) fn key(&mut self, key: KeyEvent) -> Next {
        if key.kind == KeyEventKind::Release {
            return Next::Go;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if control => return Next::Quit,
            _ if self.editing => self.edit(key.code),
            KeyCode::Char('q') => return Next::Quit,
            KeyCode::Char('n') => self.sort(Order::New),
            KeyCode::Char('o') => self.sort(Order::Open),
            KeyCode::Char('b') => self.sort(Order::Bytes),
            KeyCode::Char('d') => self.sort(Order::Drops),
            KeyCode::Char('s') => self.sort(Order::Spread),
            KeyCode::Char('a') => self.sort(Order::Name),
            KeyCode::Char('/') => self.editing = true,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Down | KeyCode::Char('j') => self.above += 1,
            KeyCode::Up | KeyCode::Char('k') => self.above = self.above.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.above += self.page,
            KeyCode::PageUp => self.above = self.above.saturating_sub(self.page),
            KeyCode::Home | KeyCode::Char('g') => self.above = 0,
            KeyCode::End | KeyCode::Char('G') => self.above = usize::MAX,
            _ => {}
        }
        Next::Go
    }

    fn edit(&mut self, code: KeyCode) {
        self.above = 0;
        match code {
            KeyCode::Enter => self.editing = false,
            KeyCode::Esc => {
                self.editing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) if self.filter.len() < FILTER => self.filter.push(letter),
            _ => {}
        }
    }

    /// Draws all of it. Costs the rows that fit, beside a look at the names if there is a filter.
    pub(super) fn draw(&mut self, area: Rect, buffer: &mut Buffer) {
        let width = usize::from(area.width);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut line = |at: u16, text: &str, style: Style| {
            if at < area.height {
                let at = area.y + at;
                buffer.set_stringn(area.x, at, format!("{text:<width$}"), width, style);
            }
        };
        let page = area.height.saturating_sub(ABOVE + BELOW);
        self.page = usize::from(page).max(1);
        let (rows, count) = self.rows(usize::from(page));
        line(0, &self.title(count), bold);
        line(1, &self.facts(), Style::new());
        let table = table(&rows, width);
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        let styles = std::iter::once(reversed).chain(std::iter::repeat(Style::new()));
        for ((at, text), style) in (2..).zip(&table).zip(styles) {
            line(at, text, style);
        }
        if let Some(last) = area.height.checked_sub(1) {
            line(last, &self.foot(), Style::new());
        }
    }

    /// The rows that fit, and how many there are.
    fn rows(&mut self, page: usize) -> (Vec<ServicePort>, usize) {
        let Some(sample) = &self.sample else {
            return (Vec::new(), 0);
        };
        let is_shown =
            |row: &&Row| self.filter.is_empty() || row.service.to_string().contains(&self.filter);
        let count = sample.rows.iter().filter(is_shown).count();
        self.above = self.above.min(count.saturating_sub(page));
        let rows = sample.rows.iter().filter(is_shown);
        let rows = rows
            .skip(self.above)
            .take(page)
            .map(|row| ServicePort::new(row, sample.counts_traffic));
        (rows.collect(), count)
    }

    fn title(&self, count: usize) -> String {
        let Some(sample) = &self.sample else {
            let seconds = self.interval.as_secs_f64();
            return format!("kube-proxy top   the first figures come in {seconds:.1} s");
        };
        let mut title = format!(
            "kube-proxy top   node {}   {} Service ports by {}   over {:.1} s",
            sample.node,
            units::count(count as u64),
            self.order,
            sample.time.as_secs_f64(),
        );
        if self.editing || !self.filter.is_empty() {
            let cursor = if self.editing { "_" } else { "" };
            title.push_str(&format!("   /{}{cursor}", self.filter));
        }
        title
    }

    fn facts(&self) -> String {
        let facts = self.top.iter().flat_map(Top::facts);
        let facts = facts.map(|(name, value)| format!("{name} {value}"));
        let sources = self.sample.iter().flat_map(|sample| &sample.sources);
        let unseen = sources.filter(|source| source.error.is_some());
        let unseen = unseen.map(|Source { name, .. }| format!("not seen: {name}"));
        facts.chain(unseen).collect::<Vec<String>>().join("   ")
    }

    /// What is wrong, or else the keys.
    fn foot(&self) -> String {
        let wrong = self.error.as_ref().or(self.line.as_ref());
        wrong.map_or_else(|| HELP.to_owned(), String::clone)
    }
}

/// The head and the rows, as wide as there is room. Columns that do not fit are left out, the last
/// ones first; numbers end in one line, names begin in one.
fn table(rows: &[ServicePort], width: usize) -> Vec<String> {
    let head = HEAD.map(str::to_uppercase);
    let lines: Vec<[String; 8]> = std::iter::once(head)
        .chain(rows.iter().map(ServicePort::cells))
        .collect();
    let mut widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            let cells = lines.iter().map(|cells| cells[column].chars().count());
            cells.max().unwrap_or(0)
        })
        .collect();
    let others = |widths: &[usize]| -> usize { widths[1..].iter().map(|own| own + GAP).sum() };
    while widths.len() > 1 && others(&widths) + widths[0].min(LABEL) > width {
        widths.pop();
    }
    widths[0] = width.saturating_sub(others(&widths));
    let line = |cells: &[String; 8]| {
        let cells = cells.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| cell_text(column, cell, *width));
        cells.collect::<Vec<String>>().join("  ")
    };
    lines.iter().map(line).collect()
}

fn cell_text(column: usize, cell: &str, width: usize) -> String {
    let long = cell.chars().count() > width;
    let cell = match long {
        true => cell
            .chars()
            .take(width.saturating_sub(1))
            .chain(['…'])
            .collect(),
        false => cell.to_owned(),
    };
    match HEAD[column] {
        "namespace/name:port" | "busiest pod" | "reason" => format!("{cell:<width$}"),
        _ => format!("{cell:>width$}"),
    }
}
