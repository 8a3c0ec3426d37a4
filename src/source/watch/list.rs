//! Lists, read as they come: a list of a large cluster is tens of megabytes,
//! and no more of it is held than the object that is being read.

use super::event::MAX_OBJECT;
use super::failure::{Failure, excerpt};
use serde::Deserialize;

/// The largest list without its objects: `kind`, `metadata` and the like.
const MAX_REST: usize = 1 << 20;

/// What a list says besides its objects.
#[derive(Debug, PartialEq)]
pub struct ListEnd {
    /// What the list is of; a watch goes on from there.
    pub version: String,
    /// Where the next page begins, if this is not the last one.
    pub token: Option<String>,
}

/// Takes the objects out of a list, whose pieces may end anywhere. What is left is
/// as if `items` had been empty, and is read at the end.
#[derive(Debug, Default)]
pub struct List {
    /// The list without its objects.
    rest: Vec<u8>,
    /// The object that has begun.
    object: Vec<u8>,
    depth: usize,
    string: Text,
    /// Where in `rest` the last string began, if nothing but a colon or space
    /// came after it.
    key: Option<usize>,
    /// Within the array `items` of the list itself.
    items: bool,
}

#[derive(Debug, Default, PartialEq)]
enum Text {
    #[default]
    Outside,
    Inside,
    /// After a backslash.
    Escaped,
}

/// How deep the list itself, and its array of objects, are.
const LIST: usize = 1;
const ITEMS: usize = 2;

impl List {
    /// More of the body; each object that is complete is handed out.
    ///
    /// # Errors
    /// It is no list, or has a part that is too large.
    pub fn push(&mut self, piece: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), Failure> {
        for &byte in piece {
            let in_object = self.items && (self.depth > ITEMS || byte == b'{');
            if in_object {
                self.object.push(byte);
            } else if self.items && !matches!(byte, b']' | b',') {
                if !byte.is_ascii_whitespace() {
                    return Err(Failure::Garbage("a list of something else".to_owned()));
                }
            } else if !self.items || byte != b',' {
                self.rest.push(byte);
            }
            self.step(byte);
            if in_object && self.depth == ITEMS && self.string == Text::Outside {
                take(&self.object);
                self.object.clear();
            }
        }
        if self.object.len() > MAX_OBJECT {
            let message = format!("an object of more than {MAX_OBJECT} bytes");
            return Err(Failure::Garbage(message));
        }
        if self.rest.len() > MAX_REST {
            return Err(Failure::Garbage(excerpt(&self.rest)));
        }
        Ok(())
    }

    /// Follows strings and brackets.
    fn step(&mut self, byte: u8) {
        match (&self.string, byte) {
            (Text::Escaped, _) => self.string = Text::Inside,
            (Text::Inside, b'\\') => self.string = Text::Escaped,
            (Text::Inside, b'"') => self.string = Text::Outside,
            (Text::Inside, _) => {}
            (Text::Outside, b'"') => {
                self.string = Text::Inside;
                self.key = (self.depth == LIST).then_some(self.rest.len());
            }
            (Text::Outside, b'[' | b'{') => {
                if byte == b'[' && self.depth == LIST && self.is_items() {
                    self.items = true;
                }
                self.depth += 1;
                self.key = None;
            }
            (Text::Outside, b']' | b'}') => {
                self.depth = self.depth.saturating_sub(1);
                self.key = None;
                if self.depth == LIST {
                    self.items = false;
                }
            }
            (Text::Outside, b',') => self.key = None,
            (Text::Outside, _) => {}
        }
    }

    /// Whether the array that begins is the value of the key `items`.
    fn is_items(&self) -> bool {
        let Some(key) = self.key.and_then(|start| self.rest.get(start..)) else {
            return false;
        };
        let name = key.strip_prefix(b"items\"");
        let between = name.and_then(|own| own.trim_ascii_start().strip_prefix(b":"));
        between.is_some_and(|own| own.trim_ascii() == b"[")
    }

    /// The body is at its end.
    ///
    /// # Errors
    /// It was no list, or not all of one.
    pub fn end(self) -> Result<ListEnd, Failure> {
        #[derive(Deserialize)]
        struct Rest {
            kind: String,
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            resource_version: Option<String>,
            r#continue: Option<String>,
        }
        let rest: Rest = serde_json::from_slice(&self.rest).map_err(|error| {
            if error.is_eof() && self.rest.trim_ascii().starts_with(b"{") {
                return Failure::Broken("the list stops in the middle".to_owned());
            }
            Failure::Garbage(excerpt(&self.rest))
        })?;
        let version = rest.metadata.resource_version.unwrap_or_default();
        if !rest.kind.ends_with("List") || version.is_empty() {
            return Err(Failure::Garbage(excerpt(&self.rest)));
        }
        Ok(ListEnd {
            version,
            token: rest.metadata.r#continue.filter(|token| !token.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests;
