//! Lists as Go's flag library takes and shows them: one record of comma-separated values, by the
//! rules and with the errors of Go's `encoding/csv`, which are stricter than those of the crates
//! that there are.

/// The items of the first line that is not empty; an item in double quotes may hold commas, line
/// breaks and, doubled, double quotes.
///
/// # Errors
///
/// A quote where none may be, with its line and column, in bytes and from 1, in Go's words; `EOF`
/// if there are only empty lines.
pub(super) fn split(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut lines = Lines::new(text);
    let line = loop {
        match lines.next() {
            Some(line) if matches!(line.as_str(), "" | "\n") => {}
            Some(line) => break line,
            None => return Err("EOF".to_owned()),
        }
    };
    Record::new(lines, line).items()
}

/// The text that [`split`] takes for these items.
pub(super) fn join<'a>(items: impl Iterator<Item = &'a String>) -> String {
    let items: Vec<String> = items.map(|item| quote(item)).collect();
    items.join(",")
}

fn quote(item: &str) -> String {
    let is_plain = item != r"\."
        && !item.contains([',', '"', '\n', '\r'])
        && !item.starts_with(char::is_whitespace);
    if is_plain {
        item.to_owned()
    } else {
        format!("\"{}\"", item.replace('"', "\"\""))
    }
}

/// Lines with their line breaks, which are `\n` whatever they were.
struct Lines<'a> {
    rest: &'a str,
    /// Of the line that was given out last, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    fn new(rest: &'a str) -> Self {
        Self { rest, number: 0 }
    }
}

impl Iterator for Lines<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(match line.strip_suffix("\r\n") {
            Some(line) => format!("{line}\n"),
            // At the very end.
            None => line.strip_suffix('\r').unwrap_or(line).to_owned(),
        })
    }
}

/// One record while it is read.
struct Record<'a> {
    lines: Lines<'a>,
    /// The number of its first line.
    first: usize,
    line: String,
    /// How far the line has been read, in bytes.
    at: usize,
    items: Vec<String>,
}

impl<'a> Record<'a> {
    fn new(lines: Lines<'a>, line: String) -> Self {
        Self {
            first: lines.number,
            lines,
            line,
            at: 0,
            items: Vec::new(),
        }
    }

    fn items(mut self) -> Result<Vec<String>, String> {
        let mut is_more = true;
        while is_more {
            is_more = if self.rest().starts_with('"') {
                self.at += 1;
                self.quoted()?
            } else {
                self.plain()?
            };
        }
        Ok(self.items)
    }

    fn rest(&self) -> &str {
        &self.line[self.at..]
    }

    /// An item without quotes; false if it was the last.
    fn plain(&mut self) -> Result<bool, String> {
        let rest = self.rest();
        let comma = rest.find(',');
        let item = match comma {
            Some(end) => &rest[..end],
            None => rest.strip_suffix('\n').unwrap_or(rest),
        };
        if let Some(quote) = item.find('"') {
            return Err(self.error(self.at + quote, "bare \" in non-quoted-field"));
        }
        let item = item.to_owned();
        self.at += item.len() + usize::from(comma.is_some());
        self.items.push(item);
        Ok(comma.is_some())
    }

    /// An item after its opening quote; false if it was the last.
    fn quoted(&mut self) -> Result<bool, String> {
        let mut item = String::new();
        loop {
            let rest = self.rest();
            if let Some(end) = rest.find('"') {
                item.push_str(&rest[..end]);
                self.at += end + 1;
                match self.rest().chars().next() {
                    Some('"') => item.push('"'),
                    Some(',') => {
                        self.at += 1;
                        self.items.push(item);
                        return Ok(true);
                    }
                    Some('\n') | None => {
                        self.items.push(item);
                        return Ok(false);
                    }
                    Some(_) => return Err(self.error(self.at - 1, EXTRANEOUS)),
                }
                self.at += 1;
            } else {
                item.push_str(rest);
                self.at = self.line.len();
                let Some(next) = self.lines.next() else {
                    return Err(self.error(self.at, EXTRANEOUS));
                };
                self.line = next;
                self.at = 0;
            }
        }
    }

    fn error(&self, at: usize, what: &str) -> String {
        let (first, line, column) = (self.first, self.lines.number, at + 1);
        let place = format!("parse error on line {line}, column {column}: {what}");
        if first == line {
            place
        } else {
            format!("record on line {first}; {place}")
        }
    }
}

const EXTRANEOUS: &str = "extraneous or missing \" in quoted-field";

#[cfg(test)]
mod tests;
