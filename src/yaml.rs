//! YAML around the crate that parses it: where its documents end, and how Kubernetes' own programs
//! write it, which is what ours is compared with to the byte.

mod scalar;

use scalar::scalar;
use serde::Serialize;
use serde_json::{Map, Value};

/// The longest line that is not folded.
const WIDTH: usize = 80;

/// The documents of a text that hold anything, each with its first line's number.
pub(crate) fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut first_line, mut at) = (0, 1, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let next = at + line.len();
        if line.starts_with("---") && line[3..].chars().next().is_none_or(char::is_whitespace) {
            documents.push((first_line, &text[start..at]));
            // A document may begin on the line that separates it.
            let rest = line[3..].trim_start();
            let begins = !rest.is_empty() && !rest.starts_with('#');
            (start, first_line) = if begins {
                (at + 3, number + 1)
            } else {
                (next, number + 2)
            };
        }
        at = next;
    }
    documents.push((first_line, &text[start..]));
    let has_content = |text: &str| {
        text.lines()
            .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    };
    documents.retain(|(_, document)| has_content(document));
    documents
}

/// An object as one document: block style, keys sorted, lists as deep as their key.
pub(crate) fn write(object: &impl Serialize) -> String {
    let mut text = String::new();
    match serde_json::to_value(object) {
        Ok(value) => write_fields(&mut text, value.as_object().unwrap_or(&Map::new()), 0),
        Err(error) => text = error.to_string(),
    }
    text
}

fn write_fields(text: &mut String, fields: &Map<String, Value>, indent: usize) {
    for (at, (key, value)) in fields.iter().enumerate() {
        // The first key of a list's item stands behind its dash.
        if at > 0 || !text.ends_with("- ") {
            text.push_str(&" ".repeat(indent));
        }
        let key = scalar::key(key);
        text.push_str(&key);
        text.push(':');
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                text.push('\n');
                write_fields(text, fields, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                text.push('\n');
                for item in items {
                    text.push_str(&" ".repeat(indent));
                    text.push_str("- ");
                    match item {
                        Value::Object(fields) if !fields.is_empty() => {
                            write_fields(text, fields, indent + 2);
                        }
                        item => write_leaf(text, item, indent, indent + 2),
                    }
                }
            }
            value => {
                text.push(' ');
                write_leaf(text, value, indent, indent + key.chars().count() + 2);
            }
        }
    }
}

/// What needs no lines of its own, from this column on.
fn write_leaf(text: &mut String, value: &Value, indent: usize, column: usize) {
    match value {
        Value::String(string) => text.push_str(&fold(&scalar(string), column, indent + 2)),
        other => text.push_str(&other.to_string()),
    }
    text.push('\n');
}

/// Breaks at the first single space past the width. Double quotes would need more than that, and
/// what is in them is short.
fn fold(scalar: &str, mut column: usize, indent: usize) -> String {
    if scalar.starts_with('"') {
        return scalar.to_owned();
    }
    let mut folded = String::new();
    let mut chars = scalar.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let is_single = c == ' ' && before != ' ' && chars.peek().is_some_and(|next| *next != ' ');
        if is_single && column > WIDTH {
            folded.push('\n');
            folded.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            folded.push(c);
            column += 1;
        }
        before = c;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn looks_as_the_servers_write_it() {
        let object = json!({
            "message": "only the following media types are accepted: application/json, \
                        application/yaml, text/plain",
            "metadata": {}, "code": 406, "empty": "", "list": ["/a", "1"], "no": "-999",
            "in": {"ranges": "[a,b]", "time": "2026-11-24T15:46:50Z", "plain": "fd00::/48"},
            "items": [{"a": 1, "b": {"c": null}}, {}], "none": [], "y": true,
            "kubeconfig": "/a word  or two, and then some more of them, so that it is longer than a \
                           line may be",
        });
        insta::assert_snapshot!(write(&object), @r#"
        code: 406
        empty: ""
        in:
          plain: fd00::/48
          ranges: '[a,b]'
          time: "2026-11-24T15:46:50Z"
        items:
        - a: 1
          b:
            c: null
        - {}
        kubeconfig: /a word  or two, and then some more of them, so that it is longer than
          a line may be
        list:
        - /a
        - "1"
        message: 'only the following media types are accepted: application/json, application/yaml,
          text/plain'
        metadata: {}
        "no": "-999"
        none: []
        "y": true
        "#);
    }
}
